"""Designs read from answers of live servers, held against what those servers exported."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.project import (
    ExportColumn,
    ProjectAnswers,
    RedcapProject,
    parse_project,
    plan_export_columns,
    value_kind,
)

PROJECTS = Path(__file__).parents[3] / "shared" / "projects"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PROJECTS.is_dir(), reason="the real projects of ../shared are absent"),
]

DICTIONARY_COLUMNS = (
    "field_name",
    "form_name",
    "section_header",
    "field_type",
    "field_label",
    "select_choices_or_calculations",
    "field_note",
    "text_validation_type_or_show_slider_number",
    "text_validation_min",
    "text_validation_max",
    "identifier",
    "branching_logic",
    "required_field",
    "custom_alignment",
    "question_number",
    "matrix_group_name",
    "matrix_ranking",
    "field_annotation",
)

FLAT_EXPORTS = [
    ("arm-single-longitudinal", "flat-raw-browser-export.csv"),
    ("dag", "flat-raw-browser-export.csv"),
    ("decimal-dot", "flat-raw-browser-export.csv"),
    ("decimal-dot", "record-flat-raw.csv"),
    ("etl-basic-demography", "record-flat-raw-survey-dag.json"),
    ("etl-visits", "record-flat-raw-survey-dag.json"),
    ("longitudinal", "flat-raw-browser-export.csv"),
    ("longitudinal", "record-flat-raw.csv"),
    ("repeating-instruments", "flat-raw-browser-export.csv"),
    ("simple", "record-flat-raw-dag.csv"),
    ("simple", "record-flat-raw.csv"),
    ("survey", "flat-raw-browser-export.csv"),
    ("survey", "record-flat-survey-fields.csv"),
    ("tidier-classic-norepeat", "record-flat-raw.csv"),
    ("tidier-longitudinal-noarms", "record-flat-raw.csv"),
]

# Settings that no answer of the project was captured for, as its project.json describes them.
NOT_CAPTURED: dict[str, dict[str, Any]] = {
    "repeating-instruments": {"repeats": [{"form_name": "bp", "custom_form_label": ""}]},
    "tidier-classic-norepeat": {"info": {"project_id": 1}},
    "tidier-longitudinal-noarms": {
        "info": {"project_id": 2, "is_longitudinal": 1, "has_repeating_instruments_or_events": 1},
        "repeats": [{"event_name": "event_1_arm_1", "form_name": "repeated"}],
    },
}


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        rows = json.loads(path.read_text(encoding="utf-8"))
        return rows if isinstance(rows, list) else [rows]
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def read_answer(project: str, *cases: str) -> list[dict[str, Any]]:
    for case in cases:
        for suffix in ("json", "csv"):
            path = PROJECTS / project / "expected" / f"{case}.{suffix}"
            if path.exists():
                return read_rows(path)
    return []


def read_dictionary(project: str) -> list[dict[str, Any]]:
    captured = read_answer(project, "metadata")
    if captured:
        return captured
    rows = read_rows(PROJECTS / project / "dictionary.csv")
    return [dict(zip(DICTIONARY_COLUMNS, row.values(), strict=True)) for row in rows]


def read_project(name: str) -> RedcapProject:
    extra = NOT_CAPTURED.get(name, {})
    metadata = read_dictionary(name)
    forms = dict.fromkeys(row["form_name"] for row in metadata)
    mappings = read_answer(name, "formEventMapping", "formEventMapping-both-arms")
    used = dict.fromkeys((row["unique_event_name"], row["arm_num"]) for row in mappings)
    return parse_project(
        ProjectAnswers(
            redcap_version=json.loads((PROJECTS / name / "project.json").read_text())[
                "redcap_version"
            ]
            or "",
            project_info=(read_answer(name, "project-info") or [extra.get("info", {})])[0],
            metadata=metadata,
            instruments=read_answer(name, "instrument")
            or [{"instrument_name": form, "instrument_label": form} for form in forms],
            arms=read_answer(name, "arm")
            or [{"arm_num": arm, "name": ""} for arm in dict.fromkeys(arm for _, arm in used)],
            events=read_answer(name, "event")
            or [{"unique_event_name": event, "arm_num": arm} for event, arm in used],
            form_event_mappings=mappings,
            repeating_instruments_events=extra.get("repeats", []),
        )
    )


def read_header(project: str, file_name: str) -> list[str]:
    path = PROJECTS / project / "expected" / file_name
    if path.suffix == ".json":
        return list(json.loads(path.read_text(encoding="utf-8"))[0])
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize(("name", "file_name"), FLAT_EXPORTS)
def test_a_servers_header_is_the_planned_columns_without_optional_ones(
    name: str, file_name: str
) -> None:
    header = read_header(name, file_name)
    planned = plan_export_columns(read_project(name))
    assert [item.name for item in planned if not item.is_optional or item.name in header] == header


@pytest.mark.parametrize("name", ["etl-basic-demography", "etl-visits", "simple"])
def test_planned_columns_are_those_that_exportfieldnames_names(name: str) -> None:
    project = read_project(name)

    def is_named(column: ExportColumn) -> bool:
        """Leave out what that method leaves out: columns of the whole row, and files."""
        of_row = column.instrument is None or column.is_optional
        is_file = column.field and value_kind(project.fields_by_name[column.field]) == "file"
        return not of_row and not is_file

    planned = [column for column in plan_export_columns(project) if is_named(column)]
    assert [(item.field or item.name, item.choice_code or "", item.name) for item in planned] == [
        (row["original_field_name"], row["choice_value"], row["export_field_name"])
        for row in read_answer(name, "exportFieldNames")
    ]


@pytest.mark.parametrize("name", sorted({name for name, _ in FLAT_EXPORTS}))
def test_a_snapshot_of_a_real_design_reads_back_equal(name: str, tmp_path: Path) -> None:
    project = read_project(name)
    project.snapshot(tmp_path / "study.json")
    read_back = RedcapProject.from_snapshot(tmp_path / "study.json")
    assert read_back == project
    assert read_back.fingerprint == project.fingerprint
