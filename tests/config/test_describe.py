"""The documentation of the settings is what their descriptions make."""

from __future__ import annotations

from pathlib import Path

from whorl.config import SETTINGS
from whorl.config.describe import settings_page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_up_to_date() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == settings_page(), "run: python -m whorl.config.describe docs/settings.md"


def test_every_setting_has_a_row_with_all_its_names() -> None:
    rows = [line for line in settings_page().splitlines() if line.startswith("| `")]
    for setting, row in zip(SETTINGS.values(), rows, strict=True):
        assert f"`{setting.name}`<br>" in row
        assert f"`{setting.variable}`" in row
        assert setting.option in row
        assert row.count(" | ") == 3
