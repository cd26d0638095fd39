"""The parts of the spec that stand around the pods: cache, network, disruption, monitoring."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import ApiModel, KubernetesName, Object, Rule, core, rules

Quantity = Annotated[str | int, Field(max_length=32)]


class EmptyDir(ApiModel):
    """A folder that lives as long as its pod."""

    size_limit: Quantity | None = Field(
        None, description="Most that it may hold, such as 50Gi. Without it, what the node has."
    )


class Claim(ApiModel):
    """A PersistentVolumeClaim of the same namespace."""

    claim_name: KubernetesName = Field(description="Its name. It must exist.")


class Cache(ApiModel):
    """Where downloaded weights and compiled code are kept: /var/cache/kiln."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!(has(self.emptyDir) && has(self.persistentVolumeClaim))",
                "spec.cache: emptyDir and persistentVolumeClaim exclude each other; keep one",
            )
        )
    )

    empty_dir: EmptyDir | None = Field(
        None, description="A folder that each pod starts anew. The default."
    )
    persistent_volume_claim: Claim | None = Field(
        None,
        description="A volume that outlives the pods, so that the next one finds the weights. "
        "Several pods need one with ReadWriteMany.",
    )


class NetworkPolicy(ApiModel):
    """Who may reach the pods. Only the ports of the two protocols are ever open."""

    enabled: bool = Field(
        True,
        description="Whether NetworkPolicies are rendered. With spec.roles, they let only the "
        "router reach the workers.",
    )
    from_: tuple[Object, ...] = Field(
        (),
        alias="from",
        max_length=32,
        description="Who may reach the service. Empty: everyone.",
        json_schema_extra=core("V1NetworkPolicyPeer"),
    )


class PodDisruptionBudget(ApiModel):
    """How many pods of each kind may be away at once while nodes are drained."""

    enabled: bool = Field(True, description="Whether PodDisruptionBudgets are rendered.")
    max_unavailable: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="Pods of each kind that may be away at once."
    )


class Monitoring(ApiModel):
    """Who scrapes the pods' metrics."""

    pod_monitor: bool = Field(
        False,
        description="Render a PodMonitor. Needs the Prometheus Operator in the cluster.",
    )
    from_: tuple[Object, ...] = Field(
        (),
        alias="from",
        max_length=32,
        description="Who scrapes: the HTTP port is open to them where spec.networkPolicy keeps "
        "others out, as it does of the workers of spec.roles. Empty: nobody else.",
        json_schema_extra=core("V1NetworkPolicyPeer"),
    )
    labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        {},
        description="Labels of the PodMonitor, by which a Prometheus finds it.",
        json_schema_extra={"maxProperties": 32},
    )
