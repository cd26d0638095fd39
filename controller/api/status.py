"""``status``: what the operator saw. Its spec is ``metadata.generation``; its readers are people,
``kubectl wait``, and every tool that knows kstatus.
"""

from enum import StrEnum

from pydantic import ConfigDict, Field

from .base import ApiModel
from .spec import Backend


class Truth(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class StatusModel(ApiModel):
    """What a newer operator wrote, and this one does not know, is no error."""

    model_config = ConfigDict(extra="ignore")


class ConditionStatus(StatusModel):
    """One thing that is so, or not."""

    type: str = Field(max_length=64, description="What it is about.")
    status: Truth = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=64, description="Why, in one word for programs.")
    message: str = Field(max_length=4096, description="Why, for people, with the mend.")
    last_transition_time: str = Field(
        description="When status last changed.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int = Field(
        description="The generation of the spec that it speaks of.",
        json_schema_extra={"format": "int64"},
    )


class RoleWarmup(StatusModel):
    """Whether pods of a role warm up by themselves."""

    mode: str = Field(description="Server, Request or Off.")
    reason: str | None = Field(
        None, description="DisaggregatedRole: the router warms it up, whatever the spec says."
    )


class WarmupStatus(StatusModel):
    """What the servers say of their warmup."""

    mode: str = Field(description="Server, Request or Off.")
    pods: int = Field(
        0,
        description="Ready pods that told what follows. The operator asks them over HTTP; of those "
        "that it cannot reach, it knows only what Kubernetes says.",
    )
    done: int | None = Field(
        None, description="Shapes that have run, in the pod that is furthest on its way."
    )
    of: int | None = Field(None, description="Shapes that are planned.")
    shapes: tuple[str, ...] | None = Field(
        None, description="Shapes that are warm in each pod that told, 64 at most."
    )
    seconds: float | None = Field(
        None, description="Seconds that the warmup took, in the pod where it took longest."
    )
    degraded: str | None = Field(
        None, description="Why a pod is Ready with less than was planned, in its own words."
    )


class RoleStatus(StatusModel):
    """The pods of one role."""

    name: str = Field(description="monolithic, router, encoder, denoiser or decoder.")
    replicas: int = Field(description="Pods that should be there.")
    ready_replicas: int = Field(description="Pods that are Ready and of this spec.")
    proven: int | None = Field(
        None,
        description="Of a worker role: pods that each router that told has sent its whole warmup "
        "through. Only these get requests.",
    )
    warmup: RoleWarmup = Field(description="Whether its pods warm up by themselves.")


class Pinned(StatusModel):
    """The defaults that the pods were rendered with. An upgrade of the operator brings new ones
    only with the next change of the spec.
    """

    spec: str = Field(
        description="A hash of the spec that they were chosen for, without the number of pods."
    )
    defaults: int = Field(description="Which set of the operator's defaults.")
    image: str = Field(description="Image of the model server where the spec names none.")


class Status(StatusModel):
    """What the operator saw."""

    observed_generation: int = Field(
        -1,
        description="The generation of the spec that this status speaks of.",
        json_schema_extra={"format": "int64"},
    )
    phase: str | None = Field(None, description="The state in one word, for people.")
    backend: Backend | None = Field(None, description="What the pods are rendered into.")
    url: str | None = Field(None, description="Where the service answers.")
    replicas: int | None = Field(None, description="Pods of the service, or of its router.")
    ready_replicas: int | None = Field(None, description="Of these, Ready and of this spec.")
    ready: str | None = Field(None, description="Ready pods of all pods, such as 1/2.")
    selector: str | None = Field(
        None, description="Labels of these pods, for autoscalers that scale by this object."
    )
    warmup: WarmupStatus | None = Field(
        None, description="The warmup of the service, or of its router."
    )
    workers: str | None = Field(
        None, description="Ready pods of each worker role, such as encoder 1/1."
    )
    roles: tuple[RoleStatus, ...] | None = Field(
        None,
        description="The pods of each role.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    pinned: Pinned | None = Field(
        None, description="The defaults that the pods were rendered with."
    )
    conditions: tuple[ConditionStatus, ...] | None = Field(
        None,
        description="Ready, Available, Reconciling, Stalled, ModelLoaded, WarmedUp, RolesReady.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
