"""The asset checks of a step: judges rows while they are exported, or tables published before."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeAlias

import dagster as dg

from redcap_dagster.errors import TableError
from redcap_dagster.orchestration.check_plan import (
    COMPLETE_EXTRACT,
    DATA_DICTIONARY_CURRENT,
    rules_of_check,
)
from redcap_dagster.orchestration.checks import SCHEMA_CHECK, SchemaCheck, SchemaMark, rule_result
from redcap_dagster.orchestration.deidentification import refuse_checks_alone
from redcap_dagster.orchestration.extract_checks import (
    complete_extract_result,
    data_dictionary_result,
)
from redcap_dagster.orchestration.findings import FindingsWriter, judge_published
from redcap_dagster.orchestration.partitions import parse_partition
from redcap_dagster.orchestration.step import Step
from redcap_dagster.quality import QualityJudge, QualityOptions, plan_quality
from redcap_dagster.tables import (
    RECORDS,
    REJECTED_VALUES,
    ExtractWriter,
    Location,
    PublishedExtract,
    SplitChunk,
    current_extract,
    find_shelves,
    plan_tables,
    read_published,
)

ChecksMark: TypeAlias = tuple[dict[str, SchemaMark], object]

_CHECKS_OF_TABLES = frozenset({SCHEMA_CHECK, COMPLETE_EXTRACT, DATA_DICTIONARY_CURRENT})
"""Checks that are no data-quality rules."""


class StepChecks:
    """Judges what a step exports, over all its partitions.

    Args:
        step: What is selected, and the study as it is now.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._schema_checks: dict[str, SchemaCheck] = {}

    def mark(self) -> ChecksMark:
        """What was found so far, to go back to."""
        judge = None if self._step.study.quality is None else self._judge.mark()
        return {name: check.mark() for name, check in self._schema_checks.items()}, judge

    def go_back(self, mark: ChecksMark) -> None:
        """Forget what was found since a mark: the rows are read again."""
        checks, judge = mark
        for name in [name for name in self._schema_checks if name not in checks]:
            del self._schema_checks[name]
        for name, found in checks.items():
            self._schema_checks[name].go_back(found)
        if judge is not None:
            self._judge.go_back(judge)

    def judge(self, split: SplitChunk) -> None:
        """Judge the typed rows of some records against the `schema` of their tables."""
        for name, table in split.tables.items():
            check = self._schema_check(name)
            check.judge(table)
            check.count_rejected(split.rejected)

    def findings_writer(
        self,
        writer: ExtractWriter,
        *,
        instruments: Sequence[str],
        is_whole: bool,
        events: Sequence[str] | None,
    ) -> FindingsWriter | None:
        """What runs the data-quality rules over an export; None where none shall run.

        Args:
            writer: Writes the tables of the partition.
            instruments: Instruments whose tables are written.
            is_whole: Whether all instruments are exported.
            events: Unique names of the events that are exported; None for all.
        """
        step = self._step
        if step.study.quality is None:
            return None
        return FindingsWriter(
            self._judge,
            writer,
            step.live,
            instruments=instruments,
            is_whole=is_whole,
            events=events,
        )

    def results(
        self, key: dg.AssetKey, extracts: Sequence[PublishedExtract]
    ) -> list[dg.AssetCheckResult]:
        """The results of an asset's selected checks.

        Args:
            key: The asset.
            extracts: What was published with its table, one for each partition.
        """
        return [
            self._result(check_key, extracts)
            for check_key in sorted(self._step.context.selected_asset_check_keys, key=str)
            if check_key.asset_key == key
        ]

    def check_again(self) -> Iterator[dg.AssetCheckResult]:
        """Judge what was published before, for checks that are selected without their asset.

        Raises:
            TableError: Nothing was published that they could judge.
            ConfigError: Published tables are de-identified, and a check needs raw values.
        """
        context = self._step.context
        wanted = [
            check_key
            for check_key in sorted(context.selected_asset_check_keys, key=str)
            if check_key.asset_key not in context.selected_asset_keys
        ]
        refuse_checks_alone(self._step.study, wanted)
        rules = [item for item in wanted if item.name not in _CHECKS_OF_TABLES]
        if rules:
            self._judge_again([item.asset_key for item in rules])
        for check_key in wanted:
            key = check_key.asset_key
            shelves = self._shelves_with(self._step.study.props[key].name)
            if check_key.name == SCHEMA_CHECK:
                yield self._schema_again(key, shelves)
            elif check_key.name == COMPLETE_EXTRACT:
                extracts = [current_extract(shelf) for shelf in shelves]
                yield complete_extract_result(key, extracts, looks_at_files=True)
            elif check_key.name == DATA_DICTIONARY_CURRENT:
                yield self._drift_result(key)
            else:
                yield self._rule_result(key, check_key.name)

    def _result(
        self, check_key: dg.AssetCheckKey, extracts: Sequence[PublishedExtract]
    ) -> dg.AssetCheckResult:
        key = check_key.asset_key
        if check_key.name == SCHEMA_CHECK:
            return self._schema_check(self._step.study.props[key].name).result(key)
        if check_key.name == COMPLETE_EXTRACT:
            return complete_extract_result(key, extracts, looks_at_files=False)
        if check_key.name == DATA_DICTIONARY_CURRENT:
            return self._drift_result(key)
        return self._rule_result(key, check_key.name)

    @cached_property
    def _judge(self) -> QualityJudge:
        step = self._step
        hidden = () if step.deidentifier is None else step.deidentifier.dropped_fields
        return QualityJudge(plan_quality(step.live, step.study.quality, hidden_fields=hidden))

    def _schema_check(self, table: str) -> SchemaCheck:
        if table not in self._schema_checks:
            self._schema_checks[table] = self._plan_schema_check(table)
        return self._schema_checks[table]

    def _plan_schema_check(self, table: str) -> SchemaCheck:
        # An instrument that is gone since the snapshot is judged by the snapshot.
        study = self._step.study
        return next(
            SchemaCheck(project, spec.instrument, study.table_options)
            for project in (self._step.live, study.project)
            for spec in plan_tables(project, options=study.table_options)
            if spec.name == table
        )

    def _schema_again(self, key: dg.AssetKey, shelves: Sequence[Location]) -> dg.AssetCheckResult:
        table = self._step.study.props[key].name
        check = self._plan_schema_check(table)
        for shelf in shelves:
            check.judge(read_published(shelf, table))
            check.count_rejected(read_published(shelf, REJECTED_VALUES))
        return check.result(key)

    def _judge_again(self, keys: Sequence[dg.AssetKey]) -> None:
        step = self._step
        props = [step.study.props[key] for key in dict.fromkeys(keys)]
        tables = {
            item.spec.instrument: item.name
            for item in props
            if item.spec.instrument in step.live.instruments_by_name
        }
        judges_records = any(item.kind != "instrument" for item in props)
        for shelf in self._shelves_with(next(iter(tables.values()), RECORDS)):
            partition = current_extract(shelf).facts["partition"]
            judge_published(
                self._judge,
                shelf,
                tables,
                judges_records=judges_records,
                events=parse_partition(partition, step.live).events,
            )

    def _shelves_with(self, table: str) -> list[Location]:
        """The study's shelf and those of its partitions, where they hold a table."""
        out_dir = self._step.study.out_dir
        shelves = [
            shelf for shelf in find_shelves(out_dir) if table in current_extract(shelf).tables
        ]
        if not shelves:
            raise TableError(
                f"There is no published table {table} in {out_dir} to check. Materialize it first."
            )
        return shelves

    def _drift_result(self, key: dg.AssetKey) -> dg.AssetCheckResult:
        study = self._step.study
        return data_dictionary_result(key, study.project, self._step.live, study.drift_policy)

    def _rule_result(self, key: dg.AssetKey, check: str) -> dg.AssetCheckResult:
        study = self._step.study
        instrument = study.props[key].spec.instrument
        rules = rules_of_check(study.quality or QualityOptions(), check)
        return rule_result(key, check, [self._judge.outcome(rule, instrument) for rule in rules])
