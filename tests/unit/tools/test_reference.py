"""The reference pages are what their generator writes, and leave nothing out."""

from pathlib import Path

import pytest

from model.pipelines.parameters import PARAMETERS
from model.settings import Settings
from tools.reference import metrics, protocol, settings
from tools.reference.__main__ import pages

PAGES = list(pages())


@pytest.mark.parametrize(("path", "text"), PAGES, ids=[path.name for path, _ in PAGES])
def test_page_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run: make generate"


def test_every_setting_has_a_row() -> None:
    page = settings.render()
    for name, info in Settings.model_fields.items():
        assert f"| `--{name.replace('_', '-')}` | `KILN_{name.upper()}` |" in page
        assert info.description is not None
        assert info.description.replace("|", "\\|") in page


def test_metrics_are_shown_as_they_are_scraped() -> None:
    page = metrics.render()
    assert "| `kiln_requests_total` | counter | `protocol`, `outcome` |" in page
    assert "| `kiln_state` | gauge | `state` |" in page


def test_every_parameter_has_a_row() -> None:
    page = protocol.parameters()
    assert all(f"| `{each.name}` |" in page for each in PARAMETERS)


def test_errors_show_both_codes_and_the_retry_hint() -> None:
    page = protocol.request_errors()
    assert "| 400 | `INVALID_ARGUMENT` | `InvalidRequest` |  |" in page
    assert "| 429 | `RESOURCE_EXHAUSTED` | `QueueFull` | yes |" in page
    assert "| 503 | `UNAVAILABLE` | `EngineLost` | yes |" in page


def test_readiness_page_names_every_exit_status() -> None:
    page = Path(__file__).parents[3] / "docs/readiness.md"
    text = page.read_text(encoding="utf-8")
    for name, status in protocol.exit_codes().items():
        assert f"| {status} | `{name}` |" in text


def test_a_page_without_a_generated_part_is_refused() -> None:
    with pytest.raises(ValueError, match="parameters"):
        protocol.render("# Nothing to fill\n")
