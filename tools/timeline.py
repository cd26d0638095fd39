"""Draw a start as horizontal bars, from the report that ``--warmup-report-path`` wrote:

python -m tools.timeline report.json docs/pictures/startup-timeline.svg
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

WIDTH: Final = 860
LABELS: Final = 300
RIGHT: Final = 70
ROW: Final = 30
TOP: Final = 40
COLOURS: Final = {"load": "#7a8ca5", "pass": "#d9822b", "steady": "#3f8f5b"}
TICKS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
MOST_TICKS: Final = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """``parts``: seconds since the process started, from and to, and a colour's name."""

    label: str
    parts: tuple[tuple[float, float, str], ...]


def bars(report: dict[str, Any]) -> Iterator[Bar]:
    """A bar for each part of the start: the port, the model, every shape; a shape has a part for
    each pass. Engines warm up side by side.

    Raises:
        KeyError: the start did not come to Ready.
    """
    times = report["timeline"]
    yield Bar("port opens (live)", ((0.0, times["live"], "load"),))
    yield Bar("engine starts, model loads", ((times["live"], times["loaded"], "load"),))
    several = report["warmup"]["engines"] > 1
    ends: dict[int, float] = {}
    for shape in report["warmup"]["shapes"]:
        engine, parts = shape["engine"], []
        at = ends.get(engine, times["loaded"])
        for number, seconds in enumerate((*shape["passes"], *shape["real_passes"])):
            parts.append((at, at + seconds, "pass" if number == 0 else "steady"))
            at += seconds
        ends[engine] = at
        yield Bar(f"{engine}: {shape['shape']}" if several else shape["shape"], tuple(parts))


def draw(report: dict[str, Any]) -> str:
    """The picture, as SVG."""
    rows = list(bars(report))
    ready = float(report["timeline"]["ready"])
    scale = (WIDTH - LABELS - RIGHT) / ready
    height = TOP + ROW * len(rows) + 50
    step = next((each for each in TICKS if ready / each <= MOST_TICKS), TICKS[-1])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f"<title>Start of {escape(report['name'])}: Ready after {ready:.1f} s</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-weight="600">Ready after {ready:.1f} s: '
        f"{escape(report['pipeline']['class'])} on {escape(report['pipeline']['device'])}</text>",
    ]
    bottom = TOP + ROW * len(rows)
    for number in range(int(ready / step) + 1):
        x = LABELS + number * step * scale
        lines.append(_line(x, TOP, bottom, "#e3e3e3"))
        lines.append(_text(x, bottom + 18, f"{number * step:g} s", "middle", "#666666"))
    for row, bar in enumerate(rows):
        y = TOP + row * ROW
        lines.append(_text(LABELS - 10, y + 19, bar.label, "end", "#222222"))
        lines += [_part(part, y, scale) for part in bar.parts]
    x = LABELS + ready * scale
    lines.append(_line(x, TOP, bottom, "#222222"))
    lines.append(_text(x + 6, bottom - 10, "Ready", "start", "#222222"))
    lines += _legend(bottom + 40)
    return "\n".join([*lines, "</svg>", ""])


def _part(part: tuple[float, float, str], y: float, scale: float) -> str:
    start, end, colour = part
    width = max(1.0, (end - start) * scale - 1)  # a gap between passes
    return (
        f'<rect x="{LABELS + start * scale:.1f}" y="{y + 6}" width="{width:.1f}" '
        f'height="{ROW - 12}" fill="{COLOURS[colour]}"><title>{end - start:.2f} s</title></rect>'
    )


def _legend(y: float) -> Iterator[str]:
    words = {"load": "loading", "pass": "first pass of a shape", "steady": "further passes"}
    x = float(LABELS)
    for name, text in words.items():
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[name]}"/>'
        yield _text(x + 18, y, text, "start", "#222222")
        x += 30 + 7.5 * len(text)


def _line(x: float, top: float, bottom: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{escape(text)}</text>'


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description="Draw the timeline of a start.")
    parser.add_argument("report", type=Path, help="the file that --warmup-report-path wrote")
    parser.add_argument("picture", type=Path, help="where the SVG goes")
    given = parser.parse_args()
    report = json.loads(given.report.read_text(encoding="utf-8"))
    if report["state"] != "ready":
        parser.error(f"{given.report} is the report of a start that came to {report['state']}")
    given.picture.write_text(draw(report), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
