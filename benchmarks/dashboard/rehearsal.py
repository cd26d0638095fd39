"""Everything that the dashboard and the alerts speak of, happening: real servers that load, warm
up, serve, refuse and die, and a real operator with services to look after, before the eyes of a
real Prometheus. Only the pods are processes of this machine.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from controller.api import names
from controller.api.kinds import SERVICE

from ..errors import NotMeasurable
from ..operators.accounts import make_account, shipped_rules, write_kubeconfig
from ..operators.api import Api
from ..process import POLL_SECONDS, Process
from ..rest import RestClient
from ..server import free_ports
from .patience import SECONDS, until
from .pod import LIVE, READY, Pod
from .prometheus import HOST, Prometheus, Target, running_prometheus
from .traffic import COLD, ENDLESS, HURRIED, WARM

ALERTS: Final = Path(__file__).parents[2] / "charts/kiln/files/alerts.yaml"
NAMESPACE: Final = "art"
OPERATOR: Final = "kiln-operator-1"
RESYNC_SECONDS: Final = 5
# Two servers and the operator.
TARGETS: Final = 3
# A place in the queue less than the crowd needs, and two sizes that are warm.
HEALTHY: Final = ("--queue-size", "2", "--warmup-resolutions", "128x128,192x128")
# Its warmup has no time at all, and it is Ready nevertheless.
DEGRADED: Final = ("--warmup-request-timeout", "0.001", "--warmup-on-failure", "degraded")
# One that waits for a node, one that is suspended, one that asks for what the cluster lacks.
SERVICES: Final[dict[str, dict[str, Any]]] = {
    "fox": {},
    "owl": {"suspend": True},
    "hen": {"monitoring": {"podMonitor": True}},
}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """``fox`` was in health all the time; the engine of ``owl`` was killed, and its container
    started again. ``start`` and ``end``: in seconds since 1970; by the end, everything was scraped,
    and the rules had seen it.
    """

    prometheus: Prometheus
    fox: Pod
    owl: Pod
    start: float
    end: float


@contextlib.contextmanager
def rehearsed(
    admin: Path, folder: Path, *, namespace: str, seconds: float, scrape: float
) -> Iterator[Rehearsal]:
    """Prometheus, with everything in it, while the block runs. ``admin``: kubeconfig of a cluster
    that serves DiffusionServices. ``seconds``: for which users come. ``scrape``: seconds between
    two scrapes.

    Raises:
        NotMeasurable: something did not come to what it should.
    """
    fox, owl = Pod("fox-1", folder, *HEALTHY), Pod("owl-1", folder, *DEGRADED)
    (operator_port,) = free_ports(1)
    targets = {
        "models": [Target(each.port, namespace, each.name) for each in (fox, owl)],
        "operator": [Target(operator_port, namespace, OPERATOR)],
    }
    with running_prometheus(folder, targets, ALERTS, scrape) as prometheus:
        start = time.time()
        until(lambda: prometheus.now("ALERTS"), "alert, of an operator that is not there yet")
        with contextlib.ExitStack() as stack:
            api = stack.enter_context(contextlib.closing(Api(admin)))
            make_account(api, namespace, shipped_rules())
            stack.callback(api.call, "DELETE", f"/api/v1/namespaces/{namespace}")
            stack.enter_context(fox.running())
            stack.enter_context(_operator(api, admin, folder, namespace, operator_port))
            # What comes before the first look is no increase to Prometheus.
            until(lambda: prometheus.now(f'up{{pod="{OPERATOR}"}} == 1'), "scrape of the operator")
            _apply(api, namespace)
            with owl.running():
                _before_the_kill(fox, owl, seconds / 2)
            stack.enter_context(owl.running())
            _after_it(fox, owl, seconds / 2)
            happened = time.time()
            until(lambda: _looked_since(prometheus, happened), "scrape of all that happened")
            # Rules are evaluated as of a moment that may be an interval old.
            scraped = time.time() + scrape
            until(lambda: prometheus.evaluated() > scraped, "look of the rules at all of it")
            yield Rehearsal(prometheus, fox, owl, start, time.time())


def _before_the_kill(fox: Pod, owl: Pod, seconds: float) -> None:
    """What users do, some of them too early; and what fate does in the end."""
    for each in (fox, owl):
        each.until(LIVE)
        each.users.ask(WARM[0])
    for each in (fox, owl):
        each.until(READY)
    _serve(fox, owl, seconds)
    with ThreadPoolExecutor(1) as pool:
        doomed = pool.submit(owl.users.ask, ENDLESS)
        owl.until_busy()
        owl.kill_engine()
        if (status := doomed.result()) != HTTPStatus.SERVICE_UNAVAILABLE:
            raise NotMeasurable(f"a request of a killed engine got {status}, and not 503")


def _after_it(fox: Pod, owl: Pod, seconds: float) -> None:
    _serve(fox, owl, seconds)
    # Once in all: what is counted from its first event on would not be seen.
    fox.users.ask(HURRIED)
    owl.until(READY)
    owl.users.ask(COLD)


def _serve(fox: Pod, owl: Pod, seconds: float) -> None:
    """One round at least."""
    deadline = time.monotonic() + seconds
    while True:
        fox.users.round()
        if owl.ready():
            owl.users.ask(WARM[0])
        if time.monotonic() > deadline:
            return


@contextlib.contextmanager
def _operator(api: Api, admin: Path, folder: Path, namespace: str, port: int) -> Iterator[None]:
    """With the rights that ship, and services to look after."""
    kubeconfig = folder / "operator.kubeconfig"
    write_kubeconfig(api, namespace, admin, kubeconfig)
    command = [
        *(sys.executable, "-m", "controller", "run", "--kubeconfig", str(kubeconfig)),
        *("--host", HOST, "--port", str(port), "--resync", str(RESYNC_SECONDS)),
        *("--namespaces", namespace, "--lease-namespace", namespace, "--log-format", "json"),
    ]
    with (
        (folder / "operator.log").open("w+b") as log,
        Process("the operator", command, log) as process,
        contextlib.closing(RestClient(HOST, port)) as rest,
    ):
        while "leading" not in rest.answer("/readyz")[1]:
            process.check("leader", SECONDS)
            time.sleep(POLL_SECONDS)
        yield


def _apply(api: Api, namespace: str) -> None:
    for name, spec in SERVICES.items():
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"backend": "Deployment", **spec},
        }
        api.call("POST", SERVICE.path(namespace), body)


def _looked_since(prometheus: Prometheus, end: float) -> bool:
    """Everything was scraped after ``end``, and found."""
    times = prometheus.now("timestamp(up == 1)")
    return len(times) == TARGETS and all(each.last > end for each in times)
