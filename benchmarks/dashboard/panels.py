"""The panels of a dashboard, as Grafana's JSON places them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .prometheus import Series

DASHBOARD: Final = Path(__file__).parents[2] / "charts/kiln/files/dashboard.json"
# All that can be chosen at the top of the page.
ALL: Final = ".*"


@dataclass(frozen=True, slots=True)
class Query:
    """``legend`` has labels in braces: ``{{pod}}``."""

    legend: str
    expression: str

    def filled(self, namespace: str = ALL, pod: str = ALL) -> str:
        """With what was chosen at the top of the page."""
        chosen = {"namespace": namespace, "pod": pod}
        return re.sub(r"\$(namespace|pod)\b", lambda found: chosen[found[1]], self.expression)

    def name(self, series: Series) -> str:
        """As the legend shows one of its series."""
        return re.sub(
            r"\{\{(\w+)\}\}", lambda found: series.labels.get(found[1], ""), self.legend
        ).strip()


@dataclass(frozen=True, slots=True)
class Panel:
    """A place in columns (24 to a page) and lines from the top. A row's headline has no queries."""

    title: str
    left: int
    top: int
    width: int
    height: int
    kind: str = "row"
    unit: str = "short"
    queries: tuple[Query, ...] = ()


def panels(file: Path = DASHBOARD) -> list[Panel]:
    """In the order of the file."""
    return [_panel(each) for each in json.loads(file.read_text(encoding="utf-8"))["panels"]]


def _panel(body: dict[str, Any]) -> Panel:
    place = body["gridPos"]
    return Panel(
        title=body["title"],
        left=place["x"],
        top=place["y"],
        width=place["w"],
        height=place["h"],
        kind=body["type"],
        unit=body.get("fieldConfig", {}).get("defaults", {}).get("unit", "short"),
        queries=tuple(
            Query(each["legendFormat"], each["expr"]) for each in body.get("targets", ())
        ),
    )
