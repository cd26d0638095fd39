"""``python -m model warmup``: the report that it prints, and where it gets it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from model.__main__ import main
from model.commands.report_table import print_report, proof

STEADY: dict[str, Any] = {
    "shape": "text-to-image 128x128 batch 1 cfg",
    "engine": 0,
    "steps": 2,
    "passes": [4.0, 1.0, 1.0],
    "compiles": [3, 0, 0],
    "real_passes": [1.25],
    "real_compiles": [0],
    "settled": True,
    "proven": True,
    "degraded": False,
    "asked": None,
    "first_over_steady": 4.0,
    "failure": None,
}
REPORT: dict[str, Any] = {
    "kiln": "0.1.0",
    "name": "fox",
    "state": "ready",
    "failure": None,
    "degraded": None,
    "timeline": {"live": 1.0, "ready": 9.5},
    "pipeline": {
        "class": "FoxPipeline",
        "family": "fox",
        "registered": True,
        "device": "cpu",
        "dtype": "float32",
    },
    "defaults": {"width": 128, "sources": {"width": "model folder"}},
    "warmup": {
        "mode": "server",
        "engines": 1,
        "reason": "default",
        "done": 1,
        "of": 1,
        "seconds": 6.0,
        "failure": None,
        "shapes": [STEADY],
    },
}


class Server(BaseHTTPRequestHandler):
    """The two answers of a server that the command asks for."""

    def do_GET(self) -> None:
        answers = {"/v2/models": {"models": ["fox"]}, "/v2/models/fox": REPORT}
        body = json.dumps(answers.get(self.path, {})).encode()
        self.send_response(200 if self.path in answers else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def shown(found: dict[str, Any]) -> str:
    text = StringIO()
    print_report(found, Console(file=text, width=200))
    return text.getvalue()


def with_shape(**changes: Any) -> dict[str, Any]:
    return {**REPORT, "warmup": {**REPORT["warmup"], "shapes": [{**STEADY, **changes}]}}


def test_the_table_shows_every_pass_its_compiles_and_the_proof() -> None:
    text = shown(REPORT)
    for words in ("FoxPipeline", "128x128", "4.00 1.00 1.00 + 1.25", "3 0 0 0", "4.00", "steady"):
        assert words in text
    assert "width 128 from model folder" in text
    assert "live 1.0 s, ready 9.5 s" in text
    assert "1 of 1 shapes in 6.0 s" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "steady"),
        ({"settled": False}, "not steady after all passes"),
        ({"degraded": True, "asked": "a larger one"}, "steady, in place of a larger one"),
        ({"proven": False, "failure": "no room"}, "failed: no room"),
    ],
)
def test_each_outcome_has_its_words(changes: dict[str, Any], words: str) -> None:
    assert proof({**STEADY, **changes}) == words
    assert words.split(":")[0] in shown(with_shape(**changes))


def test_degradation_and_failure_have_lines_of_their_own() -> None:
    assert "degraded: no memory for 1" in shown({**REPORT, "degraded": "no memory for 1"})
    assert "failure: it broke" in shown({**REPORT, "failure": "it broke"})


def test_w21_several_engines_have_a_column() -> None:
    shapes = [STEADY, {**STEADY, "engine": 1}]
    text = shown({**REPORT, "warmup": {**REPORT["warmup"], "engines": 2, "shapes": shapes}})
    assert "engine" in text
    assert "engine" not in shown(REPORT)


def test_a_report_without_shapes_says_why() -> None:
    off = {**REPORT["warmup"], "mode": "off", "reason": "flag", "shapes": []}
    assert "mode off (flag)" in shown({**REPORT, "warmup": off})


def test_a_report_of_a_model_that_was_never_loaded_says_so() -> None:
    assert "not loaded" in shown({**REPORT, "pipeline": None, "defaults": None})


def test_a_running_servers_report_is_fetched(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warmup", "--report", address]) == 0
    assert "FoxPipeline" in capsys.readouterr().out


def test_w35_it_is_fetched_past_any_proxy(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert main(["warmup", "--report", address]) == 0
    assert "FoxPipeline" in capsys.readouterr().out


def test_a_report_is_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(REPORT))
    assert main(["warmup", "--report", str(path)]) == 0
    assert "FoxPipeline" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "", "[1]", "{}", '"text"'])
def test_what_is_no_report_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    assert main(["warmup", "--report", str(path)]) == 2
    assert "report: " in capsys.readouterr().err


@pytest.mark.parametrize("source", ["http://127.0.0.1:9", "ftp://127.0.0.1/report"])
def test_an_address_where_nobody_answers_is_told(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warmup", "--report", source]) == 2
    assert "give the address of a server's HTTP port" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["off", "request"])
def test_without_server_warmup_there_is_nothing_to_run(
    mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warmup", "--warmup-mode", mode]) == 2
    assert "warmup_mode (flag): there is nothing to run" in capsys.readouterr().err
