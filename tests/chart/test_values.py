"""The values of the chart: every one has an effect, and a wrong one is an error that names it."""

from typing import Any

import pytest
import yaml

from tests.chart.support import CHART, VALUES, Helm
from tools.reference import chart

TEXT = chart.read()
KEYS = {each.path: each for each in chart.values(TEXT)}
LEAVES = [path for path, each in KEYS.items() if not each.is_section]
EVERYTHING = yaml.safe_load((VALUES[0].parent / "everything.yaml").read_text(encoding="utf-8"))
DIGEST = "sha256:" + "1" * 64

# Wrong values, and what the answer names.
WRONG: dict[str, tuple[Any, str]] = {
    "unknown": ({"replicaCount": 3}, "'replicaCount' not allowed"),
    "unknown below": ({"operator": {"replica": 3}}, "'/operator': additional properties 'replica'"),
    "type": ({"operator": {"replicas": "three"}}, "'/operator/replicas': got string, want integer"),
    "bool": ({"crds": {"keep": "yes"}}, "'/crds/keep': got string, want boolean"),
    "choice": ({"operator": {"logLevel": "loud"}}, "'/operator/logLevel': value must be one of"),
    "bound": ({"operator": {"workers": 0}}, "'/operator/workers': minimum: got 0, want 1"),
    "digest": ({"operator": {"image": {"digest": "1234"}}}, "'/operator/image/digest'"),
    "tag in name": ({"model": {"image": {"repository": "kiln:1"}}}, "'/model/image/repository'"),
    "namespace": ({"watchNamespaces": ["Art"]}, "'/watchNamespaces/0'"),
    "namespaces": ({"watchNamespaces": "art"}, "'/watchNamespaces': got string, want array"),
    "twice": (
        {"watchNamespaces": ["art", "art"]},
        "'/watchNamespaces': items at 0 and 1 are equal",
    ),
    "secret": (
        {"imagePullSecrets": ["registry"]},
        "'/imagePullSecrets/0': got string, want object",
    ),
    "label": ({"commonLabels": {"a": 1}}, "'/commonLabels/a': got number, want string"),
    "resources": ({"operator": {"resources": {"cpu": 1}}}, "'/operator/resources'"),
    "interval": ({"monitoring": {"podMonitor": {"interval": "often"}}}, "/podMonitor/interval'"),
    "argument": ({"operator": {"extraArgs": ["workers=2"]}}, "'/operator/extraArgs/0'"),
    "percent": ({"podDisruptionBudget": {"maxUnavailable": "some"}}, "/maxUnavailable'"),
    "flag of ours": (
        {"operator": {"extraArgs": ["--workers=2"]}},
        "operator.extraArgs: --workers=2 is a flag that the chart sets itself",
    ),
    "namespaces as a flag": (
        {"operator": {"extraArgs": ["--namespaces=art"]}},
        "operator.extraArgs: --namespaces=art is a flag that the chart sets itself",
    ),
    "leaders": (
        {"operator": {"leaderElection": False}},
        "operator.replicas: 2 without a leader",
    ),
    "account": ({"serviceAccount": {"create": False}}, "serviceAccount.name: name one that exists"),
    "alert": (
        {"monitoring": {"alerts": {"enabled": True, "disabled": ["KilnHot"]}}},
        "monitoring.alerts.disabled: there is no alert KilnHot; there are: KilnNotReady",
    ),
    "name": ({"fullnameOverride": "k" * 50}, "is longer than 45 characters"),
}

# Another value than that of ``EVERYTHING`` or the default, where the type does not suggest one.
OTHERS: dict[str, Any] = {
    "operator.leaderElection": False,
    "operator.logLevel": "debug",
    "operator.logFormat": "console",
    "operator.image.pullPolicy": "Never",
    "operator.image.digest": DIGEST,
    "operator.extraArgs": ["--host=::"],
    "model.image.digest": DIGEST,
    "monitoring.serviceMonitor.interval": "1m",
    "monitoring.podMonitor.interval": "1m",
    "monitoring.alerts.disabled": ["KilnQueueFull"],
    "podDisruptionBudget.maxUnavailable": "50%",
    "imagePullSecrets": [{"name": "other"}],
    "watchNamespaces": ["art"],
    "serviceAccount.create": False,
    "operator.resources": {"limits": {"cpu": "3"}},
}
# What a value only matters with.
WITH: dict[str, dict[str, Any]] = {
    "operator.leaderElection": {"operator": {"replicas": 1}},
    "operator.image.tag": {"operator": {"image": {"digest": ""}}},
    "serviceAccount.create": {"serviceAccount": {"name": "mine"}},
    "fullnameOverride": {"nameOverride": ""},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_an_error_that_names_it(helm: Helm, name: str) -> None:
    given, said = WRONG[name]
    assert said in helm.refused(values=given)


@pytest.fixture(scope="module")
def everything(helm: Helm) -> str:
    return helm.text(values=EVERYTHING)


@pytest.mark.parametrize("path", LEAVES)
def test_every_value_has_an_effect(helm: Helm, everything: str, path: str) -> None:
    below = merged(EVERYTHING, WITH.get(path, {}))
    before = helm.text(values=below) if path in WITH else everything
    assert helm.text(values=merged(below, changed(path, below))) != before


@pytest.mark.parametrize("file", VALUES, ids=lambda each: each.stem)
def test_lint_finds_nothing(helm: Helm, file: Any) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), "-f", str(file))


def test_lint_finds_nothing_in_the_defaults(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART))


def test_nothing_is_said_of_keys_that_are_not_there() -> None:
    assert set(chart.MORE) - set(KEYS) == set()


def test_other_charts_may_include_it(helm: Helm) -> None:
    helm.template(values={"global": {"imageRegistry": "registry.example.org"}})


def changed(path: str, below: dict[str, Any]) -> dict[str, Any]:
    """Values in which this one is another."""
    now: Any = merged(yaml.safe_load(TEXT), below)
    for key in path.split("."):
        now = now[key]
    value = OTHERS[path] if path in OTHERS else other(now)
    assert value != now
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def other(value: Any) -> Any:
    """Another one of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}other"
        case list():
            return [*value, {"name": "other"}]
        case _:
            return {**value, "other": "other"}


def merged(below: Any, above: Any) -> Any:
    """As Helm merges values."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merged(below.get(key), each) for key, each in above.items()}}
