"""docs/emulator.md says what the code does."""

from pathlib import Path

from redcap_dagster.emulator.contents.methods import METHODS, METHODS_BY_NAME
from redcap_dagster.emulator.coverage import main, with_coverage

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"


def test_the_coverage_table_is_not_stale() -> None:
    """Bring it up to date with `python -m redcap_dagster.emulator.coverage docs/emulator.md`."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_coverage(page)


def test_the_command_brings_a_page_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "emulator.md"
    whole = PAGE.read_text(encoding="utf-8")
    page.write_text(whole.replace("| `version` |", "| `gone` |"), encoding="utf-8")
    assert (main([str(page)]), page.read_text(encoding="utf-8")) == (0, whole)


def test_each_method_stands_once() -> None:
    assert len(METHODS_BY_NAME) == len(METHODS)
