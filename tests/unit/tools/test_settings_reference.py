"""The settings reference is what its generator writes, and shows every setting."""

from model.settings import Settings
from tools.settings_reference import PAGE, render


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: make generate"


def test_every_setting_has_a_row() -> None:
    page = render()
    for name, info in Settings.model_fields.items():
        assert f"| `--{name.replace('_', '-')}` | `KILN_{name.upper()}` |" in page
        assert info.description is not None
        assert info.description.replace("|", "\\|") in page
