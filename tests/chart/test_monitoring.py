"""Alerts and the dashboard ask for what is exported, and each alert fires when it should."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from controller.metrics import Metrics as OperatorMetrics
from model.telemetry.metrics import Metrics as ServerMetrics
from tests.chart.support import CHART, Helm, Program, the

ALERTS = CHART / "files/alerts.yaml"
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
# Labels that Prometheus adds to what it scrapes from a pod.
SCRAPED = {"namespace", "pod"}
WORDS = re.compile(r"kiln_[a-z_]+")
# The metric, what is in its braces, and the labels of an aggregation or a match.
SELECTORS = re.compile(r"(kiln_[a-z_]+)(?:\{([^}]*)\})?")
BY = re.compile(r"\b(?:by|on) \(([^)]*)\)")

POD = 'namespace="art", pod="fox-1"'
# Alert -> series (as promtool writes them, a sample a minute), the minute by which it fires, and
# the labels that it fires with. With the samples `silent` in their place, it is quiet. `beside` are
# series that are there in both cases.
FIRES: dict[str, dict[str, Any]] = {
    "KilnNotReady": {
        "series": f'kiln_state{{{POD}, state="warming"}}',
        "samples": "1x60",
        "silent": "1x20 0x40",
        "minute": 40,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
    "KilnColdRequests": {
        "series": f"kiln_cold_shape_requests_total{{{POD}}}",
        "samples": "0x5 3x50",
        "silent": "3x60",
        "minute": 15,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
    "KilnCompilesAfterReady": {
        "series": f'kiln_compiles_after_ready_total{{{POD}, kind="recompile"}}',
        "samples": "0x5 1x50",
        "silent": "0x60",
        "minute": 10,
        "labels": {"namespace": "art", "pod": "fox-1", "kind": "recompile"},
    },
    "KilnQueueFull": {
        "series": f'kiln_requests_total{{{POD}, protocol="v2-rest", outcome="rejected"}}',
        "samples": "0+2x60",
        "silent": "7x60",
        "minute": 15,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
    "KilnEngineLost": {
        "series": f'kiln_requests_total{{{POD}, protocol="v2-rest", outcome="engine_lost"}}',
        "samples": "0x5 1x50",
        "silent": "1x60",
        "minute": 10,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
    "KilnRestarted": {
        "series": f"process_start_time_seconds{{{POD}}}",
        "beside": {f'kiln_state{{{POD}, state="ready"}}': "1x60"},
        "samples": "1x5 2x50",
        "silent": "1x60",
        "minute": 10,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
    "KilnDegraded": {
        "series": f"kiln_warmup_degraded_shapes{{{POD}}}",
        "samples": "1x60",
        "silent": "0x60",
        "minute": 10,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
    "KilnServicesNotReady": {
        "series": f'kiln_operator_services{{{POD}, phase="Failed"}}',
        "samples": "2x90",
        "silent": "0x90",
        "minute": 80,
        "labels": {"namespace": "art", "phase": "Failed"},
    },
    "KilnOperatorWithoutLeader": {
        "series": f"kiln_operator_leader{{{POD}}}",
        "samples": "0x60",
        "silent": "1x60",
        "minute": 10,
        "labels": {},
    },
    "KilnOperatorMissesChanges": {
        "series": f"kiln_operator_missed_changes_total{{{POD}}}",
        "samples": "0+1x60",
        "silent": "9x60",
        "minute": 20,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
    "KilnReconcilesFail": {
        "series": f'kiln_operator_reconciles_total{{{POD}, result="failed"}}',
        "samples": "0+1x60",
        "silent": "4x60",
        "minute": 50,
        "labels": {"namespace": "art", "pod": "fox-1"},
    },
}


def exported() -> dict[str, set[str]]:
    """Metric as it is scraped -> its labels, from the registries of server and operator."""
    found: dict[str, set[str]] = {}
    for metrics in (ServerMetrics(CollectorRegistry()), OperatorMetrics()):
        for each in vars(metrics).values():
            if isinstance(each, MetricWrapperBase):
                for name, more in _scraped_names(next(iter(each.describe()))):
                    found[name] = {*each._labelnames, *more, *SCRAPED}
    return found


def _scraped_names(described: Any) -> Iterator[tuple[str, set[str]]]:
    match described.type:
        case "counter":
            yield f"{described.name}_total", set()
        case "histogram":
            yield f"{described.name}_bucket", {"le"}
            yield f"{described.name}_sum", set()
            yield f"{described.name}_count", set()
        case _:
            yield described.name, set()


def queries() -> dict[str, str]:
    """Of the dashboard, by panel; and of the alerts."""
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    return found | {name: rule["expr"] for name, rule in RULES.items()}


QUERIES = queries()
EXPORTED = exported()


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_asks_for_what_is_exported(name: str) -> None:
    query = QUERIES[name]
    metrics = SELECTORS.findall(query)
    assert metrics, "it asks for nothing of ours"
    known: set[str] = set()
    for metric, matchers in metrics:
        assert metric in EXPORTED
        labels = set(re.findall(r"(\w+)[!=]~?\"", matchers))
        assert labels <= EXPORTED[metric], metric
        known |= EXPORTED[metric]
    for labels in BY.findall(query):
        assert {each.strip() for each in labels.split(",")} <= known


@pytest.mark.parametrize(
    ("panel", "legend", "query"),
    [
        pytest.param(panel["title"], target["legendFormat"], target["expr"], id=panel["title"])
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    ],
)
def test_a_legend_shows_labels_that_the_query_keeps(panel: str, legend: str, query: str) -> None:
    kept = {each.strip() for by in BY.findall(query) for each in by.split(",")}
    if not kept:
        kept = set.union(*(EXPORTED[metric] for metric, _ in SELECTORS.findall(query)))
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= kept, panel


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {word for query in QUERIES.values() for word in WORDS.findall(query)}
    sums = {name for name in EXPORTED if name.endswith(("_sum", "_count"))}
    assert set(EXPORTED) - shown - sums == set()


def test_words_in_queries_are_words_of_the_code() -> None:
    from controller.reasons import Phase
    from model.contract.state import State
    from model.telemetry.metrics import COMPILE_KINDS, OUTCOMES

    words = {
        "state": {str(each) for each in State},
        "outcome": set(OUTCOMES),
        "kind": set(COMPILE_KINDS.values()),
        "phase": {str(each) for each in Phase},
        "result": {"unchanged", "changed", "failed", "gone"},
    }
    found = 0
    for query in QUERIES.values():
        for label, text in re.findall(r'(\w+)[!=]~?"([^"$]*)"', query):
            assert set(text.split("|")) <= words[label], query
            found += 1
    assert found >= 5


def test_promtool_accepts_every_query(promtool: Program, tmp_path: Path) -> None:
    """Those of the dashboard too, with its variables filled in."""
    rules = [
        {"record": f"panel:{place}", "expr": re.sub(r"\$(namespace|pod)", ".*", query)}
        for place, query in enumerate(QUERIES.values())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    promtool.run("check", "rules", "--lint=all", "--lint-fatal", str(file), str(ALERTS))


def test_every_alert_fires_when_it_should_and_not_otherwise(
    promtool: Program, tmp_path: Path
) -> None:
    assert set(FIRES) == set(RULES)
    tests = [
        {
            "interval": "1m",
            "name": f"{name} {'fires' if fires else 'is quiet'}",
            "input_series": [
                {"series": case["series"], "values": case["samples" if fires else "silent"]},
                *(
                    {"series": each, "values": text}
                    for each, text in case.get("beside", {}).items()
                ),
            ],
            "alert_rule_test": [
                {
                    "eval_time": f"{case['minute']}m",
                    "alertname": name,
                    "exp_alerts": [_expected(name, case)] if fires else [],
                }
            ],
        }
        for name, case in FIRES.items()
        for fires in (True, False)
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": tests}, sort_keys=False))
    promtool.run("test", "rules", str(file))


def test_every_alert_says_what_to_do() -> None:
    guide = (CHART.parents[1] / "docs/monitoring.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert f"| `{name}` |" in guide


def test_the_chart_ships_both_as_they_are(helm: Helm) -> None:
    enabled = {"alerts": {"enabled": True}, "dashboard": {"enabled": True}}
    found = helm.template(values={"monitoring": enabled})
    groups = the(found, "PrometheusRule")["spec"]["groups"]
    assert groups == yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    shown = the(found, "ConfigMap")["data"]["kiln.json"]
    assert json.loads(shown) == DASHBOARD


def test_an_alert_can_be_left_out(helm: Helm) -> None:
    given = {"enabled": True, "disabled": ["KilnColdRequests"]}
    found = helm.template(values={"monitoring": {"alerts": given}})
    groups = the(found, "PrometheusRule")["spec"]["groups"]
    left = [rule["alert"] for group in groups for rule in group["rules"]]
    assert left == [name for name in RULES if name != "KilnColdRequests"]


def _expected(name: str, case: dict[str, Any]) -> dict[str, Any]:
    rule = RULES[name]
    value = str(case["samples"])[0]
    annotations = {
        key: _filled(text, {**case["labels"], "value": value})
        for key, text in rule["annotations"].items()
    }
    return {"exp_labels": {**rule["labels"], **case["labels"]}, "exp_annotations": annotations}


def _filled(text: str, words: dict[str, str]) -> str:
    text = text.replace("{{ $value }}", words["value"])
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: words[found[1]], text)
