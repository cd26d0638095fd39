"""Prometheus: a real one that scrapes what it is told to, and questions for any."""

import contextlib
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final

import yaml

from tools.cluster.build import build_all
from tools.cluster.families import CHART_FAMILIES

from ..process import POLL_SECONDS, Process
from ..server import free_ports

TIMEOUT_SECONDS: Final = 30.0
START_SECONDS: Final = 60.0
HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one set of labels: time in seconds -> value. What is no number is left out, as
    where nothing was divided by nothing."""

    labels: dict[str, str]
    values: dict[float, float]

    @property
    def last(self) -> float:
        return self.values[max(self.values)]

    @property
    def most(self) -> float:
        return max(self.values.values())


@dataclass(frozen=True, slots=True)
class Target:
    """A pod's port for metrics, with the labels that a PodMonitor gives what it scrapes there."""

    port: int
    namespace: str
    pod: str


@dataclass(frozen=True, slots=True)
class Prometheus:
    """At an address such as ``http://localhost:9090``."""

    url: str

    def now(self, query: str) -> list[Series]:
        """What a query gives at this moment.

        Raises:
            OSError: it does not answer, or takes the query for wrong.
        """
        found = self._ask("query", query=query)["result"]
        return _filled(_series(each["metric"], [each["value"]]) for each in found)

    def over(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """The same from ``start`` to ``end``, at each ``step``; all in seconds."""
        found = self._ask("query_range", query=query, start=start, end=end, step=step)["result"]
        return _filled(_series(each["metric"], each["values"]) for each in found)

    def rules(self) -> list[dict[str, Any]]:
        """Each rule, with its health."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def evaluated(self) -> float:
        """When the rule that waits longest was last evaluated, in seconds since 1970."""
        times = (datetime.fromisoformat(each["lastEvaluation"]) for each in self.rules())
        return min(each.timestamp() for each in times)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=TIMEOUT_SECONDS):  # noqa: S310
                return True
        except OSError:
            return False

    def _ask(self, what: str, **parameters: str | float) -> Any:
        asked = urllib.parse.urlencode(parameters)
        url = f"{self.url}/api/v1/{what}?{asked}"
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return json.load(answer)["data"]


def program() -> Path:
    """Built where it is missing.

    Raises:
        GoMissing: there is nothing to build it with.
    """
    return build_all({"prometheus": CHART_FAMILIES["prometheus"]})["prometheus"] / "prometheus"


@contextlib.contextmanager
def running_prometheus(
    folder: Path, targets: Mapping[str, list[Target]], rules: Path, seconds: float
) -> Iterator[Prometheus]:
    """One that scrapes and evaluates every ``seconds``. ``targets``: by the scrape's name.

    Raises:
        NotMeasurable: it does not start; with the end of its log.
    """
    (port,) = free_ports(1)
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(_config(targets, rules, seconds)), encoding="utf-8")
    command = [
        *(str(program()), f"--config.file={config}"),
        *(f"--storage.tsdb.path={folder / 'samples'}", f"--web.listen-address={HOST}:{port}"),
    ]
    prometheus = Prometheus(f"http://{HOST}:{port}")
    with (
        (folder / "prometheus.log").open("w+b") as log,
        Process("Prometheus", command, log) as process,
    ):
        while not prometheus.ready():
            process.check("answer", START_SECONDS)
            time.sleep(POLL_SECONDS)
        yield prometheus


def _config(targets: Mapping[str, list[Target]], rules: Path, seconds: float) -> dict[str, Any]:
    every = f"{seconds:g}s"
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(rules.resolve())],
        "scrape_configs": [
            {
                "job_name": name,
                "static_configs": [
                    {
                        "targets": [f"{HOST}:{each.port}"],
                        "labels": {"namespace": each.namespace, "pod": each.pod},
                    }
                    for each in several
                ],
            }
            for name, several in targets.items()
        ],
    }


def _filled(several: Iterable[Series]) -> list[Series]:
    return [each for each in several if each.values]


def _series(labels: dict[str, str], values: list[tuple[float, str]]) -> Series:
    numbers = {float(at): float(value) for at, value in values}
    return Series(labels, {at: value for at, value in numbers.items() if isfinite(value)})
