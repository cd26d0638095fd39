"""DiffusionServices, and pods whose state the test writes, since nobody runs them here."""

import contextlib
import json
from typing import Any

from tests.cluster.support.kubectl import Kubectl, Refused
from tests.integration.support.server import wait_until

SECONDS = 60.0
SERVER = "kserve-container"
Object = dict[str, Any]


class Services:
    """Of one namespace. ``seconds``: how long anything of theirs may take."""

    def __init__(self, kubectl: Kubectl, seconds: float = SECONDS) -> None:
        self.kubectl = kubectl
        self.seconds = seconds

    def apply(self, name: str, **spec: Any) -> None:
        """With the Deployment backend, unless the spec says otherwise."""
        self.kubectl.apply(self.body(name, backend=spec.pop("backend", "Deployment"), **spec))

    def body(self, name: str, **spec: Any) -> Object:
        return {
            "apiVersion": "kiln.dev/v1alpha1",
            "kind": "DiffusionService",
            "metadata": {"name": name, "namespace": self.kubectl.namespace},
            "spec": spec,
        }

    def get(self, name: str) -> Object:
        return self.kubectl.get("diffusionservice", name)

    def status(self, name: str) -> Object:
        found: Object = self.get(name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> Object:
        conditions = self.status(name).get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), {})

    def until(self, name: str, reason: str) -> Object:
        """Until Ready has this reason for the newest spec; return the object."""

        def so() -> Object | None:
            found = self.get(name)
            status = found.get("status", {})
            if status.get("observedGeneration") != found["metadata"]["generation"]:
                return None
            ready = [each for each in status.get("conditions", ()) if each["type"] == "Ready"]
            return found if ready and ready[0]["reason"] == reason else None

        try:
            return wait_until(so, f"{name} is {reason}", self.seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.condition(name, 'Ready')}") from error

    def pods(self, service: str, role: str = "monolithic", count: int = 1) -> list[str]:
        """Names of the pods of one role, as soon as there are so many."""
        selector = f"kiln.dev/service={service},kiln.dev/role={role}"

        def found() -> tuple[list[str]] | None:
            names = _living(self.kubectl, selector)
            return (names,) if len(names) == count else None

        (names,) = wait_until(found, f"{count} pods of {service} {role}", self.seconds)
        return names

    def warm(self, service: str, *roles: str) -> bool:
        """Make every pod that there is Ready, or those of some roles; one may be gone before
        that.
        """
        of_roles = f",kiln.dev/role in ({','.join(roles)})" if roles else ""
        for pod in _living(self.kubectl, f"kiln.dev/service={service}{of_roles}"):
            with contextlib.suppress(Refused):
                self.ready(pod)
        return True

    def play(self, pod: str, **status: Any) -> None:
        """Write a pod's status, as its kubelet would."""
        patch = json.dumps({"status": status})
        self.kubectl.run("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", patch)

    def ready(self, pod: str) -> None:
        self.play(pod, **running(ready=True))

    def make_ready(self, service: str, role: str = "monolithic", count: int = 1) -> None:
        """All pods of one role."""
        for each in self.pods(service, role, count):
            self.ready(each)


def _living(kubectl: Kubectl, selector: str) -> list[str]:
    items = kubectl.get("pods", "--selector", selector)["items"]
    living = [each for each in items if not each["metadata"].get("deletionTimestamp")]
    return sorted(each["metadata"]["name"] for each in living)


def running(*, ready: bool, restarts: int = 0, last: Object | None = None) -> Object:
    """The status of a pod whose server runs."""
    truth = "True" if ready else "False"
    return {
        "phase": "Running",
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": truth},
            {"type": "ContainersReady", "status": truth},
        ],
        "containerStatuses": [
            {
                **container(restarts),
                "ready": ready,
                "started": ready,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                "lastState": {"terminated": last} if last else {},
            }
        ],
    }


def waiting(
    reason: str, message: str = "", restarts: int = 0, last: Object | None = None
) -> Object:
    """The status of a pod whose server waits."""
    return {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {
                **container(restarts),
                "ready": False,
                "started": False,
                "state": {"waiting": {"reason": reason, "message": message}},
                "lastState": {"terminated": last} if last else {},
            }
        ],
    }


def ended(code: int, message: str = "", reason: str = "Error") -> Object:
    """How a container ended."""
    return {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:01:00Z",
    }


def container(restarts: int) -> Object:
    return {
        "name": SERVER,
        "image": "kiln-model:1",
        "imageID": "",
        "restartCount": restarts,
    }


def kstatus(body: Object) -> str:
    """What tools that follow kstatus make of an object: its rules, in their order."""
    status = body.get("status") or {}
    if body["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration") != body["metadata"]["generation"]:
        return "InProgress"
    found = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    if found.get("Stalled") == "True":
        return "Failed"
    if found.get("Reconciling") == "True":
        return "InProgress"
    return "Current" if found.get("Ready", "True") == "True" else "InProgress"
