"""``serving.kserve.io/v1beta1 InferenceService``, in Standard mode, with a custom predictor (C04).

Custom, because a predictor with a model format and no storageUri would become a multi-model server.
KServe copies the annotations of an InferenceService into its pods, where a change restarts them:
only what must be there is there.
"""

from ..api.base import Object, seconds
from ..api.spec import Spec
from .deployment import strategy
from .metadata import child
from .plan import Part, Plan
from .pod import pod_template

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
MODE = "serving.kserve.io/deploymentMode"
AUTOSCALER = "serving.kserve.io/autoscalerClass"
STOP = "serving.kserve.io/stop"


def inference_service(plan: Plan, part: Part) -> Object:
    """The front. KServe makes its Deployment and Service, named ``NAME-predictor``."""
    made = child(plan, part, API_VERSION, KIND, part.name)
    made["metadata"]["annotations"] = _annotations(plan, part)
    template = pod_template(plan, part)
    return {
        **made,
        "spec": {
            "predictor": {
                **_replicas(plan.service.spec),
                **template["metadata"],
                "deploymentStrategy": strategy(plan, part),
                "timeout": seconds(plan.service.spec.requests.timeout),
                **template["spec"],
            }
        },
    }


def _annotations(plan: Plan, part: Part) -> dict[str, str]:
    # KServe's own autoscaler knows CPU and memory only, so that ours is external to it.
    autoscaler = "external" if part.workload.scaling else "none"
    annotations = {MODE: "Standard", AUTOSCALER: autoscaler}
    if plan.service.spec.suspend:
        annotations[STOP] = "true"
    return annotations


def _replicas(spec: Spec) -> Object:
    """With the autoscaler ``none``, minReplicas is the number of pods; with ``external``, nobody
    asks.
    """
    if spec.scaling is None:
        return {"minReplicas": spec.replicas, "maxReplicas": max(1, spec.replicas)}
    return {"minReplicas": spec.scaling.min, "maxReplicas": spec.scaling.max}
