"""A made-up study of one width, length and shape: its design, and its rows as prepared bytes.

A row is its key (record id, event, repeat) and one piece of bytes for each form, taken from a
small stock, so that any subset of forms and records is joined and not made.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.tables import Workload as Flat
from benchmarks.tables import make_cell, make_project
from redcap_dagster.project import (
    DictionaryField,
    ExportColumn,
    ProjectAnswers,
    RedcapProject,
    parse_project,
    plan_export_columns,
)

STOCK_SIZE = 200
EVENTS = tuple(f"month_{number}_arm_1" for number in range(6))
RECORD_ID = "record_id"


@dataclass(frozen=True)
class Workload:
    """A project of one width and length; with events it is the sparse longitudinal one."""

    name: str
    records: int
    columns: int
    events: int = 0

    def scaled(self, share: float) -> "Workload":
        """The same with fewer records."""
        return Workload(self.name, max(20, int(self.records * share)), self.columns, self.events)

    @property
    def title(self) -> str:
        """What a person calls it."""
        events = f" x {self.events} events" if self.events else ""
        return f"{self.records:,} records{events} x {self.columns:,} columns"


WORKLOADS = {
    item.name: item
    for item in (
        Workload("small", 20_000, 150),
        Workload("large", 100_000, 200),
        Workload("wide", 2_000, 5_000),
        Workload("sparse", 10_000, 200, 6),
        # Four times the cells of `large`: memory must not grow with them.
        Workload("huge", 400_000, 200),
    )
}


@dataclass(frozen=True)
class Form:
    """One form: its columns, and made-up pieces of a row.

    Attributes:
        name: Unique name.
        columns: Names of its export columns, without the record id.
        stock: Pieces of a csv row.
        json_stock: The same pieces as members of a JSON object.
        blank: The piece of a row that the form has no values in; as csv, then as JSON.
    """

    name: str
    columns: tuple[str, ...]
    stock: tuple[bytes, ...]
    json_stock: tuple[bytes, ...]
    blank: tuple[bytes, bytes]


@dataclass(frozen=True)
class Row:
    """What a row is, beside its values: 0 and None in a classic project."""

    record: int
    event: int = 0
    repeats: str | None = None
    instance: int = 0


@dataclass
class ServedStudy:
    """The study as the server holds it.

    Attributes:
        answers: What the API says of its design.
        forms: Its forms by name.
        rows: Every row, by record.
        pieces: Form → for each row the place in the stock, -1 for blank.
        spans: Record id → first row and the one after its last.
    """

    answers: ProjectAnswers
    forms: dict[str, Form]
    rows: list[Row]
    pieces: dict[str, list[int]]
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def project(self) -> RedcapProject:
        """Its design, parsed."""
        return parse_project(self.answers)


def record_id(number: int) -> str:
    """The id of the record with a number."""
    return f"{number:06}"


def make_study(workload: Workload) -> ServedStudy:
    """Make the study of a workload; the same one every time."""
    answers = make_answers(workload)
    project = parse_project(answers)
    chance = random.Random(7)  # noqa: S311 - no secret
    columns: dict[str, list[ExportColumn]] = {item.name: [] for item in project.instruments}
    for column in plan_export_columns(project):
        if column.instrument is not None and column.kind != "record_id":
            columns[column.instrument].append(column)
    fields = project.fields_by_name
    forms = {name: make_form(fields, name, owned, chance) for name, owned in columns.items()}
    study = ServedStudy(answers, forms, [], {name: [] for name in forms})
    designated = {(item.event, item.instrument) for item in project.form_events}
    repeating = {rule.instrument for rule in project.repeats}
    for number in range(workload.records):
        first = len(study.rows)
        for row in iter_rows(workload, number, chance, sorted(filter(None, repeating))):
            study.rows.append(row)
            for name, places in study.pieces.items():
                event = EVENTS[row.event]
                is_there = (
                    row.repeats == name
                    if row.repeats or name in repeating
                    else not workload.events or (event, name) in designated
                )
                places.append(chance.randrange(STOCK_SIZE) if is_there else -1)
        study.spans[record_id(number)] = (first, len(study.rows))
    return study


def iter_rows(
    workload: Workload, number: int, chance: random.Random, repeating: Sequence[str]
) -> list[Row]:
    """The rows of one record: its events, then what repeats in them."""
    if not workload.events:
        return [Row(number)]
    rows = [Row(number, event) for event in range(workload.events)]
    for event in range(1, workload.events):
        for name in repeating:
            count = chance.choice([0, 0, 0, 1])
            rows += [Row(number, event, name, place) for place in range(1, count + 1)]
    return rows


def make_form(
    fields: Mapping[str, DictionaryField],
    name: str,
    columns: Sequence[ExportColumn],
    chance: random.Random,
) -> Form:
    """One form with its stock of made-up pieces."""
    names = tuple(item.name for item in columns)
    cells = [
        [make_cell(chance, fields.get(item.field or "")) for item in columns]
        for _ in range(STOCK_SIZE)
    ]
    blank = [""] * len(names)
    return Form(
        name,
        names,
        tuple(as_csv(row) for row in cells),
        tuple(as_json(names, row) for row in cells),
        (as_csv(blank), as_json(names, blank)),
    )


def as_csv(cells: Sequence[str]) -> bytes:
    """A piece of a csv row; no cell needs quotes."""
    return ",".join(cells).encode()


def as_json(names: Sequence[str], cells: Sequence[str]) -> bytes:
    """Members of a JSON object; no cell needs escapes."""
    pairs = zip(names, cells, strict=True)
    return ",".join(f'"{name}":"{cell}"' for name, cell in pairs).encode()


def make_answers(workload: Workload) -> ProjectAnswers:
    """The design as the API tells it."""
    project = make_project(Flat(workload.name, workload.records, workload.columns))
    forms = [item.name for item in project.instruments]
    has_events = bool(workload.events)
    return ProjectAnswers(
        redcap_version="16.1.4",
        project_info={
            "project_id": 1,
            "project_title": "Benchmark",
            "is_longitudinal": int(has_events),
            "has_repeating_instruments_or_events": int(has_events),
            "surveys_enabled": 0,
            "missing_data_codes": "",
        },
        metadata=[metadata_row(item) for item in project.iter_fields()],
        instruments=[{"instrument_name": name, "instrument_label": name} for name in forms],
        arms=[{"arm_num": 1, "name": "Arm 1"}] if has_events else [],
        events=event_rows() if has_events else [],
        form_event_mappings=mapping_rows(forms) if has_events else [],
        repeating_instruments_events=repeat_rows(forms) if has_events else [],
    )


def metadata_row(item: DictionaryField) -> dict[str, str]:
    """A line of the data dictionary."""
    choices = " | ".join(f"{choice.code}, {choice.label}" for choice in item.choices)
    is_choice = item.field_type in {"radio", "dropdown"}
    return {
        "field_name": item.name,
        "form_name": item.instrument,
        "field_type": item.field_type,
        "field_label": item.name,
        "select_choices_or_calculations": choices if is_choice else "",
        "text_validation_type_or_show_slider_number": item.validation or "",
    }


def event_rows() -> list[dict[str, Any]]:
    """The events, months of one arm."""
    return [
        {"event_name": name, "arm_num": 1, "unique_event_name": name, "event_id": number}
        for number, name in enumerate(EVENTS, 1)
    ]


def mapping_rows(forms: Sequence[str]) -> list[dict[str, Any]]:
    """Two forms at the first event, two at every one, two at the last, and those that repeat."""
    at = {name: [EVENTS[0]] for name in forms[:2]}
    at |= {name: list(EVENTS) for name in forms[2:4]}
    at |= {name: [EVENTS[-1]] for name in forms[4:-2]}
    at |= {name: list(EVENTS[1:]) for name in forms[-2:]}
    return [
        {"arm_num": 1, "unique_event_name": event, "form": name}
        for event in EVENTS
        for name in forms
        if event in at[name]
    ]


def repeat_rows(forms: Sequence[str]) -> list[dict[str, Any]]:
    """The last two forms repeat wherever they are."""
    return [
        {"event_name": event, "form_name": name, "custom_form_label": ""}
        for event in EVENTS[1:]
        for name in forms[-2:]
    ]
