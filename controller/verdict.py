"""From what is observed to what is said: conditions, phase, and the rest of the status (C05).

kstatus reads it rightly: Ready, and the two that are true only when something is not as it should
be, Reconciling and Stalled.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .api.spec import Backend
from .api.status import (
    ConditionStatus,
    Pinned,
    RoleStatus,
    RoleWarmup,
    Status,
    Truth,
    WarmupStatus,
)
from .api.warmup import OnFailure, WarmupMode
from .desired.metadata import selector
from .desired.plan import Plan
from .parts import PartState
from .reasons import Finding, Phase, worst
from .service import Service

DISAGGREGATED = "DisaggregatedRole"
MOST_SHAPES = 64


@dataclass(frozen=True, slots=True)
class Claim:
    """A condition before anyone knows when it became so."""

    type: str
    truth: bool | None
    reason: str
    message: str


def verdict(plan: Plan, parts: tuple[PartState, ...], pinned: Pinned, url: str | None,
            trouble: tuple[Finding, ...], now: str) -> Status:  # fmt: skip
    """``trouble``: what went wrong while the children were written."""
    service, front = plan.service, parts[0]
    told = _told(plan, parts, trouble)
    claims = tuple(_claims(plan, parts, told))
    return Status(
        observed_generation=service.generation,
        phase=str(told.kind.phase),
        backend=Backend(str(plan.target)),
        url=url,
        replicas=front.wanted,
        ready_replicas=front.ready,
        ready=f"{front.ready}/{front.wanted}",
        selector=",".join(f"{k}={v}" for k, v in selector(service, front.part).items()),
        warmup=_warmup(plan, front),
        workers=_workers(parts),
        roles=tuple(_role(plan, each, front) for each in parts),
        pinned=pinned,
        conditions=dated(claims, service, now),
    )


def failed(service: Service, found: Finding, now: str) -> Status:
    """The status of a service that cannot even be planned. What was known of it stays."""
    claims = (
        Claim("Ready", False, found.reason, found.message),
        Claim("Reconciling", False, found.reason, "nothing is done until this is mended"),
        Claim("Stalled", True, found.reason, found.message),
    )
    others = {each.type: each for each in service.status.conditions or ()}
    known = {each.type: each for each in dated(claims, service, now)}
    return service.status.model_copy(
        update={
            "observed_generation": service.generation,
            "phase": str(Phase.FAILED),
            "conditions": tuple({**others, **known}.values()),
        }
    )


def dated(claims: Iterable[Claim], service: Service, now: str) -> tuple[ConditionStatus, ...]:
    """The time of a condition is that of its last flip."""
    before = {each.type: each for each in service.status.conditions or ()}
    return tuple(_dated(each, before.get(each.type), service.generation, now) for each in claims)


def _dated(
    claim: Claim, before: ConditionStatus | None, generation: int, now: str
) -> ConditionStatus:
    truth = {True: Truth.TRUE, False: Truth.FALSE, None: Truth.UNKNOWN}[claim.truth]
    same = before is not None and before.status is truth
    return ConditionStatus(
        type=claim.type,
        status=truth,
        reason=claim.reason,
        message=claim.message,
        last_transition_time=before.last_transition_time if same and before else now,
        observed_generation=generation,
    )


def _told(plan: Plan, parts: tuple[PartState, ...], trouble: tuple[Finding, ...]) -> Finding:
    """The one thing to say."""
    if found := worst(trouble):
        return found
    if plan.service.spec.suspend:
        left = sum(len(each.pods) for each in parts)
        return Finding("Suspended", f"{left} pods are ending" if left else "there are no pods")
    fewer = [each for each in parts if _does_without(parts[0], each)]
    found = worst(tuple(each.finding for each in parts if each.finding and each not in fewer))
    if found:
        return found
    if parts[0].wanted == 0:
        return Finding("ScaledToZero", "there are no pods")
    if any(each.old for each in parts):
        return Finding("RollingOut", f"{sum(each.old for each in parts)} earlier pods are left")
    for each in parts[0].words:
        if each.degraded:
            return Finding("Degraded", f"Ready, with less than was planned: {each.degraded}")
    for state in fewer:
        if state.finding:
            lacking = f"{state.part.role} {state.ready}/{state.wanted}: {state.finding.message}"
            return Finding("Degraded", f"Ready, with fewer pods than it should have: {lacking}")
    ready = ", ".join(f"{each.part.role} {each.ready}/{each.wanted}" for each in parts)
    return Finding("Ready", f"warm: {ready}")


def _does_without(front: PartState, worker: PartState) -> bool:
    """Its router is Ready, which proves that some of this role are warm; and none of an earlier
    spec is left, whose place others have yet to take.
    """
    if worker is front or worker.finding is None:
        return False
    return front.finding is None and worker.ready > 0 and not worker.old


def _claims(plan: Plan, parts: tuple[PartState, ...], told: Finding) -> Iterator[Claim]:
    settled = told.reason in ("Ready", "Degraded", "RollingOut")
    resting = ("Ready", "Degraded", "Suspended", "ScaledToZero")
    stalled = told.kind.stalled
    done = told.reason in resting and not any(each.finding for each in parts)
    # An old pod that serves is Available; only the spec that was asked for is Ready.
    serving = all(each.serving for each in parts)
    yield Claim("Ready", settled, told.reason, told.message)
    yield Claim(
        "Available",
        serving,
        "Serving" if serving else told.reason,
        "requests are served" if serving else told.message,
    )
    yield Claim("Reconciling", not stalled and not done, told.reason, told.message)
    yield Claim("Stalled", stalled, told.reason, told.message)
    yield from _of_the_model(plan, parts, told)
    if len(parts) > 1:
        lacking = [str(each.part.role) for each in parts[1:] if not each.ready]
        yield Claim(
            "RolesReady",
            not lacking,
            "Ready" if not lacking else told.reason,
            f"no pod is Ready of: {', '.join(lacking)}" if lacking else "each role has a Ready pod",
        )


def _of_the_model(plan: Plan, parts: tuple[PartState, ...], told: Finding) -> Iterator[Claim]:
    """Known for certain only where a pod of this spec is Ready, or tells."""
    front, ready = parts[0], all(each.ready for each in parts)
    if ready or any(each and each.loaded for each in front.told.values()):
        yield Claim("ModelLoaded", True, "Loaded", "a pod has loaded the model")
    else:
        yield Claim("ModelLoaded", None if front.silent else False, told.reason, told.message)
    mode = plan.warmup_mode(front.part)
    if mode is not WarmupMode.SERVER:
        yield Claim("WarmedUp", False, f"Mode{mode}", f"spec.warmup.mode is {mode}")
    elif not ready:
        yield Claim("WarmedUp", False, told.reason, told.message)
    else:
        yield _warmed_up(plan, front)


def _warmed_up(plan: Plan, front: PartState) -> Claim:
    """Of Ready pods. With onFailure Abort, none of them is Ready without its warmup; with another,
    only they themselves can tell.
    """
    for each in front.words:
        if each.failure:
            return Claim("WarmedUp", False, "Degraded", each.failure)
    if not front.words:
        if plan.service.spec.warmup.on_failure is OnFailure.ABORT:
            return Claim("WarmedUp", True, "Proven", "a pod has run its warmup")
        said = "the operator cannot reach a Ready pod to ask whether its warmup failed"
        return Claim("WarmedUp", None, "NotTold", said)
    number, slowest = len(_shapes(front)), max(each.seconds for each in front.words)
    said = f"{number} shapes are warm, after {slowest} s"
    for each in front.words:
        if each.degraded:
            return Claim("WarmedUp", True, "Degraded", f"{said}; {each.degraded}")
    return Claim("WarmedUp", True, "Proven", said)


def _warmup(plan: Plan, front: PartState) -> WarmupStatus:
    mode = str(plan.warmup_mode(front.part))
    heard = [each for each in front.told.values() if each is not None]
    if not heard:
        return WarmupStatus(mode=mode)
    furthest = max(heard, key=lambda each: each.done)
    words = front.words
    return WarmupStatus(
        mode=mode,
        pods=len(words),
        done=furthest.done,
        of=furthest.of,
        shapes=_shapes(front)[:MOST_SHAPES] if words else None,
        seconds=max(each.seconds for each in words) if words else None,
        degraded=next((each.degraded for each in words if each.degraded), None),
    )


def _shapes(front: PartState) -> tuple[str, ...]:
    """Those that are warm in every one of them."""
    first, *others = front.words
    return tuple(each for each in first.shapes if all(each in other.shapes for other in others))


def _role(plan: Plan, state: PartState, front: PartState) -> RoleStatus:
    part = state.part
    told = [each.proven.get(part.role) for each in front.words if each.proven]
    proven = [each for each in told if each is not None]
    return RoleStatus(
        name=str(part.role),
        replicas=state.wanted,
        ready_replicas=state.ready,
        proven=min(proven, default=None),
        warmup=RoleWarmup(
            mode=str(plan.warmup_mode(part)), reason=None if part.is_front else DISAGGREGATED
        ),
    )


def _workers(parts: tuple[PartState, ...]) -> str | None:
    told = [f"{each.part.role} {each.ready}/{each.wanted}" for each in parts[1:]]
    return ", ".join(told) or None
