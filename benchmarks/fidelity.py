"""How much of a study arrives with its meaning: in PyCap's frame, in pandas', in ours.

    python -m benchmarks.fidelity

The emulator serves the example's asthma cohort, and a made-up study of every shape. Each non-blank
cell that REDCap sends is looked up in what a client made of it. A cell is kept when its text can
still be told: the same text, or for a number the same number, for a yes or no, a date or a time
the same. Of a column it is judged whether it has the kind that the data dictionary gives.
"""

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from math import isnan
from typing import Any

import pandas as pd
import redcap
import requests

from example_pipeline.study.generate import STUDY_FILE
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.export import read_design
from redcap_dagster.extract import StudyTables, read_study
from redcap_dagster.project import RedcapProject, plan_export_columns
from redcap_dagster.tables import plan_tables

MADE_UP_RECORDS = 150
KEYS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
KIND_OF_SYSTEM_COLUMN = {"form_status": "number", "survey_timestamp": "moment"}
YES_NO_TYPES = {"yesno", "truefalse", "checkbox"}


@dataclass(frozen=True)
class Truth:
    """What REDCap sent.

    Attributes:
        rows: Every row of the flat export, all text.
        kind_of: Column of a form → the kind that the dictionary gives.
        project: The study's design.
    """

    rows: list[dict[str, str]]
    kind_of: Mapping[str, str]
    project: RedcapProject

    def cells(self) -> Iterator[tuple[int, str, str]]:
        """Every non-blank cell of a form: row, column, text."""
        for number, row in enumerate(self.rows):
            for name in self.kind_of:
                if row[name]:
                    yield number, name, row[name]

    def place(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """What tells a row apart, with 1 for no instance."""
        instance = row.get("redcap_repeat_instance") or "1"
        return row[self.project.record_id_field], row.get(KEYS[0]) or "", str(instance)


@dataclass(frozen=True)
class Score:
    """What a contestant kept, of how much."""

    cells: int
    kept: int
    columns: int
    right_kinds: int


def main() -> int:
    """Judge every contestant on both studies, and print Markdown tables."""
    made_up = synthetic_project(MADE_UP_RECORDS, shape="everything")
    for title, study in (("the example's cohort", STUDY_FILE), ("a made-up study", made_up)):
        with RedcapEmulator() as emulator:
            judge(title, emulator.url, emulator.add_project(study))
    return 0


def judge(title: str, url: str, token: str) -> None:
    """Print what each contestant keeps of one study."""
    with RedcapClient(url, token, requests_per_minute=60_000) as client:
        truth = read_truth(client)
        ours = read_study(client)
    pycap = redcap.Project(url, token).export_records(
        format_type="df", export_survey_fields=True, export_data_access_groups=True
    )
    scores = {
        "PyCap's frame": score_frame(truth, pycap.reset_index()),
        "requests and pandas": score_frame(truth, read_with_pandas(url, token)),
        "redcap_dagster": score_tables(truth, ours),
    }
    cells = sum(1 for _ in truth.cells())
    say(f"### {title}: {len(truth.rows):,} rows, {cells:,} cells\n")
    say("| | cells kept | of them | columns of the right kind | of |\n|---|---|---|---|---|")
    for name, score in scores.items():
        share = f"{score.kept / score.cells:.1%}"
        say(f"| {name} | {score.kept:,} | {share} | {score.right_kinds} | {score.columns} |")
    say("")


def read_truth(client: RedcapClient) -> Truth:
    """The flat export, all text."""
    project = read_design(client)
    body = client.export_records_csv(
        export_survey_fields=True,
        export_data_access_groups=True,
        export_blank_for_gray_form_status=True,  # else REDCap says 0 of forms that nobody opened
    )
    frame = pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False)
    rows: list[dict[str, str]] = frame.to_dict("records")
    kinds = {
        column.name: KIND_OF_SYSTEM_COLUMN.get(column.kind) or kind_of(project, column.field)
        for column in plan_export_columns(project)
        if column.instrument is not None and column.name in frame and column.kind != "record_id"
    }
    return Truth(rows, kinds, project)


def kind_of(project: RedcapProject, field: str | None) -> str:
    """What the dictionary says a column holds; text where it says nothing else."""
    item = project.fields_by_name.get(field or "")
    if item is None:
        return "text"
    if item.field_type in YES_NO_TYPES:
        return "yes or no"
    if item.field_type in {"calc", "slider"}:
        return "number"
    if item.field_type != "text":
        return "text"
    for start, kind in (
        ("integer", "number"),
        ("number", "number"),
        ("datetime", "moment"),
        ("date", "moment"),
        ("time", "time"),
    ):
        if (item.validation or "").startswith(start):
            return kind
    return "text"


def read_with_pandas(url: str, token: str) -> pd.DataFrame:
    """As the tutorial does."""
    form = {"token": token, "content": "record", "format": "csv"}
    form |= {"exportSurveyFields": "true", "exportDataAccessGroups": "true"}
    return pd.read_csv(io.StringIO(requests.post(url, form, timeout=60).text), low_memory=False)


def score_frame(truth: Truth, frame: pd.DataFrame) -> Score:
    """What is left of the cells in a frame that has the rows of the flat export."""
    columns = {name: frame[name].tolist() for name in truth.kind_of}
    kept = [
        is_kept(text, columns[name][row], truth.kind_of[name]) for row, name, text in truth.cells()
    ]
    right = sum(HAS_KIND[kind](frame[name]) for name, kind in truth.kind_of.items())
    return Score(len(kept), sum(kept), len(truth.kind_of), right)


def score_tables(truth: Truth, study: StudyTables) -> Score:
    """What is left of the cells in the tables of the instruments, and what is listed as rejected.

    A cell is found by record, event, instance and column; each is used up by one.
    """
    found: dict[tuple[Any, ...], list[Any]] = {}
    right = 0
    for spec in plan_tables(truth.project):
        rows = study.tables[spec.name].to_pylist()
        frame = study.frame(spec.name)
        for column in spec.columns:
            if column.name not in truth.kind_of:
                continue
            right += HAS_KIND[truth.kind_of[column.name]](frame[column.name])
            for row in rows:
                place = truth.place({**row, KEYS[2]: instance_of(row)})
                values = [row[column.name], row.get(f"{column.name}__missing")]
                found.setdefault((*place, column.name), []).append(values)
    rejected = Counter(
        (*truth.place(row), row["field"], row["value"])
        for row in study.tables["rejected_values"].to_pylist()
    )
    kept = [
        take(text, truth.kind_of[name], found.get((*truth.place(truth.rows[row]), name), []))
        or take_rejected(rejected, (*truth.place(truth.rows[row]), name, text))
        for row, name, text in truth.cells()
    ]
    return Score(len(kept), sum(kept), len(truth.kind_of), right)


def instance_of(row: Mapping[str, Any]) -> Any:
    """The instance of a row of a table, of its form or its event."""
    return row.get("redcap_form_instance") or row.get("redcap_event_instance")


def take(text: str, kind: str, candidates: list[list[Any]]) -> bool:
    """Whether a cell is among those of its place; one that is found is used up."""
    for values in candidates:
        value, missing = values
        if missing == text or is_kept(text, value, kind):
            candidates.remove(values)
            return True
    return False


def take_rejected(rejected: Counter[tuple[Any, ...]], cell: tuple[Any, ...]) -> bool:
    """Whether a cell is listed as rejected; one that is found is used up."""
    rejected[cell] -= 1
    return rejected[cell] >= 0


def is_kept(text: str, value: Any, kind: str) -> bool:
    """Whether a value still says what the text of the cell said."""
    if isinstance(value, str):
        return value == text
    if value is None or (isinstance(value, float) and isnan(value)):
        return False
    if isinstance(value, datetime):
        return str(value).startswith(text)
    if isinstance(value, date | time):
        return value.isoformat().startswith(text)
    if kind == "number":
        number = text.replace(",", ".")  # a comma is a decimal mark where the dictionary says so
        return is_number(number) and float(value) == float(number)
    if kind == "yes or no":
        return text in {"0", "1"} and value == int(text)
    return str(value) == text


def is_number(text: str) -> bool:
    """Whether a text is a number in Python's eyes."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def holds_texts(column: pd.Series) -> bool:
    """Whether a column is made for texts: of another kind once it is empty, it is not."""
    is_text = pd.api.types.is_string_dtype(column.dtype) or column.dtype == object
    return is_text and all(isinstance(value, str) for value in column.dropna())


HAS_KIND: Mapping[str, Callable[[pd.Series], bool]] = {
    "text": holds_texts,
    "number": lambda column: bool(
        pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    ),
    "yes or no": lambda column: bool(pd.api.types.is_bool_dtype(column.dtype)),
    "moment": lambda column: "date" in str(column.dtype) or "timestamp" in str(column.dtype),
    "time": lambda column: "time" in str(column.dtype) and "timestamp" not in str(column.dtype),
}


def say(line: str) -> None:
    """Print a line of the result."""
    print(line, flush=True)  # noqa: T201 - what the benchmark is for


if __name__ == "__main__":
    sys.exit(main())
