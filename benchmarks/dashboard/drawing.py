"""Panels as a picture, each in its place."""

import io
from collections.abc import Iterable, Sequence
from math import nan
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from PIL import Image

from .panels import Panel
from .prometheus import Series

# Inches of a column and of a line, and pixels of an inch.
COLUMN: Final = 0.46
LINE: Final = 0.26
DOTS: Final = 110
COLOURS: Final = 64
# Around the plot, in columns and lines: the axis' numbers, the title, the times and the legend.
LEFT, RIGHT, TOP, BOTTOM = 1.1, 0.4, 1.2, 2.2
# Of a panel whose rows have names.
WIDE_LEFT: Final = 2.2
# Between two panels, in the same.
GAP: Final = 0.12
# A legend has two lines of so many letters, and ends in how many names it leaves out.
LETTERS: Final = 50
# Seconds between two times on the axis, and how many fit.
TICKS: Final = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
MOST_TICKS: Final = 6
SMALL: Final = 6.5
GREY: Final = "#5b6472"
BINARY: Final = 1024.0

Found = list[tuple[str, Series]]


def draw(found: Iterable[tuple[Panel, Found]], start: float, end: float, step: float) -> bytes:
    """A PNG. ``found``: the named series of each panel, from ``start`` to ``end``, at most
    ``step`` apart.
    """
    several = list(found)
    bottom = max(each.top + each.height for each, _ in several)
    width = max(each.left + each.width for each, _ in several)
    figure = Figure(figsize=(width * COLUMN, bottom * LINE), dpi=DOTS, facecolor="#f4f5f7")
    for panel, series in several:
        if panel.kind == "row":
            y = 1 - (panel.top + 0.7) / bottom
            figure.text(0.006, y, panel.title, weight="bold", color="#1f2733")
            continue
        axes = _axes(figure, panel, width, bottom)
        _frame(axes, panel, start, end)
        DRAWN[panel.kind](axes, sorted(series, key=lambda each: -each[1].most), step)
    return _packed(figure)


def _axes(figure: Figure, panel: Panel, width: int, bottom: int) -> Axes:
    card = Rectangle(
        ((panel.left + GAP) / width, 1 - (panel.top + panel.height - GAP) / bottom),
        (panel.width - 2 * GAP) / width,
        (panel.height - 2 * GAP) / bottom,
        facecolor="white",
        edgecolor="#dde1e7",
        zorder=-1,
        linewidth=0.6,
    )
    figure.add_artist(card)
    left = WIDE_LEFT if panel.kind == "state-timeline" else LEFT
    place = (
        (panel.left + left) / width,
        1 - (panel.top + panel.height - BOTTOM) / bottom,
        (panel.width - left - RIGHT) / width,
        (panel.height - TOP - BOTTOM) / bottom,
    )
    return figure.add_axes(place)


def _frame(axes: Axes, panel: Panel, start: float, end: float) -> None:
    axes.set_title(panel.title, loc="left", fontsize=8, color="#1f2733", pad=4)
    axes.set_xlim(start, end)
    axes.xaxis.set_major_locator(_ticks(start, end))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _clock(at - start)))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: UNITS[panel.unit](value)))
    axes.tick_params(labelsize=SMALL, colors=GREY, length=0)
    axes.grid(color="#e3e6eb", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _lines(axes: Axes, found: Found, step: float) -> None:
    for name, series in found:
        times, values = _with_gaps(series, step)
        axes.plot(times, values, label=name, linewidth=1.1)
    if any(each.most for _, each in found):
        axes.set_ylim(bottom=0)
    else:
        axes.set_ylim(0, 1)
    _legend(axes)


def _bars(axes: Axes, found: Found, step: float) -> None:
    rows = sorted(found, key=lambda each: (each[0].split()[0], min(each[1].values)))
    for row, (_, series) in enumerate(rows):
        pieces = [(each - step / 2, step) for each in sorted(series.values)]
        axes.broken_barh(pieces, (row - 0.4, 0.8), color=f"C{row}")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.tick_params(axis="y", labelsize=SMALL - 1)
    axes.invert_yaxis()


def _legend(axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    if not handles:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color=GREY)
        return
    columns = max(1, LETTERS // (max(map(len, names)) + 4))
    names = shortened(names, 2 * columns)
    axes.legend(
        handles[: len(names)],
        names,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.17),
        ncols=columns,
        fontsize=SMALL - 0.5,
        frameon=False,
        borderaxespad=0,
        handlelength=1.2,
        columnspacing=1,
        labelcolor=GREY,
    )


def shortened(names: list[str], room: int) -> list[str]:
    """As many as there is room for."""
    if len(names) <= room:
        return names
    return [*names[: room - 1], f"and {len(names) - room + 1} more"]


def _with_gaps(series: Series, step: float) -> tuple[list[float], list[float]]:
    """A line ends where nothing was found for longer than a step."""
    times: list[float] = []
    values: list[float] = []
    last = None
    for at in sorted(series.values):
        if last is not None and at - last > 1.5 * step:
            times.append(last + step)
            values.append(nan)
        times.append(at)
        values.append(series.values[at])
        last = at
    return times, values


def _ticks(start: float, end: float) -> FixedLocator:
    """From the start on, at round times."""
    step = next((each for each in TICKS if (end - start) / each <= MOST_TICKS), TICKS[-1])
    return FixedLocator([start + step * place for place in range(int((end - start) / step) + 1)])


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def _number(value: float) -> str:
    return f"{value:.3g}"


def _bytes(value: float) -> str:
    names: Sequence[str] = ("B", "KiB", "MiB", "GiB", "TiB")
    place = 0
    while abs(value) >= BINARY and place < len(names) - 1:
        value, place = value / BINARY, place + 1
    return f"{value:.3g} {names[place]}"


def _packed(figure: Figure) -> bytes:
    """Few colours are many fewer bytes."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor=figure.get_facecolor())
    picture = Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(packed, format="png", optimize=True)
    return packed.getvalue()


DRAWN: Final[dict[str, Any]] = {"timeseries": _lines, "state-timeline": _bars}
# In Grafana's words.
UNITS: Final[dict[str, Any]] = {
    "short": _number,
    "s": lambda value: f"{_number(value)} s",
    "reqps": lambda value: f"{_number(value)}/s",
    "ops": lambda value: f"{_number(value)}/s",
    "percentunit": lambda value: f"{value * 100:.0f}%",
    "bytes": _bytes,
}
