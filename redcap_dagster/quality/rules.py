"""From one column of a typed table to pandera checks, and the rules that no check is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import pandera.pandas as pa

from redcap_dagster.errors import LogicError
from redcap_dagster.project import TEXT_VALIDATIONS, DictionaryField, ValueKind, text_validation
from redcap_dagster.quality.bounds import (
    Bound,
    is_dynamic,
    parse_bound,
    read_limit,
    written_bounds,
)
from redcap_dagster.quality.moving_bounds import RANGE, bound_field, clock_check
from redcap_dagster.tables import TableColumn, TableSpec

if TYPE_CHECKING:
    import pandas as pd

CHOICES = "choices"
EVENTS = "events"
DECIMALS = "decimals"

_FORM_STATUSES = (0, 1, 2)
_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class UncompiledRule:
    """A rule of the data dictionary that a schema does not hold.

    Attributes:
        column: Name of the column it is about.
        rule: Name the check would have.
        reason: Why there is no check, as a clause.
    """

    column: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleChoices:
    """What is open about the rules of a schema.

    Attributes:
        as_of: What `today` and `now` mean in bounds; None for the moment a schema validates.
        decimals: Whether to ask that a number has at most the decimals of its validation type.
    """

    as_of: date | datetime | None = None
    decimals: bool = False


def compile_rules(
    column: TableColumn, spec: TableSpec, events: tuple[str, ...], choices: RuleChoices
) -> Iterator[pa.Check | UncompiledRule]:
    """Compile what the data dictionary says about one column.

    Args:
        column: A column of an instrument table.
        spec: The table.
        events: Unique names of the events that use the instrument.
        choices: What is open about the rules.
    """
    if column.role == "event_name":
        yield _one_of(events, EVENTS)
    elif column.role == "form_status":
        yield _one_of(_FORM_STATUSES, CHOICES)
    elif column.role == "value" and column.field is not None and column.kind is not None:
        yield from _compile_choices(column.name, column.field)
        yield from _compile_format(column.name, column.field, choices)
        yield from _compile_range(column.field, column.kind, spec, choices)


def _one_of(allowed: tuple[str, ...] | tuple[int, ...], rule: str) -> pa.Check:
    return pa.Check.isin(allowed, name=rule)


def _compile_choices(column: str, field: DictionaryField) -> Iterator[pa.Check | UncompiledRule]:
    if field.field_type in {"radio", "dropdown"}:
        yield _one_of(tuple(choice.code for choice in field.choices), CHOICES)
    elif field.field_type == "sql":
        yield UncompiledRule(column, CHOICES, "the choices are the result of a query")
    elif field.definition.startswith("BIOPORTAL"):
        yield UncompiledRule(column, CHOICES, "the choices are those of an ontology")


def _compile_format(
    column: str, field: DictionaryField, choices: RuleChoices
) -> Iterator[pa.Check | UncompiledRule]:
    if field.field_type != "text" or not field.validation:
        return
    rule = f"format:{field.validation}"
    validation = text_validation(field)
    if field.validation not in TEXT_VALIDATIONS:
        yield UncompiledRule(column, rule, "the validation type is not one of REDCap's own")
    elif validation.kind == "text":
        yield pa.Check.str_matches(rf"^\s*(?:{validation.pattern})\s*$", name=rule)
    elif validation.decimals is not None and choices.decimals:
        yield _decimals_check(validation.decimals)
    elif validation.decimals is not None:
        yield UncompiledRule(column, DECIMALS, "a typed number has lost how it was written")


def _compile_range(
    field: DictionaryField, kind: ValueKind, spec: TableSpec, choices: RuleChoices
) -> Iterator[pa.Check | UncompiledRule]:
    constants: list[Bound | None] = []
    for side, text in enumerate(written_bounds(field)):
        constants.append(None)
        if is_dynamic(text):
            yield from _compile_moving(field, kind, spec, choices, side)
        elif text:
            try:
                constants[-1] = parse_bound(text, kind, field.validation)
            except ValueError:
                yield UncompiledRule(field.name, RANGE, "a bound is no value of the field's type")
    yield from _range_checks(constants[0], constants[1])


def _compile_moving(
    field: DictionaryField, kind: ValueKind, spec: TableSpec, choices: RuleChoices, side: int
) -> Iterator[pa.Check | UncompiledRule]:
    try:
        limit = read_limit(field, kind, side)
    except LogicError:
        yield UncompiledRule(field.name, RANGE, "a bound refers to fields and cannot be read")
    except ValueError:
        yield UncompiledRule(field.name, RANGE, "a bound is no value of the field's type")
    else:
        if limit is not None and limit.word:
            yield clock_check(limit.word, kind, side, choices.as_of)
        elif limit is not None and bound_field(limit, kind, spec) is None:
            yield UncompiledRule(field.name, RANGE, "a bound refers to what is not in the table")


def _decimals_check(decimals: int) -> pa.Check:
    scale = 10.0**decimals

    def has_no_more(values: "pd.Series[float]") -> "pd.Series[bool]":
        scaled = values.astype("Float64") * scale
        # Binary fractions are never exact: 0.07 times 100 is not 7.
        return (scaled - scaled.round()).abs() <= _NOISE * scaled.abs().clip(lower=1.0)

    return pa.Check(has_no_more, name=DECIMALS)


def _range_checks(minimum: Bound | None, maximum: Bound | None) -> Iterator[pa.Check]:
    """Bounds are inclusive. Two checks of one name: pandera refuses a minimum above a maximum."""
    if minimum is not None:
        yield pa.Check.ge(minimum, name=RANGE)
    if maximum is not None:
        yield pa.Check.le(maximum, name=RANGE)
