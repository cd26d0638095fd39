"""How many pods, of which size: the same for the service itself and for each of its roles."""

from pydantic import ConfigDict, Field

from .base import ApiModel, Rule, rules
from .scaling import Scaling
from .template import Resources, Template

# kubectl scale needs spec.replicas to exist, so that has a default; scaling then stands beside a 1.
REPLICAS_OR_SCALING = Rule(
    "!has(self.scaling) || !has(self.replicas) || self.replicas == 1",
    "replicas: scaling decides the number of pods; remove replicas, or remove scaling",
)


class Workload(ApiModel):
    """Pods of one kind."""

    model_config = ConfigDict(json_schema_extra=rules(REPLICAS_OR_SCALING))

    replicas: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="Number of pods. Without it and without scaling, it begins with 1, and kubectl "
        "scale of the role's Deployment, or an autoscaler of your own, decides.",
    )
    scaling: Scaling | None = Field(
        None, description="Let the amount of work decide the number of pods."
    )
    resources: Resources = Field(
        Resources(), description="CPU, memory and devices of each pod's container."
    )
    template: Template = Field(Template(), description="Overrides of the pods' metadata and spec.")
