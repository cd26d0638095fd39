"""A real Prometheus with the chart's alerts watches real servers and a real operator, while
everything happens that the dashboard and the alerts speak of. What it then shows is what happened.
"""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.dashboard.__main__ import main
from benchmarks.dashboard.panels import Panel, Query, panels
from benchmarks.dashboard.prometheus import Series
from benchmarks.dashboard.rehearsal import OPERATOR, Rehearsal, rehearsed
from tests.cluster.conftest import Cluster, established
from tests.cluster.support.kubectl import Kubectl
from tests.integration.support.server import wait_until
from tools.cluster.build import find_go, unbuilt
from tools.cluster.errors import GoMissing
from tools.cluster.families import CHART_FAMILIES

ROOT = Path(__file__).parents[3]
DEFINITION = ROOT / "manifests/crd/diffusionservices.yaml"
FOX, OWL = "fox-1", "owl-1"
SECOND = 1.0
# Prometheus may have to be built first.
pytestmark = pytest.mark.timeout(1800)
MOST_BYTES = 300_000
MODELS = re.compile(r"\$(namespace|pod)\b")
SELECTOR = re.compile(r"kiln_[a-z_]+(?:\{[^}]*\})?")

# No chain of roles is rehearsed: it would take four servers more.
OF_A_CHAIN = re.compile(r"kiln_(replicas|role_seconds|hop_|stage_retries)")

# Lines that stay at 0 here: nothing compiles, there is no GPU, and the operator is told everything.
FLAT = {
    ("Less warm than planned", "{{pod}} degraded"),
    ("Compiles after Ready", "{{pod}} {{kind}}"),
    ("Uncompiled requests", "{{pod}} {{shape}}"),
    ("Device memory", "{{pod}}"),
    ("Missed changes", "{{pod}}"),
}
# Lines that a look once a second may find at 0 each time.
PASSING = {("Queue", "{{pod}} waiting"), ("Services that wait", "{{pod}}")}
# Alert -> whom it names.
RAISED = {
    "KilnNotReady": {FOX, OWL},
    "KilnColdRequests": {FOX, OWL},
    "KilnQueueFull": {FOX},
    "KilnRestarted": {OWL},
    "KilnDegraded": {OWL},
    "KilnServicesNotReady": {"Failed"},
    "KilnOperatorWithoutLeader": {""},
    "KilnReconcilesFail": {OPERATOR},
}
QUIET = ("KilnCompilesAfterReady", "KilnOperatorMissesChanges")
# The counter of the killed engine's requests goes with its server: it is seen, or not.
BY_LUCK = ("KilnEngineLost",)

LINES = [
    pytest.param(panel, query, id=f"{panel.title}: {query.legend}")
    for panel in panels()
    for query in panel.queries
    if not OF_A_CHAIN.search(query.expression)
]


@pytest.fixture(scope="module")
def seen(
    cluster: Cluster, admin: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsal]:
    """What happened, and the Prometheus that saw it."""
    try:
        if unbuilt({"prometheus": CHART_FAMILIES["prometheus"]}):
            find_go()
    except GoMissing as missing:
        pytest.skip(str(missing))
    admin.run("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))
    wait_until(lambda: established(admin, "diffusionservices.kiln.dev"), "it is served")
    with rehearsed(
        cluster.kubeconfig,
        tmp_path_factory.mktemp("rehearsal"),
        namespace=f"test-{secrets.token_hex(4)}",
        seconds=0,
        scrape=SECOND,
    ) as found:
        yield found


def over(seen: Rehearsal, query: str) -> list[Series]:
    """The whole rehearsal."""
    return seen.prometheus.over(query, seen.start, seen.end + SECOND, SECOND)


def test_servers_and_operator_are_scraped(seen: Rehearsal) -> None:
    assert {each.labels["pod"]: each.last for each in seen.prometheus.now("up")} == {
        FOX: 1,
        OWL: 1,
        OPERATOR: 1,
    }


@pytest.mark.parametrize(("panel", "query"), LINES)
def test_every_line_of_the_dashboard_has_data(seen: Rehearsal, panel: Panel, query: Query) -> None:
    found = over(seen, query.filled())
    assert found
    line = (panel.title, query.legend)
    if line not in PASSING:
        assert (max(each.most for each in found) > 0) is (line not in FLAT)


@pytest.mark.parametrize(("panel", "query"), LINES)
def test_the_choice_at_the_top_holds_for_every_line(
    seen: Rehearsal, panel: Panel, query: Query
) -> None:
    if MODELS.search(query.expression):
        assert over(seen, query.filled(pod=FOX))
        assert not over(seen, query.filled(pod="nobody"))
        assert not over(seen, query.filled(namespace="nowhere"))
    else:
        assert "kiln_operator_" in query.expression


def test_what_is_counted_is_what_users_got(seen: Rehearsal) -> None:
    """Exactly; and an increase is seen of each, because each begins at 0."""
    counter = f'kiln_requests_total{{pod="{FOX}"}}'
    counted = {
        each.labels["outcome"]: each.last
        for each in seen.prometheus.now(f"sum by (outcome) ({counter}) > 0")
    }
    answers = seen.fox.users.answers
    assert counted == {
        "ok": answers[200],
        "invalid": answers[400],
        "rejected": answers[429],
        "not_ready": answers[503],
        "deadline": answers[504],
    }
    increased = seen.prometheus.now(f"sum by (outcome) (increase({counter}[1h])) > 0")
    # Who asks the moment the port opens comes before the first scrape.
    early = {"not_ready"}
    assert {each.labels["outcome"] for each in increased} | early == set(counted)


def test_every_rule_can_be_evaluated(seen: Rehearsal) -> None:
    rules = seen.prometheus.rules()
    assert {each["name"] for each in rules} == {*RAISED, *QUIET, *BY_LUCK}
    assert {each["name"]: each.get("lastError") for each in rules if each["health"] != "ok"} == {}


@pytest.mark.parametrize("alert", RAISED)
def test_an_alert_begins_where_it_should(seen: Rehearsal, alert: str) -> None:
    raised = over(seen, f'ALERTS{{alertname="{alert}"}}')
    named = {each.labels.get("pod") or each.labels.get("phase") or "" for each in raised}
    assert named >= RAISED[alert]
    assert not named & ({FOX, OWL, OPERATOR} - RAISED[alert])


@pytest.mark.parametrize("alert", QUIET)
def test_an_alert_is_quiet_although_it_is_asked(seen: Rehearsal, alert: str) -> None:
    """What it looks at is there: it could fire."""
    (query,) = [each["query"] for each in seen.prometheus.rules() if each["name"] == alert]
    for selector in SELECTOR.findall(query):
        assert over(seen, selector)
    assert not over(seen, f'ALERTS{{alertname="{alert}"}}')


def test_the_picture_is_drawn_of_it(
    seen: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dashboard.png"
    words = ["dashboard", str(file), "--prometheus", seen.prometheus.url, "--minutes", "5"]
    monkeypatch.setattr("sys.argv", words)
    assert main() == 0
    assert file.stat().st_size < MOST_BYTES
    with Image.open(file) as picture:
        width, height = picture.size
    assert width > 1000
    assert height > width
