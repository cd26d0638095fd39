"""Every reason that a condition can have: what it means, what to do, and how bad it is.

The page "Why is it not Ready" is made of this table, and no reason is set that is not in it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """The state in one word, for people. Programs read conditions."""

    PENDING = "Pending"
    PULLING = "Pulling"
    DOWNLOADING = "Downloading"
    LOADING = "Loading"
    WARMING = "Warming"
    ROLLING_OUT = "RollingOut"
    READY = "Ready"
    SUSPENDED = "Suspended"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Reason:
    """``stalled``: nothing moves until somebody does something. ``mend`` says what."""

    name: str
    phase: Phase
    meaning: str
    mend: str
    stalled: bool = False


# From the best to the worst: of several, the last one is told.
TABLE: Final = (
    Reason("Ready", Phase.READY, "Every pod of this spec is warm.", "Nothing to do."),
    Reason(
        "Degraded",
        Phase.READY,
        "Users are served, with less than the spec says: a pod has proven less than was planned, "
        "or a role has fewer pods than it should.",
        "The message has the server's words, or the role's. Give more memory, or warm up smaller "
        "sizes; spec.warmup.onFailure: Abort refuses pods that have proven less.",
    ),
    Reason(
        "Suspended",
        Phase.SUSPENDED,
        "spec.suspend is true: there are no pods.",
        "Set spec.suspend: false.",
    ),
    Reason(
        "ScaledToZero",
        Phase.READY,
        "Nothing is to be done, so there are no pods. KEDA, or whoever scales, brings them back.",
        "Nothing to do; set replicas or scaling.min to 1 or more to keep a pod warm.",
    ),
    Reason(
        "RollingOut",
        Phase.ROLLING_OUT,
        "Pods of this spec are Ready, and pods of an earlier one are still there.",
        "Wait. With one GPU too few, set spec.rollout: ResourceAware.",
    ),
    Reason(
        "WaitingForWorkers",
        Phase.ROLLING_OUT,
        "The workers become those of this spec first. Their router stays as it was until then.",
        "Wait; the roles' own reasons tell what they lack.",
    ),
    Reason(
        "Warming",
        Phase.WARMING,
        "A pod runs its warmup. The message counts the shapes.",
        "Wait, until spec.warmup.timeout at most.",
    ),
    Reason(
        "Loading",
        Phase.LOADING,
        "A pod's server has started and loads the model.",
        "Wait, until spec.warmup.timeout at most.",
    ),
    Reason(
        "Downloading",
        Phase.DOWNLOADING,
        "The weights are on their way into a pod.",
        "Wait; the log of the pod's init container tells how far it is.",
    ),
    Reason(
        "Pulling",
        Phase.PULLING,
        "A node pulls the image, or mounts the volumes.",
        "Wait; if it takes long, kubectl describe pod tells what it waits for.",
    ),
    Reason(
        "Unschedulable",
        Phase.PENDING,
        "No node has room for a pod, or none fits its constraints.",
        "Add nodes, free a GPU, or ask for less in spec.resources and spec.template.",
    ),
    Reason(
        "Creating",
        Phase.PENDING,
        "The objects are made, and their pods do not exist yet.",
        "Wait; if it takes long, look at the controllers of the cluster (and at KServe's).",
    ),
    Reason(
        "WaitingForKServe",
        Phase.PENDING,
        "KServe has not taken the InferenceService up, or has not made its address yet.",
        "Wait; the message has KServe's own words. Its manager's log tells more.",
    ),
    Reason(
        "Retrying",
        Phase.PENDING,
        "The API server failed at an object that the service needs. The operator tries again.",
        "Read the message, which has the API server's words; its log tells more.",
    ),
    Reason(
        "Restarting",
        Phase.LOADING,
        "A container ended, and Kubernetes starts it again.",
        "Read the message; if it comes again, the reason changes to that of the failure.",
    ),
    Reason(
        "NotServing",
        Phase.LOADING,
        "A pod that was Ready is not any more.",
        "Wait; if it lasts, read the pod's log.",
    ),
    Reason(
        "PodsRefused",
        Phase.FAILED,
        "The cluster refuses the pods: a quota, Pod Security, or a webhook.",
        "The message names it; raise the quota, or change the spec.",
        stalled=True,
    ),
    Reason(
        "ImagePullFailed",
        Phase.FAILED,
        "An image cannot be pulled.",
        "Check spec.runtime.image (or spec.model.uri with oci://) and its pull secrets.",
        stalled=True,
    ),
    Reason(
        "ConfigMissing",
        Phase.FAILED,
        "A pod names a Secret, ConfigMap or volume that is not there.",
        "Create what the message names, or remove it from the spec.",
        stalled=True,
    ),
    Reason(
        "DownloadFailed",
        Phase.FAILED,
        "The weights cannot be downloaded.",
        "Check spec.model.uri, spec.model.secretRef, and the network. Kubernetes tries again.",
        stalled=True,
    ),
    Reason(
        "InvalidSettings",
        Phase.FAILED,
        "The server does not accept its flags.",
        "Correct what the message names, in spec.warmup or spec.runtime.extraArgs; or use an image "
        "that belongs to this operator.",
        stalled=True,
    ),
    Reason(
        "ModelNotLoadable",
        Phase.FAILED,
        "The model is not there, or is none that can be loaded.",
        "Check spec.model.uri: it must be a diffusers folder with safetensors weights.",
        stalled=True,
    ),
    Reason(
        "WarmupFailed",
        Phase.FAILED,
        "A warmup request failed, so the pod did not say Ready.",
        "The message names the shape. Correct spec.warmup, or give more memory.",
        stalled=True,
    ),
    Reason(
        "StartupTimeout",
        Phase.FAILED,
        "A pod was not Ready within spec.warmup.timeout.",
        "Raise spec.warmup.timeout, or warm up less.",
        stalled=True,
    ),
    Reason(
        "EngineDied",
        Phase.FAILED,
        "The process that owns the device was killed, or its device reported an error.",
        "Read the log of the container's last run; look at the node's GPU.",
        stalled=True,
    ),
    Reason(
        "EngineStuck",
        Phase.FAILED,
        "The process that owns the device gave no sign of life.",
        "Read the log of the container's last run; look at the node's GPU.",
        stalled=True,
    ),
    Reason(
        "OutOfMemory",
        Phase.FAILED,
        "A container used more memory than its limit.",
        "Raise spec.resources.limits.memory, or warm up smaller sizes and batches.",
        stalled=True,
    ),
    Reason(
        "Crashed",
        Phase.FAILED,
        "A container ends again and again.",
        "The message has its last words; kubectl logs --previous has them all.",
        stalled=True,
    ),
    Reason(
        "InvalidSpec",
        Phase.FAILED,
        "The operator does not understand the spec: the CRD is of another version.",
        "Apply the CRD that belongs to the operator.",
        stalled=True,
    ),
    Reason(
        "NameTooLong",
        Phase.FAILED,
        "KServe would make NAME-predictor-NAMESPACE a DNS label of more than 63 characters.",
        "Take a shorter name, or set spec.backend: Deployment.",
        stalled=True,
    ),
    Reason(
        "MissingApi",
        Phase.FAILED,
        "The spec needs software that the cluster does not have: KServe, KEDA, or the Prometheus "
        "Operator.",
        "Install what the message names, or change the field that needs it.",
        stalled=True,
    ),
    Reason(
        "Conflict",
        Phase.FAILED,
        "An object of the name that the service needs belongs to somebody else. It is left alone.",
        "Delete or rename that object, or give the service another name.",
        stalled=True,
    ),
    Reason(
        "Refused",
        Phase.FAILED,
        "The API server, or a webhook, refuses an object that the service needs.",
        "The message has its words; change the field of the spec that it comes from.",
        stalled=True,
    ),
    Reason(
        "Forbidden",
        Phase.FAILED,
        "The operator has no right to do what the service needs, or a quota is used up.",
        "Grant the right that the message names, or raise the quota.",
        stalled=True,
    ),
)
REASONS: Final = {each.name: each for each in TABLE}
RANK: Final = {each.name: place for place, each in enumerate(TABLE)}

# Of the server, by its exit status; the same names as its errors.
EXIT_REASONS: Final = {
    2: "InvalidSettings",
    4: "ModelNotLoadable",
    5: "WarmupFailed",
    6: "EngineDied",
    7: "EngineStuck",
    8: "StartupTimeout",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason with the message of the case."""

    reason: str
    message: str

    @property
    def kind(self) -> Reason:
        return REASONS[self.reason]


def worst(findings: tuple[Finding, ...]) -> Finding | None:
    """The one to tell first."""
    return max(findings, key=lambda each: RANK[each.reason], default=None)
