"""Exports of live servers fall into tables without a cell lost."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import ExportSettings, StudyExport, read_design
from redcap_dagster.project import ProjectAnswers, RedcapProject, parse_project, plan_export_columns
from redcap_dagster.tables import SplitChunk, plan_tables, split_chunk

PROJECTS = Path(__file__).parents[3] / "shared" / "projects"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PROJECTS.is_dir(), reason="the real projects of ../shared are absent"),
]

AccountFor = Callable[[RedcapProject, pa.Table, SplitChunk], None]

WITH_XML = sorted({path.parent.name for path in PROJECTS.glob("*/project*.xml")})
CAPTURED = sorted(
    f"{path.parts[-3]}/{path.name}"
    for pattern in ("*flat*", "after-import*")
    for path in PROJECTS.glob(f"*/expected/{pattern}")
    if ".params." not in path.name and "label" not in path.name
)

# Columns that the maintainers of these captures took out of them, as their `volatile` says.
TAKEN_OUT = {case: {"age", "bmi"} for case in CAPTURED if "/after-import-" in case}

# Project → what of its design was not captured and is not in an XML file.
TIDIER: dict[str, dict[str, Any]] = {
    "tidier-classic-norepeat": {},
    "tidier-longitudinal-noarms": {
        "is_longitudinal": 1,
        "events": ["event_1_arm_1", "event_2_arm_1"],
        "repeats": ["event_1_arm_1", "event_2_arm_1"],
    },
}


@pytest.fixture(scope="module")
def redcap() -> Iterator[RedcapEmulator]:
    with RedcapEmulator() as emulator:
        yield emulator


def client_of(redcap: RedcapEmulator, name: str) -> RedcapClient:
    folder = PROJECTS / name
    xml, records = folder / "project.xml", folder / "records.odm.xml"
    if not xml.exists():
        xml = folder / "project-metadata-only.xml"
    token = redcap.add_project(xml, records=records if records.exists() else None)
    return RedcapClient(redcap.url, token, requests_per_minute=6000)


def tidier_design(name: str) -> RedcapProject:
    expected, facts = PROJECTS / name / "expected", TIDIER[name]
    metadata = read_rows(expected / "metadata.json")
    forms = dict.fromkeys(row["form_name"] for row in metadata)
    mappings, arms = expected / "formEventMapping.csv", expected / "arm.csv"
    events = facts.get("events", [])
    return parse_project(
        ProjectAnswers(
            redcap_version="",
            project_info={
                "project_id": 1,
                "project_title": name,
                "is_longitudinal": facts.get("is_longitudinal", 0),
            },
            metadata=metadata,
            instruments=[{"instrument_name": form, "instrument_label": form} for form in forms],
            arms=read_rows(arms) if arms.exists() else [],
            events=[{"unique_event_name": event, "arm_num": 1} for event in events],
            form_event_mappings=read_rows(mappings) if mappings.exists() else [],
            repeating_instruments_events=[
                {"event_name": event, "form_name": "repeated"} for event in facts.get("repeats", [])
            ],
        )
    )


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return rows
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", WITH_XML)
def test_every_cell_that_an_export_of_a_real_project_brings_is_in_a_table(
    name: str, redcap: RedcapEmulator, account_for: AccountFor
) -> None:
    client = client_of(redcap, name)
    project = read_design(client)
    specs = plan_tables(project)
    with StudyExport(client, project, settings=ExportSettings(cells_per_request=20_000)) as study:
        for chunk in study.chunks():
            done = split_chunk(chunk, project, specs)
            account_for(project, chunk, done)
            assert done.rejected.num_rows == 0
        assert study.settle()


@pytest.mark.parametrize("case", CAPTURED)
def test_every_cell_that_a_live_server_sent_is_in_a_table(
    case: str, redcap: RedcapEmulator, account_for: AccountFor
) -> None:
    name, file = case.split("/")
    project = tidier_design(name) if name in TIDIER else read_design(client_of(redcap, name))
    rows = read_rows(PROJECTS / name / "expected" / file)
    names = {*rows[0], *TAKEN_OUT.get(case, ())}
    planned = plan_export_columns(project)
    forms = list(dict.fromkeys(item.instrument for item in planned if item.name in names))
    asked = [name for name in project.instruments_by_name if name in forms]
    if "specify-fields" in case:  # a table is whole: what was not asked for is blank
        names |= {item.name for item in planned if item.instrument in asked}
    chunk = pa.table({name: pa.array([row.get(name, "") for row in rows]) for name in names})
    done = split_chunk(chunk, project, plan_tables(project, asked))
    account_for(project, chunk, done)
    assert done.rejected.num_rows == 0


def test_the_captured_exports_are_as_many_as_they_were() -> None:
    assert (len(WITH_XML), len(CAPTURED)) == (16, 24)
