"""The page of metrics, from the one module that defines them."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from model.contract.state import State
from model.telemetry.metrics import OUTCOMES, Metrics

from .tables import table

HEADER = ("metric", "type", "labels", "meaning")
INTRODUCTION = """# Metrics

<!-- Generated from model/telemetry/metrics.py by `make generate`. -->

`GET /metrics` on the HTTP port answers in Prometheus' text format, from the first second on. Warmup
requests are counted in the warmup metrics alone. No label holds what a client sent. KServe's own
metrics appear beside these.

"""


def render() -> str:
    """The whole page."""
    metrics = vars(Metrics(CollectorRegistry())).values()
    rows = [_row(each) for each in metrics if isinstance(each, MetricWrapperBase)]
    return (
        INTRODUCTION
        + table(HEADER, rows)
        + f"\n`state` is one of {_words(State)}.\n\n`outcome` is one of {_words(OUTCOMES)}.\n"
    )


def _row(metric: MetricWrapperBase) -> tuple[str, str, str, str]:
    described = next(iter(metric.describe()))
    # A counter is shown with the suffix that it is scraped with.
    name = described.name + ("_total" if described.type == "counter" else "")
    labels = ", ".join(f"`{each}`" for each in metric._labelnames)
    return f"`{name}`", described.type, labels, described.documentation


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in words)
