"""What is observed of one role: how many pods should be there, how many are, and what keeps the
others.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from model.contract.state import State

from .api.base import Object
from .desired.plan import Part, Plan
from .observed import Observed, ServiceKey
from .pods import PodState, read_pod
from .reasons import Finding, worst
from .telling import Telling, Told

# A server that is warm is not Ready before Kubernetes has asked it.
WARM_OR_WARMING: Final = frozenset({State.WARMING, State.READY})
KSERVE_TROUBLE: Final = ("PredictorReady", "IngressReady")


@dataclass(frozen=True, slots=True)
class PartState:
    """``wanted``: pods that should be there. ``ready``: of this spec; ``old``: of an earlier
    one. ``told``: what the servers of this spec say.
    """

    part: Part
    wanted: int
    pods: tuple[PodState, ...]
    finding: Finding | None
    told: Telling = field(default_factory=dict)

    @property
    def ready(self) -> int:
        return sum(each.ready and each.current for each in self.pods)

    @property
    def serving(self) -> int:
        """Ready, of whatever spec."""
        return sum(each.ready for each in self.pods)

    @property
    def old(self) -> int:
        return sum(not each.current for each in self.pods)

    @property
    def complete(self) -> bool:
        """With an autoscaler, as many as it must keep; otherwise all."""
        scaling = self.part.workload.scaling
        enough = self.wanted if scaling is None else min(self.wanted, max(1, scaling.min))
        return self.ready >= enough

    @property
    def words(self) -> tuple[Told, ...]:
        """Of the servers of this spec that Kubernetes calls Ready, and that can be asked."""
        ready = [each.name for each in self.pods if each.ready and each.current]
        heard = (self.told.get(each) for each in ready)
        # One that said something else has become Ready since, and is asked again.
        return tuple(each for each in heard if each and each.state is State.READY)

    @property
    def silent(self) -> bool:
        """A server has started, and nobody can ask it how far it is."""
        return any(
            each.current and not each.ready and each.name in self.told and not self.told[each.name]
            for each in self.pods
        )


def read_part(
    plan: Plan, part: Part, key: ServiceKey, observed: Observed, spec_hash: str
) -> PartState:
    """From what is observed alone."""
    bodies = observed.pods(key, part.place)
    pods = tuple(sorted((read_pod(each, spec_hash) for each in bodies), key=lambda pod: pod.name))
    deployment = observed.child(key, "Deployment", plan.deployment_name(part))
    state = PartState(part, _wanted(plan, part, deployment), pods, None)
    if state.wanted == 0:
        return state
    return PartState(part, state.wanted, pods, _finding(plan, state, key, observed, deployment))


def with_telling(state: PartState, told: Telling) -> PartState:
    """What servers tell of their warmup replaces Loading."""
    heard = replace(state, told=told)
    if state.finding is None or state.finding.reason != "Loading":
        return heard
    waiting = [told.get(each.name) for each in state.pods if each.current and not each.ready]
    furthest = max(
        (each for each in waiting if each and each.state in WARM_OR_WARMING),
        key=lambda each: each.done,
        default=None,
    )
    if furthest is not None:
        said = f"{furthest.done} of {furthest.of} shapes are warm"
        return replace(heard, finding=Finding("Warming", f"{state.part.role}: {said}"))
    if heard.silent:
        said = f"{state.finding.message}; the operator cannot reach it to ask how far it is"
        return replace(heard, finding=Finding("Loading", said))
    return heard


def _wanted(plan: Plan, part: Part, deployment: Object | None) -> int:
    if plan.service.spec.suspend:
        return 0
    scaling, replicas = part.workload.scaling, part.workload.replicas
    if scaling is None and replicas is not None:
        return replicas
    if deployment is None:
        return scaling.min if scaling else 1
    found: int = deployment["spec"].get("replicas", 1)
    return found


def _finding(
    plan: Plan, state: PartState, key: ServiceKey, observed: Observed, deployment: Object | None
) -> Finding | None:
    inference_service = observed.child(key, "InferenceService", state.part.name)
    if state.complete:
        on_kserve = plan.on_kserve(state.part)
        return kserve_trouble(inference_service, "IngressReady") if on_kserve else None
    current = tuple(each.finding for each in state.pods if each.current and each.finding)
    if found := worst(current):
        return found
    if refusal := _refused_pods(deployment):
        return refusal
    if plan.on_kserve(state.part) and deployment is None:
        return kserve_trouble(inference_service, *KSERVE_TROUBLE) or Finding(
            "WaitingForKServe", "KServe has not made the Deployment yet"
        )
    count = f"{state.ready} of {state.wanted} pods of this spec exist and are Ready"
    return Finding("Creating", f"{state.part.role}: {count}")


def _refused_pods(deployment: Object | None) -> Finding | None:
    for each in ((deployment or {}).get("status") or {}).get("conditions") or ():
        if each["type"] == "ReplicaFailure" and each["status"] == "True":
            return Finding("PodsRefused", str(each.get("message", "")))
    return None


def kserve_trouble(inference_service: Object | None, *conditions: str) -> Finding | None:
    """What KServe says that it could not do. Its observedGeneration is never asked: it is that of
    its Deployment (kserve#6081).
    """
    for each in ((inference_service or {}).get("status") or {}).get("conditions") or ():
        if each["type"] in conditions and each["status"] == "False":
            words = each.get("message") or each.get("reason", "")
            return Finding("WaitingForKServe", f"{each['type']} is False: {words}")
    return None
