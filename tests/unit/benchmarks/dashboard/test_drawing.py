"""The picture: each panel in its place, whatever was found."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.dashboard.drawing import UNITS, Found, draw, shortened
from benchmarks.dashboard.panels import Panel, Query, panels
from benchmarks.dashboard.prometheus import Series

LEFT = Panel("Left", 0, 0, 8, 8, "timeseries", "s", (Query("", "up"),))
RIGHT = replace(LEFT, title="Right", left=8)
START, END, STEP = 1000.0, 1100.0, 5.0
TIMES = [START + STEP * place for place in range(21)]
RISING: Found = [("rising", Series({}, {at: at - START for at in TIMES}))]


def drawn(*found: tuple[Panel, Found]) -> Image.Image:
    picture = Image.open(io.BytesIO(draw(found, START, END, STEP)))
    picture.load()
    return picture.convert("RGB")


def coloured(picture: Image.Image) -> tuple[int, int]:
    """Pixels that are no grey, in the left half and in the right one."""
    pixels = np.asarray(picture).astype(int)
    bright = pixels.max(axis=2) - pixels.min(axis=2) > 60
    half = bright.shape[1] // 2
    return int(bright[:, :half].sum()), int(bright[:, half:].sum())


def test_a_line_is_in_its_own_panel() -> None:
    left, right = coloured(drawn((LEFT, RISING), (RIGHT, [])))
    assert left > 100
    assert right == 0


def test_bars_are_where_the_state_was() -> None:
    states = replace(LEFT, kind="state-timeline", width=16)
    early: Found = [("fox-1 loading", Series({}, dict.fromkeys(TIMES[:5], 1.0)))]
    late: Found = [("fox-1 ready", Series({}, dict.fromkeys(TIMES[15:], 1.0)))]
    for found, half in ((early, 0), (late, 1)):
        pixels = coloured(drawn((states, found)))
        assert pixels[half] > 1000
        assert pixels[1 - half] == 0


def test_a_line_has_a_gap_where_nothing_was_found() -> None:
    def across(times: list[float]) -> int:
        level: Found = [("", Series({}, dict.fromkeys(times, 1.0)))]
        return sum(coloured(drawn((LEFT, level), (RIGHT, []))))

    assert across(TIMES[:6] + TIMES[15:]) < 0.8 * across(TIMES)


def test_every_unit_of_the_dashboard_has_its_words() -> None:
    assert {each.unit for each in panels()} <= set(UNITS)


@pytest.mark.parametrize(
    ("unit", "value", "words"),
    [
        ("bytes", 0, "0 B"),
        ("bytes", 1536, "1.5 KiB"),
        ("bytes", 3 * 2**30, "3 GiB"),
        ("percentunit", 1.5, "150%"),
        ("reqps", 0.25, "0.25/s"),
        ("s", 0.1234, "0.123 s"),
    ],
)
def test_values_have_their_unit(unit: str, value: float, words: str) -> None:
    assert UNITS[unit](value) == words


def test_a_long_legend_ends_in_how_many_names_it_leaves_out() -> None:
    assert shortened(["a", "b", "c"], 4) == ["a", "b", "c"]
    assert shortened(["a", "b", "c", "d", "e"], 4) == ["a", "b", "c", "and 2 more"]
