"""From one column of a typed table to pandera checks, and the rules that no check is made of."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandera.pandas as pa

from redcap_dagster.project import TEXT_VALIDATIONS, DictionaryField, ValueKind, text_validation
from redcap_dagster.quality.bounds import Bound, is_dynamic, parse_bound, written_bounds
from redcap_dagster.tables import TableColumn

CHOICES = "choices"
EVENTS = "events"
RANGE = "range"
DECIMALS = "decimals"

_FORM_STATUSES = (0, 1, 2)


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


def compile_rules(
    column: TableColumn, events: tuple[str, ...]
) -> Iterator[pa.Check | UncompiledRule]:
    """Compile what the data dictionary says about one column.

    Args:
        column: A column of an instrument table.
        events: Unique names of the events that use the instrument.
    """
    if column.role == "event_name":
        yield _one_of(events, EVENTS)
    elif column.role == "form_status":
        yield _one_of(_FORM_STATUSES, CHOICES)
    elif column.role == "value" and column.field is not None and column.kind is not None:
        yield from _compile_choices(column.name, column.field)
        yield from _compile_format(column.name, column.field)
        yield from _compile_range(column.name, column.field, column.kind)


def _one_of(allowed: tuple[str, ...] | tuple[int, ...], rule: str) -> pa.Check:
    return pa.Check.isin(allowed, name=rule)


def _compile_choices(column: str, field: DictionaryField) -> Iterator[pa.Check | UncompiledRule]:
    if field.field_type in {"radio", "dropdown"}:
        yield _one_of(tuple(choice.code for choice in field.choices), CHOICES)
    elif field.field_type == "sql":
        yield UncompiledRule(column, CHOICES, "the choices are the result of a query")
    elif field.definition.startswith("BIOPORTAL"):
        yield UncompiledRule(column, CHOICES, "the choices are those of an ontology")


def _compile_format(column: str, field: DictionaryField) -> Iterator[pa.Check | UncompiledRule]:
    if field.field_type != "text" or not field.validation:
        return
    rule = f"format:{field.validation}"
    validation = text_validation(field)
    if field.validation not in TEXT_VALIDATIONS:
        yield UncompiledRule(column, rule, "the validation type is not one of REDCap's own")
    elif validation.kind == "text":
        yield pa.Check.str_matches(rf"^\s*(?:{validation.pattern})\s*$", name=rule)
    elif validation.decimals is not None:
        yield UncompiledRule(column, DECIMALS, "a typed number has lost how it was written")


def _compile_range(
    column: str, field: DictionaryField, kind: ValueKind
) -> Iterator[pa.Check | UncompiledRule]:
    constants: list[Bound | None] = []
    for text in written_bounds(field):
        constants.append(None)
        if is_dynamic(text):
            reason = "a bound depends on the day or on other fields"
            yield UncompiledRule(column, RANGE, reason)
        elif text:
            try:
                constants[-1] = parse_bound(text, kind, field.validation)
            except ValueError:
                yield UncompiledRule(column, RANGE, "a bound is no value of the field's type")
    yield from _range_checks(constants[0], constants[1])


def _range_checks(minimum: Bound | None, maximum: Bound | None) -> Iterator[pa.Check]:
    """Bounds are inclusive. Two checks of one name: pandera refuses a minimum above a maximum."""
    if minimum is not None:
        yield pa.Check.ge(minimum, name=RANGE)
    if maximum is not None:
        yield pa.Check.le(maximum, name=RANGE)
