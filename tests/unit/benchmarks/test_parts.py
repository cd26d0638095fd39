"""The parts of scenarios that need no server: requests, answers, turns, the machine's name."""

import base64
import io
import json

import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.errors import NotMeasurable
from benchmarks.hardware import cpu_name, usable_cores
from benchmarks.quiet import Neighbours, busy_ticks
from benchmarks.rest import infer_request, pictures_of
from benchmarks.scenarios import SCENARIOS, p01_first_request, p04_server_tax
from benchmarks.scenarios.p01_first_request import Life, Requests, Way
from benchmarks.scenarios.p04_server_tax import Draw
from benchmarks.server import free_ports
from benchmarks.subject import Size, Subject


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = _picture()


def head_of(shape: list[int], name: str = "generated_image") -> bytes:
    return json.dumps({"outputs": [{"name": name, "shape": shape}]}).encode()


def test_a_request_has_one_prompt_and_the_parameters() -> None:
    assert infer_request("a fox", {"seed": 7}, binary=False) == {
        "inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["a fox"]}],
        "parameters": {"seed": 7},
    }


def test_a_binary_answer_is_asked_for_by_a_parameter() -> None:
    asked = infer_request("a fox", {"seed": 7}, binary=True)
    assert asked["parameters"] == {"seed": 7, "binary_data_output": True}


def test_pictures_come_as_base64_in_json() -> None:
    data = [base64.b64encode(each).decode() for each in (b"one", b"two")]
    answer = {"outputs": [{"name": "generated_image", "shape": [2], "data": data}]}
    assert pictures_of(json.dumps(answer).encode(), None) == [b"one", b"two"]


def test_pictures_come_as_bytes_after_the_json() -> None:
    head = head_of([2])
    tail = b"\x03\x00\x00\x00one\x04\x00\x00\x00four"
    assert pictures_of(head + tail, str(len(head))) == [b"one", b"four"]


def test_a_picture_that_is_missing_is_noticed() -> None:
    head = head_of([2])
    with pytest.raises(NotMeasurable, match="1 pictures came"):
        pictures_of(head + b"\x03\x00\x00\x00one", str(len(head)))


def test_an_answer_without_the_output_is_noticed() -> None:
    with pytest.raises(NotMeasurable, match="no output"):
        pictures_of(head_of([1], name="other"), None)


def test_a_size_is_written_as_width_and_height() -> None:
    assert Size.parse("768x1344") == Size(width=768, height=1344)
    assert str(Size(768, 1344)) == "768x1344"
    with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
        Size.parse("768")


def test_sizes_are_declared_as_the_server_takes_them() -> None:
    assert Subject(sizes=(Size(64, 32), Size(32, 64))).declared == "64x32,32x64"


def life(first: float, *steady: float, compiles: float = 0) -> Life:
    size = Subject().sizes[0]
    every = dict.fromkeys((*Subject().sizes, Subject().undeclared), Requests(first, steady))
    return Life(ready=1.0, requests={**every, size: Requests(first, steady)}, compiles=compiles)


def test_P1_P2_goals_stand_for_declared_sizes_of_warm_servers_alone() -> None:
    lives = [life(2.2, 2.0, 2.0, compiles=0), life(2.0, 2.0, 2.0, compiles=3)]
    goals = p01_first_request._goals(Way("full", "server"), lives, Subject())
    *firsts, compiles = goals
    assert len(firsts) == len(Subject().sizes)
    assert [goal.measured for goal in firsts] == [pytest.approx(1.05)] * len(firsts)
    assert (compiles.measured, compiles.met) == (3, False), "the worst life counts"
    assert not p01_first_request._goals(Way("full", "off"), lives, Subject())


def test_a_scenario_of_the_embedded_model_is_not_run_on_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--scenario", "P14", "--model", "elsewhere"]) == 1
    assert "P14 could not be measured" in capsys.readouterr().out


def test_P3_needs_something_that_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "P3"]) == 1
    assert "--compile" in capsys.readouterr().out


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p04_server_tax, "SETTLE_SECONDS", 0.0)


def test_the_order_of_the_ways_changes_and_no_way_follows_always_the_same() -> None:
    """A cyclic shift would keep each way's predecessor, and so favour whoever follows itself."""
    before: dict[str, set[str]] = {}
    called: list[str] = []

    def way(name: str) -> Draw:
        def draw(_: int) -> tuple[float, bytes]:
            if called and called[-1] != name:
                before.setdefault(name, set()).add(called[-1])
            called.append(name)
            return 1.0, PICTURE

        return draw

    names = [p04_server_tax.RAW, "b", "c", "d"]
    seconds, difference = p04_server_tax._in_turns({n: way(n) for n in names}, 30, lambda _: None)
    assert difference == 0
    assert all(len(each) == 30 for each in seconds.values())
    assert all(before[name] == set(names) - {name} for name in names)
    assert called[0::2] == called[1::2]


def test_the_cpu_is_named_as_linux_names_it() -> None:
    info = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nmodel name\t: other\n"
    assert cpu_name(info) == "Some CPU @ 2.00GHz"
    assert cpu_name("")


@pytest.mark.parametrize("quota", ["", "max 100000\n", "garbage"])
def test_without_a_quota_the_affinity_counts(quota: str) -> None:
    assert usable_cores(quota) == usable_cores("")


def test_a_quota_lowers_the_cores_to_no_less_than_one() -> None:
    assert usable_cores("100000 100000\n") == 1
    assert usable_cores("50000 100000\n") == 1


def test_busy_ticks_leave_out_idling_and_waiting() -> None:
    assert busy_ticks("cpu  1 2 4 100 1000 8 16 5000 0 0\ncpu0 1 1 1 1 1 1 1\n") == 31


def test_neighbours_are_never_less_than_nobody() -> None:
    found = Neighbours().cores()
    assert found is None or found >= 0


def test_free_ports_differ() -> None:
    assert len(set(free_ports(8))) == 8


def test_listing_describes_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    assert all(f"{name}: " in text for name in SCENARIOS)
    assert "Goal: " in text


def test_the_help_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert not ended.value.code
    assert ", ".join(SCENARIOS) in capsys.readouterr().out


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--scenario", "P99"])
    assert ended.value.code == 2
    assert "P14" in capsys.readouterr().err
