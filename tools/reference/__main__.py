"""Write the generated files, or compare them.

python -m tools.reference            write
python -m tools.reference --check    fail when a page differs, and show how
"""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from . import (
    chart,
    dashboard,
    diffusionservice,
    families,
    metrics,
    openai,
    protocol,
    reasons,
    rights,
    serving_runtime,
    settings,
    stages,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/reference"


def pages() -> Iterator[tuple[Path, str]]:
    """Every generated file, and what it should hold."""
    yield FOLDER / "settings.md", settings.render()
    yield FOLDER / "metrics.md", metrics.render()
    yield FOLDER / "openai.md", openai.render()
    yield FOLDER.parent / "families.md", families.render()
    written = FOLDER / "protocol.md"
    yield written, protocol.render(written.read_text(encoding="utf-8"))
    why = ROOT / "docs/not-ready.md"
    yield why, reasons.render(why.read_text(encoding="utf-8"))
    yield ROOT / "controller/api/crd.json", diffusionservice.crd_json()
    yield FOLDER / "diffusionservice.md", diffusionservice.page()
    yield FOLDER / "diffusionservice.schema.json", diffusionservice.editor_schema()
    yield from stages.generated()
    yield from _packaging()


def _packaging() -> Iterator[tuple[Path, str]]:
    """What the manifests and the chart have in common, and what the chart's values are."""
    manifests = ROOT / "manifests"
    yield manifests / "crd/diffusionservices.yaml", diffusionservice.crd_yaml()
    yield manifests / "operator/rbac.yaml", rights.cluster_wide()
    yield manifests / "overlays/namespaced/rbac.yaml", rights.namespaced()
    yield manifests / "runtimes/diffusers.yaml", serving_runtime.serving_runtime_yaml()
    files = chart.CHART / "files"
    yield files / "diffusionservices.yaml", diffusionservice.crd_yaml()
    yield files / "rights.yaml", rights.chart_rights()
    yield files / "serving-runtime.yaml", serving_runtime.serving_runtime_yaml()
    yield files / "dashboard.json", dashboard.dashboard()
    yield chart.CHART / "values.schema.json", chart.schema(chart.read())
    yield FOLDER / "chart.md", chart.page(chart.read())


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--check", action="store_true", help="only compare, and show what differs")
    if parser.parse_args().check:
        differences = "".join(_difference(path, text) for path, text in pages())
        if differences:
            print(f"{differences}\nGenerated pages are out of date: make generate", file=sys.stderr)
        return 1 if differences else 0
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
    return 0


def _difference(path: Path, text: str) -> str:
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    before, after = found.splitlines(keepends=True), text.splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, str(path), "as generated"))


if __name__ == "__main__":
    sys.exit(main())
