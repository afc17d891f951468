"""What the rules look at, decided once from the study's design. Pure: no data.

Logic is parsed and held against the design here. What cannot be read is listed as not evaluated
for the field and rules concerned; it stops nothing else.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import TypeVar

from redcap_dagster.errors import LogicError
from redcap_dagster.logic import (
    ActionTag,
    Expression,
    check_logic,
    find_action_tags,
    parse_calculation,
    parse_logic,
    references,
    uses_today,
)
from redcap_dagster.project import DictionaryField, RedcapProject, ValueKind
from redcap_dagster.quality.bounds import Limit, read_limits
from redcap_dagster.quality.catalogue import (
    ENTRY_LIMITS,
    HIDDEN_FIELDS_WITH_VALUES,
    INCORRECT_CALCULATIONS,
    MISSING_REQUIRED_VALUES,
    MISSING_VALUES,
    OUT_OF_RANGE,
    OUTLIERS,
    READABLE_LOGIC,
    SECONDARY_UNIQUE_FIELD,
)
from redcap_dagster.quality.custom_rules import CustomRule, read_custom_rules
from redcap_dagster.quality.options import QualityOptions, check_rule_names
from redcap_dagster.tables import TableColumn, TableSpec, plan_tables
from redcap_dagster.tables.value_columns import missing_codes_of

T = TypeVar("T")

_BRANCHING_RULES = (MISSING_VALUES, MISSING_REQUIRED_VALUES, HIDDEN_FIELDS_WITH_VALUES)
_BRANCHING_RULES_OF_CALCULATIONS = (*_BRANCHING_RULES, INCORRECT_CALCULATIONS)
_COUNTING_TAGS = frozenset({"@MAXCHECKED", "@CHARLIMIT", "@WORDLIMIT"})
_WORDS = re.compile(r"[^\s,;]+")


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """Something a rule could not judge.

    Attributes:
        instrument: Unique name of the instrument; None for a custom rule.
        field: Name of the field; None for a custom rule.
        rule: Name of the rule.
        reason: What is wrong and what to do. Words of the design, never values.
    """

    instrument: str | None
    field: str | None
    rule: str
    reason: str


@dataclass(frozen=True)
class EntryLimits:
    """What the action tags of a field and its matrix allow.

    Attributes:
        exclusive_codes: Choices that exclude all others (`@NONEOFTHEABOVE`).
        most_ticks: Most choices that may be ticked (`@MAXCHECKED`).
        most_letters: Longest text (`@CHARLIMIT`).
        most_words: Longest text in words (`@WORDLIMIT`).
        forbids_missing_codes: No missing data code may stand here (`@NOMISSING`).
    """

    exclusive_codes: tuple[str, ...] = ()
    most_ticks: int | None = None
    most_letters: int | None = None
    most_words: int | None = None
    forbids_missing_codes: bool = False


@dataclass(frozen=True)
class FieldPlan:
    """What the rules look at in one field.

    Attributes:
        field: The line of the data dictionary.
        kind: What its text should hold.
        columns: Export columns: one, or one for each choice of a checkbox.
        choice_codes: Code of each of these columns; () unless it is a checkbox.
        missing_columns: Columns of a checkbox that say a missing data code was chosen.
        missing_codes: Missing data codes that a value may be.
        shown: When the field is shown; None for always, or where that cannot be read.
        branching_is_readable: False where nobody can say whether the field is hidden.
        calculation: What computes the field, where rule H looks at it.
        lower: Lower bound, or None.
        upper: Upper bound, or None.
        bound_codes: Missing data codes of the fields that bounds refer to, by their names.
        limits: What action tags allow.
    """

    field: DictionaryField
    kind: ValueKind
    columns: tuple[str, ...]
    choice_codes: tuple[str, ...] = ()
    missing_columns: tuple[str, ...] = ()
    missing_codes: tuple[str, ...] = ()
    shown: Expression | None = None
    branching_is_readable: bool = True
    calculation: Expression | None = None
    lower: Limit | None = None
    upper: Limit | None = None
    bound_codes: Mapping[str, tuple[str, ...]] = dataclass_field(default_factory=dict)
    limits: EntryLimits = EntryLimits()


@dataclass(frozen=True)
class InstrumentPlan:
    """What the rules look at in one instrument.

    Attributes:
        spec: The instrument's table.
        fields: Its fields, in dictionary order, without the record id and descriptive ones.
        status_column: Export column of the form status.
        ranking_matrices: Fields of each matrix whose choices may be used once.
        not_evaluated: What cannot be judged, whatever the data.
    """

    spec: TableSpec
    fields: tuple[FieldPlan, ...]
    status_column: str
    ranking_matrices: tuple[tuple[str, ...], ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()

    @property
    def name(self) -> str:
        """Unique name of the instrument."""
        return self.spec.instrument or self.spec.name

    @property
    def events(self) -> frozenset[str | None]:
        """Unique names of the events that use the instrument; that of a classic project is None."""
        return frozenset(item.event for item in self.spec.placements)

    @cached_property
    def fields_by_name(self) -> dict[str, FieldPlan]:
        """Every field by its name."""
        return {item.field.name: item for item in self.fields}


@dataclass(frozen=True)
class PlannedCustomRule:
    """A custom rule, and its logic where it can be read."""

    rule: CustomRule
    expression: Expression | None
    reason: str = ""


@dataclass(frozen=True)
class QualityPlan:
    """The rules of a study, ready to run.

    Attributes:
        project: The study's design.
        options: What the study decided.
        instruments: By unique name, in dictionary order.
        custom_rules: In the order of their file.
    """

    project: RedcapProject
    options: QualityOptions
    instruments: dict[str, InstrumentPlan]
    custom_rules: tuple[PlannedCustomRule, ...] = ()


def plan_quality(
    project: RedcapProject,
    options: QualityOptions | None = None,
    *,
    hidden_fields: Collection[str] = (),
) -> QualityPlan:
    """Plan the rules of a study.

    Args:
        project: The study's design, as the data were exported with.
        options: What the study decided; None for the defaults.
        hidden_fields: Fields that the finished tables do not hold. Rules that read those tables
            cannot judge them.

    Raises:
        ConfigError: The file of custom rules cannot be read, or an option names no rule.
    """
    options = options or QualityOptions()
    custom = read_custom_rules(options.custom_rules) if options.custom_rules else ()
    check_rule_names(options, [rule.name for rule in custom])
    return QualityPlan(
        project,
        options,
        {
            spec.instrument: _InstrumentPlanner(project, options, spec, hidden_fields).plan()
            for spec in plan_tables(project)
            if spec.instrument is not None
        },
        tuple(_plan_custom(rule, project, options) for rule in custom),
    )


def _plan_custom(
    rule: CustomRule, project: RedcapProject, options: QualityOptions
) -> PlannedCustomRule:
    try:
        expression = parse_logic(rule.logic)
    except LogicError as error:
        return PlannedCustomRule(rule, None, _clause(error))
    for misfit in check_logic(expression, project, options=options.logic):
        return PlannedCustomRule(rule, None, _clause(misfit))
    return PlannedCustomRule(rule, expression)


class _InstrumentPlanner:
    """Plans one instrument, and collects what cannot be read."""

    def __init__(
        self,
        project: RedcapProject,
        options: QualityOptions,
        spec: TableSpec,
        hidden_fields: Collection[str],
    ) -> None:
        self._hidden_fields = hidden_fields
        self._project = project
        self._options = options
        self._spec = spec
        self._instrument = spec.instrument or spec.name
        self._not_evaluated: list[NotEvaluated] = []

    def plan(self) -> InstrumentPlan:
        columns: dict[str, list[TableColumn]] = {}
        status = ""
        for column in self._spec.columns:
            if column.role == "form_status":
                status = column.name
            elif column.role in {"value", "checkbox"} and column.field is not None:
                columns.setdefault(column.field.name, []).append(column)
        fields = tuple(self._plan_field(items) for items in columns.values())
        return InstrumentPlan(
            self._spec, fields, status, tuple(_matrices(fields)), tuple(self._not_evaluated)
        )

    def _plan_field(self, columns: list[TableColumn]) -> FieldPlan:
        first = columns[0]
        item, kind = first.field, first.kind
        if item is None or kind is None:
            raise AssertionError  # such columns are not collected
        choices = [column for column in columns if _source_kind(column) != "missing_code_checkbox"]
        calculation = self._calculation_to_check(item)
        judged = _BRANCHING_RULES if calculation is None else _BRANCHING_RULES_OF_CALCULATIONS
        shown = self._read(item, judged, lambda: _branching_logic(item))
        if item.name in self._hidden_fields:
            self._note_hidden(item)
        lower, upper = self._limits(item, kind)
        tags = self._read(item, (ENTRY_LIMITS,), lambda: find_action_tags(item.annotation)) or ()
        for reason in _misread_tags(_tag_arguments(tags)):
            self._note(item, ENTRY_LIMITS, reason)
            self._note(item, READABLE_LOGIC, reason)
        return FieldPlan(
            field=item,
            kind=kind,
            columns=tuple(column.name for column in choices),
            choice_codes=tuple(
                column.source.choice_code or "" for column in choices if column.source
            )
            if item.field_type == "checkbox"
            else (),
            missing_columns=tuple(column.name for column in columns if column not in choices),
            missing_codes=first.missing_codes,
            shown=shown,
            branching_is_readable=shown is not None or not item.branching_logic.strip(),
            calculation=calculation,
            limits=_entry_limits(_tag_arguments(tags)),
            lower=lower,
            upper=upper,
            bound_codes=self._bound_codes(lower, upper),
        )

    def _read(
        self, item: DictionaryField, rules: tuple[str, ...], parse: Callable[[], T]
    ) -> T | None:
        """What `parse` reads; None where that, or a name in it, is wrong, which is noted."""
        try:
            result = parse()
            if isinstance(result, Expression):
                self._refuse_misfits(result)
        except LogicError as error:
            for rule in (*rules, READABLE_LOGIC):
                self._note(item, rule, _clause(error))
            return None
        return result

    def _refuse_misfits(self, expression: Expression) -> None:
        for error in check_logic(
            expression, self._project, instrument=self._instrument, options=self._options.logic
        ):
            raise error

    def _calculation_to_check(self, item: DictionaryField) -> Expression | None:
        calculation = self._read(item, (INCORRECT_CALCULATIONS,), lambda: parse_calculation(item))
        if calculation is None or not uses_today(calculation):
            return calculation
        if self._options.calculations_with_today:
            return calculation
        self._note(
            item,
            INCORRECT_CALCULATIONS,
            "It uses today or now, so its stored result drifts: see calculations_with_today.",
        )
        return None

    def _limits(self, item: DictionaryField, kind: ValueKind) -> tuple[Limit | None, Limit | None]:
        try:
            limits = read_limits(item, kind)
            for limit in limits:
                if limit is not None and limit.expression is not None:
                    self._refuse_misfits(limit.expression)
        except LogicError as misread:
            reason = _clause(misread)
        except ValueError:
            reason = "A bound is no value of the field's type."
        else:
            return limits
        self._note(item, OUT_OF_RANGE, reason)
        self._note(item, READABLE_LOGIC, reason)
        return None, None

    def _bound_codes(self, *limits: Limit | None) -> dict[str, tuple[str, ...]]:
        expressions = [limit.expression for limit in limits if limit is not None]
        names = {
            reference.name
            for expression in expressions
            if expression is not None
            for reference in references(expression)
        }
        fields = self._project.fields_by_name
        return {
            name: missing_codes_of(self._project, fields[name]) for name in names & fields.keys()
        }

    def _note_hidden(self, item: DictionaryField) -> None:
        reason = "The finished table does not hold the field: de-identification leaves it out."
        if item.name == self._project.info.secondary_unique_field:
            self._note(item, SECONDARY_UNIQUE_FIELD, reason)
        if self._options.judges_outliers_of(item):
            self._note(item, OUTLIERS, reason)

    def _note(self, item: DictionaryField, rule: str, reason: str) -> None:
        self._not_evaluated.append(NotEvaluated(self._instrument, item.name, rule, reason))


def _branching_logic(item: DictionaryField) -> Expression | None:
    return parse_logic(item.branching_logic) if item.branching_logic.strip() else None


def _source_kind(column: TableColumn) -> str:
    return "" if column.source is None else column.source.kind


def _clause(error: LogicError) -> str:
    return f"{error.reason} (line {error.line}, column {error.column})"


def _matrices(fields: tuple[FieldPlan, ...]) -> Iterator[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for item in fields:
        if item.field.is_matrix_ranking and item.field.matrix_group:
            groups.setdefault(item.field.matrix_group, []).append(item.field.name)
    yield from (tuple(names) for names in groups.values())


def _tag_arguments(tags: tuple[ActionTag, ...]) -> dict[str, str]:
    # A tag inside @IF applies on some pages only: what it forbids may have been allowed.
    return {tag.name: tag.argument or "" for tag in tags if not tag.is_conditional}


def _misread_tags(arguments: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the arguments of tags that count."""
    for name in sorted(_COUNTING_TAGS & arguments.keys()):
        if _count(arguments[name]) is None:
            yield f"{name} takes a whole number, such as {name}=3."


def _entry_limits(arguments: Mapping[str, str]) -> EntryLimits:
    return EntryLimits(
        exclusive_codes=tuple(_WORDS.findall(arguments.get("@NONEOFTHEABOVE", ""))),
        most_ticks=_count(arguments.get("@MAXCHECKED")),
        most_letters=_count(arguments.get("@CHARLIMIT")),
        most_words=_count(arguments.get("@WORDLIMIT")),
        forbids_missing_codes="@NOMISSING" in arguments,
    )


def _count(argument: str | None) -> int | None:
    text = (argument or "").strip()
    return int(text) if text.isdecimal() else None
