"""What a pod's status says about where it is on its way to Ready."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .api import names
from .api.base import Object
from .desired.containers import FETCH_CONTAINER, SERVER_CONTAINER
from .reasons import EXIT_REASONS, Finding

IMAGE_TROUBLE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
CONFIG_TROUBLE: Final = frozenset({"CreateContainerConfigError", "CreateContainerError"})
# Reasons of a pod whose server runs, and may be asked.
SERVER_RUNS: Final = frozenset({"Loading", "NotServing"})
# One restart may be bad luck: a node that was drained, a device that was reset.
RESTARTS_THAT_COUNT: Final = 2
# No luck mends these: the same pod ends in the same way again, and a large model may take its time
# for it.
CERTAIN: Final = frozenset({"InvalidSettings", "ModelNotLoadable"})
LONGEST_MESSAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class PodState:
    """``finding``: None where it is Ready. ``address``: of its server, where that runs; ``run``
    tells its runs apart.
    """

    name: str
    current: bool
    ready: bool
    finding: Finding | None
    address: str | None = None
    run: str = ""


def read_pod(body: Object, spec_hash: str) -> PodState:
    """``spec_hash``: of the pods that should be."""
    metadata, status = body["metadata"], body["status"]
    ready = _condition(status, "Ready").get("status") == "True"
    annotations = metadata.get("annotations") or {}
    finding = None if ready else next(_findings(metadata["name"], status))
    runs = finding is None or finding.reason in SERVER_RUNS
    return PodState(
        name=metadata["name"],
        current=annotations.get(names.SPEC_HASH_ANNOTATION) == spec_hash,
        ready=ready,
        finding=finding,
        address=status.get("podIP") if runs else None,
        run=f"{metadata.get('uid')}/{_restarts(status)}",
    )


def _restarts(status: Object) -> int:
    several = status.get("containerStatuses") or ()
    return sum(each.get("restartCount", 0) for each in several if each["name"] == SERVER_CONTAINER)


def _findings(pod: str, status: Object) -> Iterator[Finding]:
    """The first one counts; the last one always fits."""
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        yield Finding("Unschedulable", f"{pod}: {scheduled.get('message', 'no node fits')}")
    if status.get("phase") == "Failed":
        yield Finding("Crashed", f"{pod}: {status.get('message') or status.get('reason', '')}")
    for each in status.get("initContainerStatuses") or ():
        yield from _of_init_container(pod, each)
    for each in status.get("containerStatuses") or ():
        if each["name"] == SERVER_CONTAINER:
            yield from _of_server(pod, each, _condition(status, "Ready"))
    yield Finding("Pulling", f"{pod}: its containers are being created")


def _of_init_container(pod: str, container: Object) -> Iterator[Finding]:
    state = container.get("state") or {}
    yield from _waiting(pod, state.get("waiting"))
    ended = _ending(container)
    if "running" in state and not container.get("restartCount"):
        yield Finding("Downloading", f"{pod}: {container['name']} runs")
    if ended is not None and ended.get("exitCode") != 0:
        reason = "OutOfMemory" if ended.get("reason") == "OOMKilled" else "DownloadFailed"
        yield Finding(reason, f"{pod}: {_last_words(container['name'], ended)}")
    if "running" in state:
        yield Finding("Downloading", f"{pod}: {container['name']} runs")


def _of_server(pod: str, container: Object, unready: Object) -> Iterator[Finding]:
    """``unready``: the pod's condition."""
    state = container.get("state") or {}
    yield from _waiting(pod, state.get("waiting"))
    if "running" in state and container.get("started"):
        # Before its first readiness probe, it has been unready since before it began to run.
        since, began = unready.get("lastTransitionTime"), state["running"].get("startedAt")
        if (since or "") > (began or ""):
            yield Finding("NotServing", f"{pod}: its server was Ready and is not any more")
        yield Finding("Loading", f"{pod}: its server has started")
    ended = _ending(container)
    if ended is not None:
        yield _failure(pod, container, ended)
    if "running" in state:
        yield Finding("Loading", f"{pod}: its server has started")


def _waiting(pod: str, waiting: Object | None) -> Iterator[Finding]:
    reason = (waiting or {}).get("reason", "")
    message = f"{pod}: {(waiting or {}).get('message') or reason}"[:LONGEST_MESSAGE]
    if reason in IMAGE_TROUBLE:
        yield Finding("ImagePullFailed", message)
    if reason in CONFIG_TROUBLE:
        yield Finding("ConfigMissing", message)


def _ending(container: Object) -> Object | None:
    """How the container ended, if it did and is not Ready since."""
    for place in ("state", "lastState"):
        if ended := (container.get(place) or {}).get("terminated"):
            found: Object = ended
            return found
    return None


def _failure(pod: str, container: Object, ended: Object) -> Finding:
    message = f"{pod}: {_last_words(container['name'], ended)}"
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason = EXIT_REASONS.get(ended.get("exitCode", 0), "Crashed")
    if ended.get("reason") == "OOMKilled":
        reason = "OutOfMemory"
    again = waiting.get("reason") == "CrashLoopBackOff"
    counts = again or container.get("restartCount", 0) >= RESTARTS_THAT_COUNT
    return Finding(reason if counts or reason in CERTAIN else "Restarting", message)


def _last_words(container: str, ended: Object) -> str:
    words = (ended.get("message") or "").strip() or ended.get("reason", "")
    name = "the download" if container == FETCH_CONTAINER else container
    return f"{name} ended with status {ended.get('exitCode')}: {words}"[:LONGEST_MESSAGE]


def _condition(status: Object, kind: str) -> Object:
    for each in status.get("conditions") or ():
        if each["type"] == kind:
            found: Object = each
            return found
    return {}
