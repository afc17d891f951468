"""The page on destinations says what the code does."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from redcap_dagster.destinations import duckdb_file, postgresql_server

if TYPE_CHECKING:
    from tests.destinations.conftest import Publish

PAGE = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text(encoding="utf-8")


def test_the_pages_own_lines_load_a_study(
    tmp_path: Path,
    publish: "Publish",
    visits: Callable[..., pa.Table],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    snippet, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    publish({"visits": visits(["1"])})
    (tmp_path / "data").mkdir()
    (tmp_path / "published" / "whole").rename(tmp_path / "data" / "my_study")
    exec(snippet, {})  # noqa: S102 - the page's own snippet
    assert capsys.readouterr().out == "asthma visits 1\n"


def test_the_page_names_the_type_of_every_type() -> None:
    rows = [row[2:-2].split(" | ") for row in PAGE.splitlines() if row.startswith("| ")]
    said = {(row[1].strip("`"), row[2].strip("`")) for row in rows if len(row) == 3}
    duckdb, postgresql = duckdb_file._LIMITS.types, postgresql_server._LIMITS.types
    assert said == {
        ("DuckDB", "PostgreSQL"),
        *((duckdb[kind], postgresql[kind]) for kind in duckdb | postgresql),
    }
