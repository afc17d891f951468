"""Reads the study's data dictionary: the CSV file a REDCap user downloads and edits.

`data_dictionary.csv` has REDCap's own 18 columns, so it can be uploaded to a server as it is.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

DICTIONARY_FILE = Path(__file__).with_name("data_dictionary.csv")
YES_NO = (("1", "Yes"), ("0", "No"))
TRUE_FALSE = (("1", "True"), ("0", "False"))


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the dictionary.

    Attributes:
        name: Variable name.
        form: Unique name of the instrument.
        section: Section header above the field, "" for none.
        kind: REDCap's field type (`text`, `calc`, …).
        label: What the person entering data reads.
        definition: The sixth column as it stands: choices, formula or slider labels.
        choices: Code and label of every choice; the implied ones of yesno and truefalse too.
    """

    name: str
    form: str
    section: str
    kind: str
    label: str
    definition: str
    choices: tuple[tuple[str, str], ...]
    note: str
    validation: str
    minimum: str
    maximum: str
    is_identifier: bool
    branching: str
    is_required: bool
    alignment: str
    matrix: str
    annotation: str


@dataclass(frozen=True, slots=True)
class Form:
    """An instrument with its fields in dictionary order."""

    name: str
    label: str
    fields: tuple[Field, ...]


@cache
def read_dictionary(path: Path = DICTIONARY_FILE) -> tuple[Form, ...]:
    """The instruments of the study, in dictionary order."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:]
    fields = [_field(line) for line in lines]
    return tuple(
        Form(name, name.replace("_", " ").capitalize(), tuple(members))
        for name, members in groupby(fields, key=lambda item: item.form)
    )


def checkbox_column(field_name: str, code: str) -> str:
    """Export column of one choice: `race`, `AI` → `race___ai`.

    Source: docs/sources.md (checkbox columns): the code in lower case, every other sign than a
    letter, digit or underscore as an underscore.
    """
    return f"{field_name}___{re.sub('[^a-z0-9_]', '_', code.lower())}"


def _field(line: Sequence[str]) -> Field:
    kind, definition = line[3], line[5]
    return Field(
        name=line[0],
        form=line[1],
        section=line[2],
        kind=kind,
        label=line[4],
        definition=definition,
        choices=_choices(kind, definition),
        note=line[6],
        validation=line[7],
        minimum=line[8],
        maximum=line[9],
        is_identifier=line[10] == "y",
        branching=line[11],
        is_required=line[12] == "y",
        alignment=line[13],
        matrix=line[15],
        annotation=line[17],
    )


def _choices(kind: str, definition: str) -> tuple[tuple[str, str], ...]:
    if kind == "yesno":
        return YES_NO
    if kind == "truefalse":
        return TRUE_FALSE
    if kind not in {"radio", "dropdown", "checkbox"}:
        return ()
    parts = (part.split(",", 1) for part in definition.split("|"))
    return tuple((code.strip(), label.strip()) for code, label in parts)
