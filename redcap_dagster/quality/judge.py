"""Runs a study's rules over its rows and tables: findings come out, and counts of them."""

import copy
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pyarrow as pa

from redcap_dagster.errors import ConfigError, LogicError
from redcap_dagster.project import DictionaryField
from redcap_dagster.quality.catalogue import (
    MISSING_VALUES,
    ONE_DATA_ACCESS_GROUP,
    QUALITY_RULES,
    SECONDARY_UNIQUE_FIELD,
    Severity,
    finding_severity,
)
from redcap_dagster.quality.cells import FieldCells, FormRows
from redcap_dagster.quality.exclusions import Exclusions, read_exclusions
from redcap_dagster.quality.field_rules import FIELD_RULES
from redcap_dagster.quality.findings import (
    FindingKind,
    FindingRows,
    Found,
    Mask,
    RowKeys,
    RowNumbers,
    plan_findings_table,
)
from redcap_dagster.quality.plan import InstrumentPlan, NotEvaluated, QualityPlan
from redcap_dagster.quality.row_rules import find_in_form, find_mixed_groups
from redcap_dagster.quality.study_slice import StudySlice
from redcap_dagster.quality.table_rules import TableReader, find_in_table, table_row_keys


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often one thing was found.

    Attributes:
        kind: What was found, and in which field.
        findings: Findings that count.
        excluded: Findings that the study's file of exclusions names.
        severity: How serious one of them is.
    """

    kind: FindingKind
    findings: int
    excluded: int
    severity: Severity


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule came to in one instrument; or one custom rule, in the study.

    Attributes:
        rule: Name of the rule.
        instrument: Unique name of the instrument; None for the study as a whole.
        rows: Rows that were looked at.
        counts: What was found, most frequent first.
        not_evaluated: What could not be judged.
        severity: Of the worst that was found; of the rule when nothing was.
    """

    rule: str
    instrument: str | None
    rows: int
    counts: tuple[RuleCount, ...]
    not_evaluated: tuple[NotEvaluated, ...]
    severity: Severity

    @property
    def findings(self) -> int:
        """Findings that count."""
        return sum(count.findings for count in self.counts)

    @property
    def excluded(self) -> int:
        """Findings that were excluded."""
        return sum(count.excluded for count in self.counts)

    @property
    def passed(self) -> bool:
        """Whether everything was judged, and nothing found that counts."""
        return self.findings == 0 and not self.not_evaluated


def _zeros() -> list[int]:
    return [0, 0]


@dataclass
class _Tally:
    """What was counted so far."""

    counts: defaultdict[FindingKind, list[int]] = field(default_factory=lambda: defaultdict(_zeros))
    rows: defaultdict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    not_evaluated: dict[tuple[str | None, str | None, str], NotEvaluated] = field(
        default_factory=dict
    )


class QualityJudge:
    """Judges a study piece by piece: rows as they are exported, then the finished tables.

    Memory is bounded by one piece, and one column of a table. Findings are yielded as pieces of
    `quality_findings`, counts are kept. Nothing raised, counted or logged holds a value or a
    record id; the findings themselves hold record ids.

    Args:
        plan: What `plan_quality` returned.

    Raises:
        ConfigError: The file of exclusions cannot be read, or names a rule that there is not.
    """

    def __init__(self, plan: QualityPlan) -> None:
        self._plan = plan
        self._options = plan.options
        # REDCap writes the wall clock of the study's server, without a time zone.
        self._as_of: date | datetime = plan.options.as_of or datetime.now()  # noqa: DTZ005
        self._exclusions: Exclusions = read_exclusions(
            plan.options.exclusions, plan.project, [item.rule.name for item in plan.custom_rules]
        )
        self._schema = plan_findings_table(plan.project).arrow_schema
        self._tally = _Tally()

    @property
    def idle_exclusions(self) -> int:
        """How many exclusions name an instrument or a field that no rule can find anything in."""
        return self._exclusions.idle

    def mark(self) -> object:
        """What was counted so far, to go back to."""
        return copy.deepcopy(self._tally)

    def go_back(self, mark: object) -> None:
        """Forget what was counted since a mark: the same rows will be judged again.

        Args:
            mark: What `mark` returned.
        """
        if not isinstance(mark, _Tally):
            raise TypeError("go_back takes what mark returned.")
        self._tally = copy.deepcopy(mark)

    def judge_rows(
        self,
        table: pa.Table,
        instruments: Collection[str],
        events: Collection[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Judge rows of a flat raw export.

        Args:
            table: All columns text; "" or null is blank. All rows of each of its records.
            instruments: Unique names of the instruments to judge.
            events: Unique names of the events whose rows were exported; None for all. Logic that
                looks at others is then not evaluated.

        Yields:
            Pieces of `quality_findings`, in the order of the rows.

        Raises:
            TableError: A row has no record id, or two rows stand for the same.
        """
        if not table.num_rows:
            return
        rows = self._slice(table, events)
        found: list[Found] = []
        for name in instruments:
            form = FormRows.of(rows, self._plan.instruments[name])
            self._tally.rows[name] += len(form)
            found += find_in_form(form, self._options)
            for field_plan in form.plan.fields:
                found += self._find_in_field(form.cells(field_plan))
        yield from self._pieces(rows.keys, found)

    def judge_records(
        self, table: pa.Table, events: Collection[str] | None = None
    ) -> Iterator[pa.Table]:
        """Judge whole records: custom rules, and that each is in one data access group.

        Takes, yields and raises what `judge_rows` does; the rows must have all instruments.
        """
        if not table.num_rows:
            return
        rows = self._slice(table, events)
        self._tally.rows[None] += len(rows)
        found: list[Found] = []
        if self._options.runs(ONE_DATA_ACCESS_GROUP):
            found += find_mixed_groups(rows)
        for item in self._plan.custom_rules:
            if item.expression is None:
                continue
            kind = FindingKind(item.rule.name, None, None, "Discrepancy")
            try:
                is_true = rows.truth(item.expression)
            except (LogicError, ConfigError) as error:
                self._note(None, None, item.rule.name, _reason(error))
            else:
                found.append(Found(kind, is_true.nonzero()[0]))
        yield from self._pieces(rows.keys, found)

    def judge_table(
        self,
        instrument: str,
        read: TableReader,
        events: Collection[str] | None = None,
        *,
        holds_all_records: bool = True,
    ) -> Iterator[pa.Table]:
        """Judge a finished instrument table by the rules that need all its rows at once.

        Args:
            instrument: Unique name of the instrument.
            read: Reads columns of finished tables.
            events: Unique names of the events whose rows were exported; None for all.
            holds_all_records: Whether every record of the study was exported. What must be unique
                among records is found within the table otherwise, and noted as not evaluated.

        Yields:
            Pieces of `quality_findings`, in the order of the rows.
        """
        plan = self._plan.instruments[instrument]
        here = plan.events if events is None else plan.events & set(events)
        if here and not (holds_all_records and here == plan.events):
            self._note_values_elsewhere(plan)
        found = [
            item
            for item in find_in_table(plan, self._plan.project, self._options, read)
            if len(item.rows)
        ]
        if found:
            yield from self._pieces(table_row_keys(plan.spec, read), found)

    def _note_values_elsewhere(self, plan: InstrumentPlan) -> None:
        secondary = self._plan.project.info.secondary_unique_field
        if self._options.runs(SECONDARY_UNIQUE_FIELD) and secondary in plan.fields_by_name:
            reason = "A partition holds some of the field's values; others may hold the same."
            self._note(plan.name, secondary, SECONDARY_UNIQUE_FIELD, reason)

    def outcome(self, rule: str, instrument: str | None) -> RuleOutcome:
        """What a rule came to so far in an instrument; None for the study as a whole."""
        counts = tuple(
            sorted(
                (
                    RuleCount(kind, found - excluded, excluded, self._severity(kind))
                    for kind, (found, excluded) in self._tally.counts.items()
                    if kind.rule == rule and kind.instrument == instrument
                ),
                key=lambda count: -count.findings,
            )
        )
        worst = {count.severity for count in counts if count.findings}
        return RuleOutcome(
            rule,
            instrument,
            self._tally.rows[instrument],
            counts,
            self._not_evaluated(rule, instrument),
            "error" if "error" in worst or self._is_error(rule) else "warn",
        )

    def _slice(self, table: pa.Table, events: Collection[str] | None) -> StudySlice:
        return StudySlice(
            self._plan.project,
            table,
            as_of=self._as_of,
            options=self._options.logic,
            events=events,
        )

    def _find_in_field(self, cells: FieldCells) -> Iterator[Found]:
        plan = cells.plan
        for rule, judge in FIELD_RULES.items():
            if not self._options.runs(rule):
                continue
            try:
                for status, mask in judge(cells, self._options, self._as_of):
                    if mask.any():
                        kind = FindingKind(rule, plan.field.instrument, plan.field.name, status)
                        yield Found(kind, cells.form.where(mask))
            except (LogicError, ConfigError) as error:
                self._note(plan.field.instrument, plan.field.name, rule, _reason(error))

    def _pieces(self, keys: RowKeys, found: Sequence[Found]) -> Iterator[pa.Table]:
        unlisted = [item for item in found if not self._is_listed(item.kind)]
        if self._exclusions.rules.isdisjoint(item.kind.rule for item in unlisted):
            for item in unlisted:
                self._tally.counts[item.kind][0] += len(item.rows)
        else:  # which of them are excluded is only known from their rows
            for _ in self._judged(keys, unlisted):
                pass
        listed = [item for item in found if self._is_listed(item.kind)]
        yield from self._judged(keys, listed)

    def _judged(self, keys: RowKeys, found: Sequence[Found]) -> Iterator[pa.Table]:
        """Findings as rows, marked where they are excluded, and counted."""
        for numbers, piece in FindingRows(keys, found, self._schema).pieces():
            excluded = self._exclusions.are_excluded(piece)
            self._count(found, numbers, excluded.to_numpy(zero_copy_only=False))
            yield piece.set_column(piece.num_columns - 1, self._schema.field("excluded"), excluded)

    def _count(self, items: Sequence[Found], numbers: RowNumbers, excluded: Mask) -> None:
        found = np.bincount(numbers, minlength=len(items))
        left_out = np.bincount(numbers[excluded], minlength=len(items))
        for place in np.flatnonzero(found).tolist():
            count = self._tally.counts[items[place].kind]
            count[0] += int(found[place])
            count[1] += int(left_out[place])

    def _is_listed(self, kind: FindingKind) -> bool:
        return kind.rule != MISSING_VALUES or self._options.lists_missing_values

    def _note(self, instrument: str | None, name: str | None, rule: str, reason: str) -> None:
        item = NotEvaluated(instrument, name, rule, reason)
        self._tally.not_evaluated.setdefault((instrument, name, rule), item)

    def _not_evaluated(self, rule: str, instrument: str | None) -> tuple[NotEvaluated, ...]:
        planned: tuple[NotEvaluated, ...] = ()
        if instrument is None:
            planned = tuple(
                NotEvaluated(None, None, rule, item.reason)
                for item in self._plan.custom_rules
                if item.rule.name == rule and item.expression is None
            )
        elif instrument in self._plan.instruments:
            planned = self._plan.instruments[instrument].not_evaluated
        met = self._tally.not_evaluated.values()
        return tuple(
            item for item in (*planned, *met) if item.rule == rule and item.instrument == instrument
        )

    def _severity(self, kind: FindingKind) -> Severity:
        chosen = self._options.severities.get(kind.rule)
        if chosen is not None:
            return chosen
        if kind.rule not in QUALITY_RULES:
            return next(
                item.rule.severity
                for item in self._plan.custom_rules
                if item.rule.name == kind.rule
            )
        return finding_severity(kind.rule, self._field(kind.field), kind.status)

    def _is_error(self, rule: str) -> bool:
        is_custom_blocking = any(
            item.rule.is_blocking for item in self._plan.custom_rules if item.rule.name == rule
        )
        return is_custom_blocking or rule in self._options.blocking

    def _field(self, name: str | None) -> DictionaryField | None:
        return self._plan.project.fields_by_name.get(name or "")


def _reason(error: LogicError | ConfigError) -> str:
    return error.reason if isinstance(error, LogicError) else str(error)
