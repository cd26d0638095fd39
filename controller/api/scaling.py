"""``scaling``: how many pods, by how much work."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from .base import ApiModel, Duration, Rule, rules


class ScalingMetric(StrEnum):
    QUEUE_DEPTH = "QueueDepth"
    IN_FLIGHT = "InFlight"
    CPU = "CPU"


class Prometheus(ApiModel):
    """Where KEDA reads the metric."""

    server_address: str = Field(
        pattern=r"^https?://\S+$",
        max_length=1024,
        description="Address of the Prometheus server that scrapes the pods, such as "
        "http://prometheus.monitoring:9090.",
    )


class Scaling(ApiModel):
    """How many pods run, by how much work there is."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.min <= self.max",
                "scaling.min: must not be above scaling.max; lower min or raise max",
            ),
            Rule(
                "self.min > 0 || has(self.prometheus)",
                "scaling.min: only KEDA scales to zero; give scaling.prometheus.serverAddress, or "
                "set min: 1",
            ),
            Rule(
                "self.metric != 'CPU' || !has(self.prometheus)",
                "scaling.prometheus: has no use with metric CPU; remove it, or choose QueueDepth "
                "or InFlight",
            ),
        )
    )

    min: int = Field(1, ge=0, le=1000, description="Fewest pods. 0 needs KEDA.")
    max: int = Field(ge=1, le=1000, description="Most pods.")
    metric: ScalingMetric = Field(
        ScalingMetric.QUEUE_DEPTH,
        description="What is measured. QueueDepth: requests that wait (kiln_queue_depth). "
        "InFlight: requests accepted and not answered (kiln_requests_in_flight). CPU: percent of "
        "the pods' CPU requests.",
    )
    target: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="The average of the metric for each pod that scaling aims at.",
    )
    cooldown: Duration = Field(
        "5m",
        description="How long the metric must have been lower before pods are taken away. A pod "
        "that comes back must warm up again.",
        json_schema_extra=rules(
            Rule("duration(self) <= duration('1h')", "scaling.cooldown: must be at most 1h")
        ),
    )
    prometheus: Prometheus | None = Field(
        None,
        description="Scale with KEDA, which reads the metric from here. Without it, a "
        "HorizontalPodAutoscaler reads it from the cluster's custom metrics API.",
    )
