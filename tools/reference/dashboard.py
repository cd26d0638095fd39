"""Grafana's dashboard, from a table of panels. Its JSON is long and says little: this is it.

``$namespace`` and ``$pod`` are chosen at the top of the page. A metric that no panel of the table
shows gets a plain one in the last row, so that none is forgotten.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from controller.metrics import Metrics as Operator
from model.telemetry.metrics import Metrics as Server

Object = dict[str, Any]

UID: Final = "kiln"
SCHEMA_VERSION: Final = 41
WIDTH: Final = 24
HEIGHT: Final = 8
# Stands for the Prometheus that is chosen at the top.
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
LEGEND: Final = {"showLegend": True, "displayMode": "list", "placement": "bottom"}
# By kind of panel.
OPTIONS: Final[dict[str, Object]] = {
    "timeseries": {},
    # The rows have their names, and need no words in them.
    "state-timeline": {"showValue": "never", "mergeValues": True, "rowHeight": 0.9},
}
WHERE: Final = '{namespace=~"$namespace", pod=~"$pod"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """``queries``: legend -> PromQL. ``unit``: in Grafana's words. ``width``: of 24."""

    title: str
    meaning: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8


def _quantile(share: float, metric: str, by: str = "") -> str:
    labels = ", ".join(each for each in ("le", by) if each)
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({metric}_bucket{WHERE}[5m])))"


def _quantiles(metric: str, *shares: float) -> dict[str, str]:
    return {f"p{share * 100:g}": _quantile(share, metric) for share in shares}


ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Readiness": (
        Panel(
            "State",
            "When each pod was in which state. Users are served in ready alone.",
            {"{{pod}} {{state}}": f"kiln_state{WHERE} == 1"},
            kind="state-timeline",
        ),
        Panel(
            "Warmup",
            "Shapes that are done, and shapes of the plan.",
            {
                "{{pod}} done": f"kiln_warmup_shapes_done{WHERE}",
                "{{pod}} planned": f"kiln_warmup_shapes{WHERE}",
            },
        ),
        Panel(
            "Start",
            "Seconds from the process' start to each milestone.",
            {"{{pod}} {{milestone}}": f"kiln_startup_seconds{WHERE}"},
            unit="s",
        ),
        Panel(
            "First over steady",
            "The first pass of warmup over the last: what the first user would have paid.",
            {"{{shape}}": f"max by (shape) (kiln_first_over_steady{WHERE})"},
            unit="percentunit",
        ),
        Panel(
            "Warmup passes",
            "Seconds of each pass, by shape. The last two agree.",
            {"{{shape}} {{number}}": f"max by (shape, number) (kiln_warmup_pass_seconds{WHERE})"},
            unit="s",
        ),
        Panel(
            "Less warm than planned",
            "1 where warmup failed, and how many shapes memory did not suffice for.",
            {
                "{{pod}} failed": f"kiln_warmup_failed{WHERE}",
                "{{pod}} degraded": f"kiln_warmup_degraded_shapes{WHERE}",
            },
        ),
        Panel(
            "Cold requests",
            "Requests a second whose shape no warmup had proven. Add their shapes to spec.warmup.",
            {"{{pod}}": f"sum by (pod) (rate(kiln_cold_shape_requests_total{WHERE}[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Compiles after Ready",
            "Must be 0.",
            {
                "{{pod}} {{kind}}": "sum by (pod, kind) "
                f"(increase(kiln_compiles_after_ready_total{WHERE}[5m]))"
            },
        ),
        Panel(
            "Uncompiled requests",
            "Requests a second of servers that compile, for which no code fitted. Warm: must be 0.",
            {
                "{{pod}} {{shape}}": "sum by (pod, shape) "
                f"(rate(kiln_eager_requests_total{WHERE}[5m]))"
            },
            unit="reqps",
        ),
    ),
    "Requests": (
        Panel(
            "Requests by outcome",
            "Rejected: the queue was full. Not ready: before the pod was warm.",
            {"{{outcome}}": f"sum by (outcome) (rate(kiln_requests_total{WHERE}[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Seconds from arrival to answer",
            "Of requests that succeeded.",
            _quantiles("kiln_request_seconds", 0.5, 0.95, 0.99),
            unit="s",
        ),
        Panel(
            "Queue",
            "Requests that wait, and all that are not answered yet.",
            {
                "{{pod}} waiting": f"kiln_queue_depth{WHERE}",
                "{{pod}} in flight": f"kiln_requests_in_flight{WHERE}",
            },
        ),
        Panel(
            "Stages",
            "Where the time goes, at the median.",
            {"{{stage}}": _quantile(0.5, "kiln_stage_seconds", "stage")},
            unit="s",
        ),
        Panel(
            "One denoising step",
            "The measure of the device.",
            _quantiles("kiln_step_seconds", 0.5, 0.95),
            unit="s",
        ),
        Panel(
            "Pictures",
            "Drawn a second.",
            {"{{pod}}": f"sum by (pod) (rate(kiln_images_total{WHERE}[5m]))"},
        ),
        Panel(
            "Prompts that no text encoder had to read",
            "Share of the prompt cache's hits.",
            {
                "hits": f"sum(rate(kiln_prompt_cache_hits_total{WHERE}[5m])) / (sum(rate("
                f"kiln_prompt_cache_hits_total{WHERE}[5m])) + "
                f"sum(rate(kiln_prompt_cache_misses_total{WHERE}[5m])))"
            },
            unit="percentunit",
        ),
        Panel(
            "Prompt cache",
            "Device memory that holds encoded prompts.",
            {"{{pod}}": f"kiln_prompt_cache_bytes{WHERE}"},
            unit="bytes",
        ),
        Panel(
            "Device memory",
            "The most that a request took.",
            {"{{pod}}": f"kiln_device_memory_peak_bytes{WHERE}"},
            unit="bytes",
        ),
    ),
    "Roles": (
        Panel(
            "Replicas of each role",
            "As their router sees them. Proven ones take work; away: proven, and not serving now.",
            {"{{role}} {{state}}": f"sum by (role, state) (kiln_replicas{WHERE}) > 0"},
        ),
        Panel(
            "Seconds of a stage",
            "At the median, from sending it to having its result.",
            {"{{role}}": _quantile(0.5, "kiln_role_seconds", "role")},
            unit="s",
        ),
        Panel(
            "Seconds between the roles",
            "Of these, what no role computed: waiting, and the way.",
            {"{{role}}": _quantile(0.5, "kiln_hop_seconds", "role")},
            unit="s",
        ),
        Panel(
            "Bytes between the roles",
            "Of tensors, a second.",
            {
                "{{role}} {{direction}}": "sum by (role, direction) "
                f"(rate(kiln_hop_bytes_total{WHERE}[5m]))"
            },
            unit="bytes",
        ),
        Panel(
            "Stages done twice",
            "A second: a replica lost them, and another one did them.",
            {"{{role}}": f"sum by (role) (rate(kiln_stage_retries_total{WHERE}[5m]))"},
            unit="ops",
        ),
    ),
    "Operator": (
        Panel(
            "Services by phase",
            "As the leader counts them.",
            {"{{phase}}": "max by (phase) (kiln_operator_services) > 0"},
        ),
        Panel(
            "Reconciles",
            "A second, by result.",
            {"{{result}}": "sum by (result) (rate(kiln_operator_reconciles_total[5m]))"},
            unit="ops",
        ),
        Panel(
            "Seconds of a reconcile",
            "At the 95th percentile, and how long services waited for it.",
            {
                "reconcile": "histogram_quantile(0.95, sum by (le) "
                "(rate(kiln_operator_reconcile_seconds_bucket[5m])))",
                "queue": "histogram_quantile(0.95, sum by (le) "
                "(rate(kiln_operator_queue_seconds_bucket[5m])))",
            },
            unit="s",
        ),
        Panel(
            "Services that wait",
            "For their reconcile.",
            {"{{pod}}": "kiln_operator_queue_depth"},
        ),
        Panel(
            "Missed changes",
            "A second, which no watch told and a comparison found. In health: none.",
            {"{{pod}}": "sum by (pod) (rate(kiln_operator_missed_changes_total[5m]))"},
            unit="ops",
        ),
        Panel(
            "Writes",
            "Writes a second. In a cluster at rest: none.",
            {"{{verb}} {{kind}}": "sum by (verb, kind) (rate(kiln_operator_writes_total[5m]))"},
            unit="ops",
        ),
        Panel(
            "Leader",
            "1 for who leads.",
            {"{{pod}}": "kiln_operator_leader"},
        ),
        Panel(
            "Age of what it knows",
            "Seconds since the leader last compared it with the cluster.",
            {"{{pod}}": "kiln_operator_watch_age_seconds"},
            unit="s",
        ),
    ),
}


def _more() -> tuple[Panel, ...]:
    """Of what is exported and shown nowhere else."""
    shown = " ".join(
        query for panels in ROWS.values() for each in panels for query in each.queries.values()
    )
    metrics = (*vars(Server(CollectorRegistry())).values(), *vars(Operator()).values())
    described = [
        next(iter(each.describe())) for each in metrics if isinstance(each, MetricWrapperBase)
    ]
    return tuple(
        Panel(each.name, each.documentation, PLAIN[each.type](each.name))
        for each in described
        if not re.search(rf"\b{each.name}(_total|_bucket)?\b", shown)
    )


PLAIN: Final[dict[str, Callable[[str], dict[str, str]]]] = {
    "gauge": lambda name: {"{{pod}}": f"{name}{WHERE}"},
    "counter": lambda name: {"{{pod}}": f"sum by (pod) (rate({name}_total{WHERE}[5m]))"},
    "histogram": lambda name: _quantiles(name, 0.5, 0.95),
}


def dashboard() -> str:
    """As Grafana imports it."""
    whole = {
        "uid": UID,
        "title": "Kiln",
        "description": "Model servers and the operator.",
        "tags": ["kiln", "diffusion"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_numbered(_panels())),
    }
    return json.dumps(whole, indent=1) + "\n"


def _variables() -> Iterator[Object]:
    yield {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    for name, query in (
        ("namespace", "label_values(kiln_state, namespace)"),
        ("pod", 'label_values(kiln_state{namespace=~"$namespace"}, pod)'),
    ):
        yield {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "definition": query,
            # At each change of the times: pods come and go.
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }


def _panels() -> Iterator[Object]:
    top = 0
    more = _more()
    for title, panels in (ROWS | {"More": more} if more else ROWS).items():
        yield {"type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}}
        top, left = top + 1, 0
        for each in panels:
            if left + each.width > WIDTH:
                top, left = top + HEIGHT, 0
            yield _panel(each, left, top)
            left += each.width
        top += HEIGHT


def _panel(panel: Panel, left: int, top: int) -> Object:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": SOURCE,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {**OPTIONS[panel.kind], "legend": LEGEND},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _numbered(panels: Iterable[Object]) -> Iterator[Object]:
    for number, each in enumerate(panels, start=1):
        yield {"id": number, **each}
