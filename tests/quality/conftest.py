"""A project with a field of each kind that a rule is made of, and valid tables of it."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from redcap_dagster.project import (
    ProjectAnswers,
    RedcapProject,
    parse_project,
    plan_export_columns,
)
from redcap_dagster.quality import QualityJudge, QualityOptions, plan_quality
from redcap_dagster.tables import plan_tables, split_chunk, to_pandas

Find = Callable[..., list[tuple[str, str | None, str]]]
MakeProject = Callable[..., RedcapProject]
MakeField = Callable[..., dict[str, Any]]

AS_OF = dt.date(2024, 6, 15)
CODES = {"info": {"missing_data_codes": "NI, No information | -99, Not asked"}}


def field(
    name: str, field_type: str = "text", form: str = "visit", **columns: str
) -> dict[str, Any]:
    long_names = {
        "choices": "select_choices_or_calculations",
        "validation": "text_validation_type_or_show_slider_number",
        "minimum": "text_validation_min",
        "maximum": "text_validation_max",
    }
    row = {"field_name": name, "form_name": form, "field_type": field_type}
    return row | {long_names.get(key, key): value for key, value in columns.items()}


FIELDS = [
    field("record_id"),
    field("sex", "radio", choices="1, Female | 2, Male | UNK, Not known"),
    field("site", "dropdown", choices="A, North | B, South"),
    field("smoker", "yesno"),
    field("race", "checkbox", choices="1, One | 2, Two"),
    field("comment", "notes"),
    field("email", validation="email"),
    field("age", validation="integer", minimum="18", maximum="99"),
    field("weight", validation="number_1dp", minimum="30"),
    field("height", validation="number_2dp_comma_decimal", minimum="1,2", maximum="2,4"),
    field("pain", "slider"),
    field("born", validation="date_dmy", minimum="1900-01-01", maximum="2020-12-31"),
    field("seen", validation="datetime_ymd", minimum="2024-01-01 08:00"),
    field("left", validation="datetime_seconds_mdy", maximum="2024-12-31 23:59:59"),
    field("wake", validation="time", minimum="4:30", maximum="12:00"),
    field("sleep", validation="time_hh_mm_ss", minimum="18:00:00"),
    field("breath", validation="time_mm_ss", maximum="02:00"),
]

VALID: dict[str, list[Any]] = {
    "record_id": ["1", "2", "3"],
    "sex": ["1", "UNK", None],
    "site": ["A", "B", None],
    "smoker": [True, False, None],
    "race___1": [True, False, None],
    "race___2": [False, False, None],
    "comment": ["free", "NA", None],
    "email": ["a@test.edu", " b@test.edu ", None],
    "age": [18, 99, None],
    "weight": [30.0, 80.5, None],
    "height": [1.2, 2.4, None],
    "pain": [0, 100, None],
    "born": [dt.date(1900, 1, 1), dt.date(2020, 12, 31), None],
    "seen": [dt.datetime(2024, 1, 1, 8, 0), dt.datetime(2025, 1, 1), None],  # noqa: DTZ001
    "left": [dt.datetime(2024, 12, 31, 23, 59, 59), None, None],  # noqa: DTZ001
    "wake": [dt.time(4, 30), dt.time(12), None],
    "sleep": [dt.time(18), dt.time(23, 59, 59), None],
    "breath": [dt.time(0, 2), dt.time(0, 0, 1), None],
    "visit_complete": [0, 2, None],
}


def parse_fields(*fields: dict[str, Any], **answers: Any) -> RedcapProject:
    forms = dict.fromkeys(row["form_name"] for row in fields)
    return parse_project(
        ProjectAnswers(
            redcap_version="14.7.3",
            project_info={"project_id": 1, **answers.pop("info", {})},
            metadata=fields,
            instruments=[{"instrument_name": form, "instrument_label": form} for form in forms],
            **answers,
        )
    )


@pytest.fixture(scope="session")
def project() -> RedcapProject:
    return parse_fields(*FIELDS)


@pytest.fixture
def frame(project: RedcapProject) -> pd.DataFrame:
    """Three valid rows, the last of them blank, as the tables room hands them out."""
    (spec,) = plan_tables(project, ["visit"])
    blank = [None] * 3
    columns = {name: VALID.get(name, blank) for name in spec.columns_by_name}
    return to_pandas(pa.table(columns, schema=spec.arrow_schema))


@pytest.fixture(scope="session")
def make_field() -> Callable[..., dict[str, Any]]:
    """A line of a data dictionary: name, type, form, and more columns by short or API name."""
    return field


@pytest.fixture(scope="session")
def make_project() -> Callable[..., RedcapProject]:
    """A project of such lines; more answers of the API by name."""
    return parse_fields


@pytest.fixture
def one(make_project: MakeProject, make_field: MakeField) -> Callable[..., RedcapProject]:
    """A project of a record id, a controlling `age`, and one field `x`, with missing data codes."""

    def make(field_type: str = "text", **columns: str) -> RedcapProject:
        return make_project(
            make_field("record_id"),
            make_field("age", validation="number"),
            make_field("x", field_type, **columns),
            **CODES,
        )

    return make


def rows(*values: str, **others: str) -> list[dict[str, str]]:
    """A row for each value of `x`, records numbered from 1."""
    return [
        {"record_id": str(number), "x": value, **others}
        for number, value in enumerate(values, start=1)
    ]


def places(found: list[tuple[str, str | None, str]], field: str = "x") -> list[str]:
    """The records in which something is wrong with a field."""
    return [record for record, name, _ in found if name == field]


def export_of(project: RedcapProject, rows: Sequence[Mapping[str, str]]) -> pa.Table:
    """A flat raw export: what a row does not say is blank, and a form's status is 2."""
    columns = [column for column in plan_export_columns(project) if not column.is_optional]
    names = list(
        dict.fromkeys([*(column.name for column in columns), *(n for r in rows for n in r)])
    )
    statuses = {column.name for column in columns if column.kind == "form_status"}
    return pa.table(
        {
            name: pa.array([row.get(name, "2" if name in statuses else "") for row in rows])
            for name in names
        }
    )


@pytest.fixture(scope="session")
def make_export() -> Callable[[RedcapProject, Sequence[Mapping[str, str]]], pa.Table]:
    """`export_of`."""
    return export_of


@pytest.fixture(scope="session")
def judged() -> Callable[..., tuple[QualityJudge, list[dict[str, Any]]]]:
    """Judges rows, and the tables made of them, by all rules; the judge and what it found."""

    def judge_rows(
        project: RedcapProject, rows: Sequence[Mapping[str, str]], **options: Any
    ) -> tuple[QualityJudge, list[dict[str, Any]]]:
        export = export_of(project, rows)
        tables = split_chunk(export, project, plan_tables(project)).tables
        judge = QualityJudge(plan_quality(project, QualityOptions(**{"as_of": AS_OF} | options)))
        pieces = [*judge.judge_rows(export, list(project.instruments_by_name))]
        pieces += judge.judge_records(export)
        names = {spec.instrument: spec.name for spec in plan_tables(project)}
        for instrument in names:
            pieces += judge.judge_table(
                instrument, lambda name, columns: tables[name].select(columns)
            )
        return judge, [row for piece in pieces for row in piece.to_pylist()]

    return judge_rows


@pytest.fixture(scope="session")
def find(
    judged: Callable[..., tuple[QualityJudge, list[dict[str, Any]]]],
) -> Callable[..., list[tuple[str, str | None, str]]]:
    """What the rules named find: record, field and status of each finding."""

    def find_by(
        rule: str, project: RedcapProject, rows: Sequence[Mapping[str, str]], **options: Any
    ) -> list[tuple[str, str | None, str]]:
        given = {"lists_missing_values": True} | options
        _, found = judged(project, rows, **given)
        return [
            (row[project.record_id_field], row["field"], row["status"])
            for row in found
            if row["rule"] == rule
        ]

    return find_by
