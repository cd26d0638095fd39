"""The kinds that the operator makes or watches, and where the API server has them. A table, so that
nothing must be discovered at start.
"""

from dataclasses import dataclass
from typing import Final

from . import names


@dataclass(frozen=True, slots=True)
class Kind:
    """``optional``: belongs to software that the cluster may lack. ``made``: we make it
    ourselves.
    """

    name: str
    api_version: str
    plural: str
    optional: bool = False
    made: bool = True

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Below the API server's root."""
        parts = ["apis" if self.group else "api", self.api_version]
        parts += ["namespaces", namespace] if namespace else []
        return "/" + "/".join(each for each in (*parts, self.plural, name, subresource) if each)


SERVICE: Final = Kind(names.KIND, names.API_VERSION, names.PLURAL, made=False)
POD: Final = Kind("Pod", "v1", "pods", made=False)
LEASE: Final = Kind("Lease", "coordination.k8s.io/v1", "leases", made=False)
EVENT: Final = Kind("Event", "events.k8s.io/v1", "events", made=False)
INFERENCE_SERVICE: Final = Kind(
    "InferenceService", "serving.kserve.io/v1beta1", "inferenceservices", optional=True
)
DEPLOYMENT: Final = Kind("Deployment", "apps/v1", "deployments")

CHILDREN: Final = (
    DEPLOYMENT,
    Kind("Service", "v1", "services"),
    INFERENCE_SERVICE,
    Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
    Kind("ScaledObject", "keda.sh/v1alpha1", "scaledobjects", optional=True),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Kind("PodMonitor", "monitoring.coreos.com/v1", "podmonitors", optional=True),
)
WATCHED: Final = (SERVICE, POD, *CHILDREN)
BY_NAME: Final = {each.name: each for each in CHILDREN}
