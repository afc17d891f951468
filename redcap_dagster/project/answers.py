"""What REDCap's API answered about a study's design, before it is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Cell: TypeAlias = str | int | float | None
"""A value of a JSON answer: text, a number or flag, or null."""

AnswerRow: TypeAlias = Mapping[str, Cell]
"""One row of an answer: REDCap's column name → value."""


@dataclass(frozen=True)
class ProjectAnswers:
    """The answers that together describe a project, with REDCap's column names.

    A list is empty when the project has none of the kind (a classic project has no events). That
    must have been found out: a request that failed is not an empty list.

    Attributes:
        redcap_version: Answer of `version`.
        project_info: Answer of `project`.
        metadata: Rows of `metadata`, the data dictionary, in its order.
        instruments: Rows of `instrument`.
        arms: Rows of `arm`.
        events: Rows of `event`.
        form_event_mappings: Rows of `formEventMapping`.
        repeating_instruments_events: Rows of `repeatingFormsEvents`.
    """

    redcap_version: str
    project_info: AnswerRow = field(repr=False)
    metadata: Sequence[AnswerRow] = field(repr=False)
    instruments: Sequence[AnswerRow] = field(repr=False)
    arms: Sequence[AnswerRow] = field(default=(), repr=False)
    events: Sequence[AnswerRow] = field(default=(), repr=False)
    form_event_mappings: Sequence[AnswerRow] = field(default=(), repr=False)
    repeating_instruments_events: Sequence[AnswerRow] = field(default=(), repr=False)


def cell_text(row: AnswerRow, column: str) -> str:
    """The text of a cell, as it stands; "" for null and for a column the answer lacks.

    Older servers lack columns that newer ones have, and send null where newer ones send "".
    """
    value = row.get(column)
    return "" if value is None else str(value)


def cell_name(row: AnswerRow, column: str) -> str:
    """The text of a cell that holds a name or code: without blanks around it."""
    return cell_text(row, column).strip()


def cell_flag(row: AnswerRow, column: str) -> bool:
    """Whether a cell holds REDCap's yes: `1`, or `y` in the data dictionary."""
    return cell_name(row, column).casefold() in {"1", "y"}
