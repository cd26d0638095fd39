"""``spec`` as a whole. Every field does something in the objects that are rendered; what the server
cannot do yet has no field here.
"""

from enum import StrEnum

from pydantic import ConfigDict, Field

from model.contract.roles import Role

from .base import ApiModel, Rule, rules
from .model_source import LocalReference, ModelSource
from .runtime import Drain, Requests, Runtime
from .surroundings import Cache, Monitoring, NetworkPolicy, PodDisruptionBudget
from .warmup import Warmup
from .workload import REPLICAS_OR_SCALING, Workload


class Backend(StrEnum):
    AUTO = "Auto"
    KSERVE = "KServe"
    DEPLOYMENT = "Deployment"


class Rollout(StrEnum):
    SURGE = "Surge"
    RESOURCE_AWARE = "ResourceAware"


class Roles(ApiModel):
    """The stages of a disaggregated service: all three. A router stands before them; spec.replicas,
    scaling, resources and template are then the router's.
    """

    encoder: Workload = Field(description="Turns prompts and pictures into conditioning.")
    denoiser: Workload = Field(description="Runs the denoising steps.")
    decoder: Workload = Field(description="Turns latents into pictures.")
    token_secret_ref: LocalReference | None = Field(
        None,
        description="A Secret whose key token has the token that roles show each other. Several "
        "lines: the first is shown, all are taken. Without it, the NetworkPolicies alone keep "
        "others out.",
    )

    def items(self) -> tuple[tuple[Role, Workload], ...]:
        return (
            (Role.ENCODER, self.encoder),
            (Role.DENOISER, self.denoiser),
            (Role.DECODER, self.decoder),
        )


class _Service(ApiModel):
    """What is said once for all roles. Apart from Spec, so that these fields come first."""

    model: ModelSource = Field(
        ModelSource(), description="Which model is served, and under which name."
    )
    backend: Backend = Field(
        Backend.AUTO,
        description="What the pods are rendered into. KServe: an InferenceService in Standard "
        "mode. Deployment: a Deployment and a Service, without KServe. Auto: KServe where the "
        "cluster has it when the service is first seen; that choice then stays.",
    )
    runtime: Runtime = Field(Runtime(), description="The program that serves the model.")
    warmup: Warmup = Field(Warmup(), description=str(Warmup.__doc__))
    requests: Requests = Field(Requests(), description="What one pod takes on.")
    cache: Cache = Field(
        Cache(),
        description="Where downloaded weights and compiled code are kept: /var/cache/kiln.",
    )
    roles: Roles | None = Field(
        None,
        description="Run encoder, denoiser and decoder in pods of their own, behind a router. "
        "Without it, each pod runs the whole pipeline.",
    )
    rollout: Rollout | None = Field(
        None,
        description="How a new version comes in. Surge: a new pod is Ready before an old one goes. "
        "ResourceAware: an old pod goes first, for clusters without a spare GPU. Without it, "
        "ResourceAware for pods with GPUs, and Surge for others.",
    )
    drain: Drain = Field(Drain(), description="How a pod ends.")
    suspend: bool = Field(
        False, description="Scale to zero pods, and keep everything else. false brings them back."
    )
    network_policy: NetworkPolicy = Field(NetworkPolicy(), description="Who may reach the pods.")
    pod_disruption_budget: PodDisruptionBudget = Field(
        PodDisruptionBudget(),
        description="How many pods may be away at once while nodes are drained.",
    )
    monitoring: Monitoring = Field(Monitoring(), description="Who scrapes the pods' metrics.")


class Spec(Workload, _Service):
    """What is served, how hot it must be before it says Ready, and on what."""

    replicas: int = Field(1, ge=0, le=1000, description="Number of pods, unless scaling is given.")

    model_config = ConfigDict(
        json_schema_extra=rules(
            REPLICAS_OR_SCALING,
            Rule(
                "!has(self.warmup.resolutions) || self.warmup.resolutions.all(each, "
                "int(each.split('x')[0]) * int(each.split('x')[1]) <= self.requests.maxPixels)",
                "spec.warmup.resolutions: a size has more pixels than spec.requests.maxPixels lets "
                "requests have; raise maxPixels, or leave the size out",
            ),
            Rule(
                "!has(self.warmup.batchSizes) || self.warmup.batchSizes.all(each, "
                "each <= self.requests.maxImages)",
                "spec.warmup.batchSizes: a batch is larger than spec.requests.maxImages lets "
                "requests be; raise maxImages, or leave the batch size out",
            ),
            Rule(
                "!has(self.roles) || self.warmup.mode != 'Request'",
                "spec.warmup.mode: Request is not possible with spec.roles, whose router warms "
                "up the chain itself; set Server or Off",
            ),
        )
    )
