"""Import of a whole data dictionary: what is left out is deleted, its data stays stored."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from redcap_dagster.emulator.answers import Text
from redcap_dagster.emulator.contents.call import Call
from redcap_dagster.emulator.contents.change import (
    change_design,
    imported_rows,
    refuse_production,
)
from redcap_dagster.emulator.design import Choice, Design, Field, Form
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import status_column
from redcap_dagster.emulator.odm.design import parse_choices

FIELD_TYPES = frozenset(
    {
        "text",
        "notes",
        "calc",
        "dropdown",
        "radio",
        "checkbox",
        "yesno",
        "truefalse",
        "file",
        "slider",
        "descriptive",
        "sql",
    }
)
_CHOICES_NEEDED = frozenset({"dropdown", "radio", "checkbox"})
# What else shares the dictionary's column of choices: formula, labels, ontology, query.
_FORMULAS = frozenset({"calc", "slider", "text", "sql"})
_FIELD_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*_*")
_NOT_FORM_NAME = re.compile(r"[^a-z0-9_]")
_Row = Mapping[str, str]


def import_metadata(call: Call) -> Text:
    """Replace the data dictionary and return the number of its fields."""
    refuse_production(call, "import metadata")
    rows = imported_rows(call, ("field_name", "form_name", "field_type"))
    fields = tuple(_field(row) for row in rows)
    _judge(fields)

    def change(_: sqlite3.Connection, design: Design) -> Design:
        return with_fields(design, fields)

    change_design(call, "Upload data dictionary (API)", change)
    return Text(str(len(fields)))


def with_fields(design: Design, fields: Sequence[Field]) -> Design:
    """Return the design with another dictionary; the rest follows its instruments.

    A new instrument is in every event of a classic project and in none of a longitudinal one.
    """
    labels = {form.name: form.label for form in design.forms}
    names = list(dict.fromkeys(entry.form for entry in fields))
    known = frozenset(names)
    return replace(
        design,
        fields=tuple(fields),
        forms=tuple(Form(name, labels.get(name) or _form_label(name)) for name in names),
        events=tuple(
            replace(event, forms=tuple(name for name in names if name in event.forms))
            for event in design.events
        ),
        repeats=tuple(repeat for repeat in design.repeats if repeat.form in known | {""}),
        survey_forms=tuple(name for name in names if name in design.survey_forms),
    )


def _form_label(name: str) -> str:
    return name.replace("_", " ").title()


def _field(row: _Row) -> Field:
    field_type = row["field_type"].lower()
    text = row.get("select_choices_or_calculations", "")
    has_choices = field_type in _CHOICES_NEEDED
    return Field(
        name=row["field_name"].lower(),
        form=_NOT_FORM_NAME.sub("", row["form_name"].lower().replace(" ", "_")),
        field_type=field_type,
        label=row.get("field_label", ""),
        choices=_choices(row["field_name"], text) if has_choices else (),
        formula=text if field_type in _FORMULAS else "",
        section_header=row.get("section_header", ""),
        note=row.get("field_note", ""),
        validation=row.get("text_validation_type_or_show_slider_number", ""),
        minimum=row.get("text_validation_min", ""),
        maximum=row.get("text_validation_max", ""),
        identifier=_ticked(row, "identifier"),
        branching_logic=row.get("branching_logic", ""),
        required=_ticked(row, "required_field"),
        custom_alignment=row.get("custom_alignment", ""),
        question_number=row.get("question_number", ""),
        matrix_group_name=row.get("matrix_group_name", ""),
        matrix_ranking=_ticked(row, "matrix_ranking"),
        annotation=row.get("field_annotation", ""),
    )


def _ticked(row: _Row, name: str) -> bool:
    return row.get(name, "").lower() == "y"


def _choices(field_name: str, text: str) -> tuple[Choice, ...]:
    choices = parse_choices(text)
    codes = [choice.code for choice in choices]
    if not choices:
        raise RequestRefusedError(f"The field '{field_name}' has no choices")
    if len(set(codes)) < len(codes):
        raise RequestRefusedError(f"The field '{field_name}' has one choice code twice")
    return choices


def _judge(fields: Sequence[Field]) -> None:
    problems = [
        *_iter_name_problems(fields),
        *(
            f"The field '{entry.name}' has the unknown field type '{entry.field_type}'"
            for entry in fields
            if entry.field_type not in FIELD_TYPES
        ),
        *_iter_form_problems(fields),
    ]
    if not fields:
        problems = ["The data dictionary has no field"]
    elif fields[0].field_type != "text":
        problems.append(f"The record id field '{fields[0].name}' must be a text field")
    if problems:
        raise RequestRefusedError("\n".join(problems))


def _iter_name_problems(fields: Sequence[Field]) -> list[str]:
    names = [entry.name for entry in fields]
    statuses = {status_column(entry.form) for entry in fields}
    problems = [
        f"The field name '{name}' is not valid"
        for name in dict.fromkeys(names)
        if not _FIELD_NAME.fullmatch(name) or name in statuses
    ]
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [*problems, *(f"The field name '{name}' is there twice" for name in twice)]


def _iter_form_problems(fields: Sequence[Field]) -> list[str]:
    problems: list[str] = []
    closed: set[str] = set()
    current = ""
    for entry in fields:
        if entry.form != current:
            if entry.form in closed or not entry.form:
                problems.append(
                    f"The fields of the instrument '{entry.form}' do not stand together"
                )
            closed.add(current)
            current = entry.form
    return problems
