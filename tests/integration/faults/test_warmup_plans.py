"""W04, W26, W28, W35 and W40: declared plans from outside: one that does not fit, a long one, and
one outside of which nothing is served.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

import model
from tests.integration.faults.drills import assert_failed, assert_stopped, draw, metric, outcomes
from tests.integration.support.server import ServerProcess, wait_until
from tests.integration.test_demo import DEAD_PROXIES

Start = Callable[..., ServerProcess]
SIDES = [64 + 16 * each for each in range(20)]
# 200 sizes, of which none is warm in less than some hundredths of a second.
MANY = ",".join(f"{width}x{height}" for width in SIDES for height in SIDES[:10])


def test_w04_a_plan_that_does_not_fit_the_model_ends_the_start(
    start_server: Start, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    server = start_server("--warmup-resolutions", "64x64,100x64", "--warmup-report-path", str(file))
    assert_failed(
        server, 2, "warmup_resolutions: 100x64: both sides must be multiples of 16", "96x64"
    )
    assert "warming" not in [each["now"] for each in server.events("state")]
    written = json.loads(file.read_text())
    assert (written["state"], written["warmup"]["done"]) == ("failed", 0)
    assert "100x64" in written["failure"], "the report is written either way"


def test_w26_a_long_plan_shows_its_progress_and_ends_at_once_when_told(
    start_server: Start,
) -> None:
    server = start_server("--warmup-resolutions", MANY)
    server.wait_state("warming")

    def some_done() -> dict[str, object] | None:
        found: dict[str, object] = server.client.get("/v2/health/ready").json()
        return found if int(str(found["done"])) >= 3 else None

    progress = wait_until(some_done, "three shapes are warm")
    assert (progress["state"], progress["of"]) == ("warming", 200)
    assert float(str(progress["eta_s"])) > 0
    refused = draw(server)
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert int(refused.headers["Retry-After"]) >= 1
    assert "of 200 shapes are warm" in refused.json()["error"]
    assert metric(server, "kiln_warmup_shapes") == 200
    done = metric(server, "kiln_warmup_shapes_done")
    assert server.terminate() == 0
    assert_stopped(server)
    lines = [each["number"] for each in server.events("warmup_shape")]
    assert lines[:3] == ["1/200", "2/200", "3/200"]
    assert done <= len(lines) < 200, "it did not finish the plan first"


def users_figures(server: ServerProcess) -> dict[str, float]:
    """Every counter and histogram that is not of the warmup, and has moved."""
    families = text_string_to_metric_families(server.client.get("/metrics").text)
    return {
        sample.name: sample.value
        for family in families
        if family.name.startswith("kiln_") and family.type in ("counter", "histogram")
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }


def test_w28_w35_w40_only_warm_shapes_are_served_where_the_server_was_told_so(
    start_server: Start, tmp_path: Path
) -> None:
    file, temporary = tmp_path / "report.json", tmp_path / "temporary"
    temporary.mkdir()
    server = start_server(
        *("--warmup-resolutions", "64x64,96x64", "--warmup-tasks", "text-to-image,image-to-image"),
        *("--unwarmed-shapes", "reject", "--warmup-report-path", str(file)),
        environment={**DEAD_PROXIES, "TMPDIR": str(temporary)},
    ).wait_ready()
    shapes = {each["shape"] for each in server.metadata()["warmup"]["shapes"]}
    assert len(shapes) == 4
    # W28: nobody has asked for anything yet.
    assert users_figures(server) == {}
    assert server.events("request") == []
    # torch makes an empty folder for compiled code when it is imported.
    assert [each for each in temporary.rglob("*") if each.is_file()] == []

    server.wait_event("report_written")
    written = json.loads(file.read_text())
    assert written["warmup"] == server.metadata()["warmup"]
    assert (written["state"], written["kiln"]) == ("ready", model.__version__)
    assert {"live", "loaded", "warm", "ready"} <= written["timeline"].keys()
    shown = subprocess.run(
        [sys.executable, "-m", "model", "warmup", "--report", server.base_url],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **DEAD_PROXIES, "COLUMNS": "200"},
    ).stdout
    assert all(shape in shown for shape in shapes)

    warm = draw(server, width=96, height=64)
    assert warm.status_code == httpx.codes.OK, warm.text[:300]
    assert warm.json()["parameters"]["cold_shape"] is False
    cold = draw(server, width=128, height=128)
    assert cold.status_code == httpx.codes.BAD_REQUEST
    message = cold.json()["error"]
    assert "text-to-image 128x128 batch 1 cfg is not warm" in message
    assert all(shape in message for shape in shapes)
    assert outcomes(server, "invalid") == 1
    assert metric(server, "kiln_cold_shape_requests_total") == 0
    assert server.terminate() == 0
