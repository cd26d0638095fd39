"""Somebody who looks on while pods start, from all sides that could tell a lie: the pods'
readiness, the endpoints that get traffic, the service's own address, and the status.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import httpx

from model.contract.flags import HTTP_PORT, READY_PATH
from tests.cluster.support.kubectl import Kubectl, Object
from tests.cluster.support.watching import Seen, Watch

OK: Final = 200
POLL_SECONDS: Final = 0.1
ASKING_SECONDS: Final = 2.0
FIRED_UP: Final = "The server is fired up and ready to roll!"
# Timelines are rounded to milliseconds.
ROUNDING: Final = 0.002


@dataclass(frozen=True, slots=True)
class Answer:
    """``at``: when it came. ``status``: 0 where nobody answered."""

    at: float
    host: str
    status: int


class Witness:
    """A context manager. ``service``: the DiffusionService's name; ``front``: that of the Service
    that its users reach.
    """

    def __init__(self, kubectl: Kubectl, service: str, front: str) -> None:
        namespaced = f"namespaces/{kubectl.namespace}"
        self._kubectl = kubectl
        self._service, self._front = service, front
        self._pods = Watch(
            kubectl,
            f"/api/v1/{namespaced}/pods",
            labelSelector=f"kiln.dev/service={service}",
        )
        self._slices = Watch(
            kubectl,
            f"/apis/discovery.k8s.io/v1/{namespaced}/endpointslices",
            labelSelector=f"kubernetes.io/service-name={front}",
        )
        self._statuses = Watch(
            kubectl,
            f"/apis/kiln.dev/v1alpha1/{namespaced}/diffusionservices",
            fieldSelector=f"metadata.name={service}",
        )
        self._services = Watch(
            kubectl, f"/api/v1/{namespaced}/services", fieldSelector=f"metadata.name={front}"
        )
        self._watches = (self._pods, self._slices, self._statuses, self._services)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        for each in self._watches:
            each.__enter__()
        self.began = time.time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for each in self._watches:
            each.__exit__()

    # -- what was seen --------------------------------------------------------------------------

    @property
    def addresses(self) -> dict[str, str]:
        """Of each pod that ever was, by its name."""
        found = {each.body["metadata"]["name"]: each.body for each in self._pods.seen}
        return {name: body["status"].get("podIP", "") for name, body in found.items()}

    @property
    def front_host(self) -> str | None:
        for each in self._services.seen:
            return str(each.body["spec"]["clusterIP"])
        return None

    def answers_of(self, host: str) -> list[Answer]:
        """In their order."""
        return [each for each in self.answers if each.host == host]

    def ready_endpoint_at(self, address: str) -> float:
        """When traffic could first go there."""
        return first(
            each.at
            for each in self._slices.seen
            for endpoint in each.body.get("endpoints") or ()
            if address in endpoint["addresses"] and endpoint["conditions"].get("ready")
        )

    def pod_condition_at(self, name: str, kind: str) -> float:
        """When a condition of a pod was first seen to be true."""
        return first(
            each.at
            for each in self._pods.seen
            if each.body["metadata"]["name"] == name
            and condition(each.body, kind).get("status") == "True"
        )

    def said(self) -> list[tuple[str, str]]:
        """Phases of the service with Ready's reasons, as they changed."""
        found: list[tuple[str, str]] = []
        for each in self._statuses.seen:
            status = each.body.get("status") or {}
            now = (status.get("phase") or "", condition(each.body, "Ready").get("reason", ""))
            if any(now) and now not in found[-1:]:
                found.append(now)
        return found

    def said_ready_at(self) -> float:
        """When the service first said that it is Ready."""
        return first(each.at for each in self._statuses.seen if says_ready(each))

    # -- asking ---------------------------------------------------------------------------------

    def _ask(self) -> None:
        with httpx.Client(timeout=ASKING_SECONDS, trust_env=False) as client:
            while not self._over.wait(POLL_SECONDS):
                for url, host in tuple(self._asked()):
                    try:
                        status = client.get(url + READY_PATH).status_code
                    except httpx.TransportError:
                        status = 0
                    self.answers.append(Answer(time.time(), host, status))

    def _asked(self) -> Iterator[tuple[str, str]]:
        """Pods that have not said yes, and the service as long as there are such."""
        served = {each.host for each in self.answers if each.status == OK}
        waiting = {each for each in self._living() if each not in served}
        for address in waiting:
            yield f"http://{address}:{HTTP_PORT}", address
        host = self.front_host
        if host and (waiting or host not in served):
            yield f"http://{host}", host

    def _living(self) -> set[str]:
        latest = {each.body["metadata"]["name"]: each for each in tuple(self._pods.seen)}
        there = [each for each in latest.values() if each.kind != "DELETED"]
        addresses = {each.body["status"].get("podIP") for each in there}
        return {str(each) for each in addresses if each}


def first(times: Iterator[float]) -> float:
    """The earliest; never, where there is none."""
    return min(times, default=float("inf"))


def says_ready(seen: Seen) -> bool:
    return condition(seen.body, "Ready").get("status") == "True"


def condition(body: Object, kind: str) -> dict[str, Any]:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


def milestones(kubectl: Kubectl, pod: str) -> dict[str, float]:
    """When its server was live, loaded, warm and Ready, by its own log: seconds since the epoch."""
    for line in kubectl.run("logs", pod).splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == FIRED_UP:
            logged = datetime.fromisoformat(event["timestamp"]).timestamp()
            timeline: dict[str, float] = event["timeline"]
            started = logged - timeline["ready"]
            return {name: started + seconds for name, seconds in timeline.items()}
    raise AssertionError(f"{pod} never said that it is ready")


def check_pod(witness: Witness, kubectl: Kubectl, pod: str) -> dict[str, float]:
    """It was asked while it was cold, and neither it nor its endpoint was ready before it was warm.
    Its milestones.
    """
    address = witness.addresses[pod]
    times = milestones(kubectl, pod)
    warm = times["warm"] - ROUNDING
    answers = witness.answers_of(address)
    cold = [each for each in answers if each.at < warm]
    assert 503 in {each.status for each in cold}, "nobody asked it while it was live and cold"
    assert OK not in {each.status for each in cold}
    assert OK in {each.status for each in answers}
    assert warm <= witness.ready_endpoint_at(address) < float("inf")
    assert warm <= witness.pod_condition_at(pod, "Ready") < float("inf")
    return times
