"""How typed tables show choices, checkboxes and the reasons of blanks: what a user may ask for."""

from dataclasses import dataclass
from typing import Literal, get_args

from redcap_dagster.errors import ConfigError

ChoiceStyle = Literal["codes", "labels", "both"]
"""Choices of radio and dropdown fields: as codes, as ordered categories, or both."""

CheckboxStyle = Literal["columns", "list"]
"""A checkbox: a column of 0 and 1 for each choice, or one column that lists what was ticked."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How typed tables are laid out. `docs/tables.md` shows what each choice looks like.

    Attributes:
        choices: `codes` keeps the text that REDCap stores (`01`). `labels` makes the field an
            ordered categorical of its labels, and a code of none of them a rejected value. `both`
            keeps the codes and adds the categorical as `<field>__label`.
        checkboxes: `columns` makes one 0/1 column for each choice, `list` one list of the ticked
            choices, as codes, labels or both as `choices` says.
        missing_reasons: Whether the table `missing_reasons` says why each blank is blank.
    """

    choices: ChoiceStyle = "codes"
    checkboxes: CheckboxStyle = "columns"
    missing_reasons: bool = False

    def __post_init__(self) -> None:
        _refuse_unknown("choices", self.choices, get_args(ChoiceStyle))
        _refuse_unknown("checkboxes", self.checkboxes, get_args(CheckboxStyle))


def _refuse_unknown(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"TableOptions has no {name}={value!r}; it takes {', '.join(known)}.")


DEFAULT_TABLE_OPTIONS = TableOptions()
"""Codes as REDCap stores them, a column for each choice of a checkbox, no reasons."""
