"""The tiers of tests, and the table that ends every run: what ran, and what did not and why.

Nothing is skipped silently: where ``CI`` is set, a skip whose reason is not in ``PERMITTED_SKIPS``
fails the run. The table also names a tier that exists and was not run at all.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent

# Folder below tests/ -> tier; the longest that fits counts. The marker gpu makes a tier of its own.
TIERS = {
    "unit": "unit",
    "contract": "contract",
    "integration": "integration",
    "integration/families": "families",
    "chart": "chart",
    "cluster": "cluster",
}
GPU = "gpu"
NO_GPU = "no GPU"
NOT_OURS = "KUBECONFIG names a cluster that is not ours to stop"

# Tier -> reasons for which its tests may be skipped even in CI.
PERMITTED_SKIPS = {GPU: (NO_GPU,), "cluster": (NOT_OURS,)}


@dataclass(slots=True)
class Tally:
    """``reasons`` counts the tests that did not run, by reason."""

    passed: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def ran(self) -> int:
        return self.passed + self.failed

    def skipped(self) -> str:
        """``not asked for`` stands for a tier of which not even one test was collected."""
        if not self.ran and not self.reasons:
            return "not asked for"
        return ", ".join(f"{reason} ({count})" for reason, count in self.reasons.most_common())


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        # Workers that each use every core would spend the cores on waiting for one another.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    config.addinivalue_line("markers", f"{GPU}: needs a GPU")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Tell which signal or status ended a worker: pytest-xdist says only that it is gone."""
    if error:
        status = node.gateway._io.popen.wait(10)
        print(f"\nworker {node.gateway.id} ended with status {status}", flush=True)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    if _has_gpu():
        return
    for item in items:
        if item.get_closest_marker(GPU):
            item.add_marker(pytest.mark.skip(reason=NO_GPU))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped something it should not have."""
    if _in_ci() and _silent_skips(_reporter(session.config)) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tallies = _tallies(terminalreporter)
    header = ("tier", "ran", "passed", "failed", "skipped because")
    rows = [
        (tier, str(tally.ran), str(tally.passed), str(tally.failed), tally.skipped())
        for tier, tally in tallies.items()
    ]
    terminalreporter.section("tiers")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line(" | ".join(cells).rstrip())
    if _in_ci():
        for place, reason in _silent_skips(terminalreporter):
            terminalreporter.write_line(
                f"{place}: skipped in CI without a permitted reason: {reason}", red=True
            )


def _tier(report: pytest.TestReport | pytest.CollectReport | pytest.Item) -> str:
    """By marker, else by folder; a folder that nobody listed is its own tier."""
    if GPU in getattr(report, "keywords", ()):
        return GPU
    folder = Path(report.nodeid.partition("::")[0]).parent.relative_to(TESTS.name).as_posix()
    fitting = [each for each in TIERS if f"{folder}/".startswith(f"{each}/")]
    return TIERS[max(fitting, key=len)] if fitting else folder.partition("/")[0]


def _tallies(reporter: pytest.TerminalReporter) -> dict[str, Tally]:
    # A tier that exists has a row even when nothing of it was collected.
    tallies = {tier: Tally() for folder, tier in TIERS.items() if (TESTS / folder).is_dir()}

    def of(report: pytest.TestReport | pytest.CollectReport | pytest.Item) -> Tally:
        return tallies.setdefault(_tier(report), Tally())

    for outcome in ("passed", "xpassed"):
        for report in reporter.stats.get(outcome, ()):
            of(report).passed += 1
    for outcome in ("failed", "error"):
        for report in reporter.stats.get(outcome, ()):
            of(report).failed += 1
    for report in _skipped(reporter):
        of(report).reasons[_reason(report)] += 1
    for item in reporter.stats.get("deselected", ()):
        of(item).reasons["not selected"] += 1
    return tallies


def _skipped(
    reporter: pytest.TerminalReporter,
) -> Iterator[pytest.TestReport | pytest.CollectReport]:
    # An expected failure is a test that proves nothing, so it counts as skipped.
    yield from reporter.stats.get("skipped", ())
    yield from reporter.stats.get("xfailed", ())


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def _silent_skips(reporter: pytest.TerminalReporter) -> list[tuple[str, str]]:
    found = []
    for report in _skipped(reporter):
        reason = _reason(report)
        if reason not in PERMITTED_SKIPS.get(_tier(report), ()):
            found.append((report.nodeid, reason))
    return found


def _reporter(config: pytest.Config) -> pytest.TerminalReporter:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(reporter, pytest.TerminalReporter)
    return reporter


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))
