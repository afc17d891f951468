"""Real projects, materialized through Dagster: each cell that a live server sent is found."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import CellLedger, SplitChunk, plan_tables, read_published

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

PROJECTS = Path(__file__).parents[3] / "shared" / "projects"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PROJECTS.is_dir(), reason="the real projects of ../shared are absent"),
]

AccountFor = Callable[[RedcapProject, pa.Table, SplitChunk], None]
Cells = dict[tuple[str, ...], str]

NAMES = sorted(
    {path.parent.name for path in PROJECTS.glob("*/project*.xml")},
)
CAPTURED = {
    name: [
        path
        for pattern in ("record-flat-raw*", "flat-raw-*.csv")
        for path in sorted(PROJECTS.glob(f"{name}/expected/{pattern}"))
        if ".params." not in path.name
    ]
    for name in NAMES
}
ROW_KEY = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")

# The XML was downloaded from a copy of the project: docs/emulator.md names the case.
OF_ANOTHER_COPY = {"survey": {"prescreening_survey_timestamp"}}


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_a_real_project_is_in_one_table_or_rejected(
    name: str, serve: "Callable[..., Study]", account_for: AccountFor
) -> None:
    folder = PROJECTS / name
    xml, records = folder / "project.xml", folder / "records.odm.xml"
    study = serve(
        xml if xml.exists() else folder / "project-metadata-only.xml",
        records=records if records.exists() else None,
    )
    assert study.materialize().success
    published = read_published(study.out_dir, "records")
    account_for(
        study.project,
        published,
        SplitChunk(
            tables={
                spec.name: read_published(study.out_dir, spec.name)
                for spec in plan_tables(study.project)
            },
            rejected=read_published(study.out_dir, "rejected_values"),
            ledger=CellLedger(),
        ),
    )
    ours = cells(study.project, published.to_pylist())
    for path in CAPTURED[name]:
        different = {
            key[-1]
            for key, captured in cells(study.project, read_rows(path)).items()
            if not is_same(key[-1], captured, ours.get(key), of_page="browser" in path.name)
        }
        assert different == OF_ANOTHER_COPY.get(name, set())


def is_same(column: str, captured: str, ours: str | None, *, of_page: bool) -> bool:
    """Whether a cell is the one that was captured."""
    if ours is None:
        # A form that was never opened: 0 in the capture, blank in ours, which asked for the blank.
        return column.endswith("_complete") and captured == "0"
    if of_page:
        # The page's download flattens line breaks, and shows no file's name.
        return captured == "[document]" or captured.split() == ours.split()
    return captured == ours


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return rows
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def cells(project: RedcapProject, rows: list[dict[str, Any]]) -> Cells:
    """Non-blank cells by record, event, repeat instrument and instance, and column."""
    return {
        (row[project.record_id_field], *(str(row.get(part) or "") for part in ROW_KEY), name): str(
            text
        )
        for row in rows
        for name, text in row.items()
        if text not in {"", None} and name not in ROW_KEY
    }


def test_the_captured_exports_are_as_many_as_they_were() -> None:
    assert len(NAMES) == 16
    assert sum(len(paths) for paths in CAPTURED.values()) == 12
