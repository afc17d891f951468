"""What a step's asset checks find: in rows while they are exported, or in published tables."""

from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import dagster as dg

from redcap_dagster.errors import name_some
from redcap_dagster.export import RecordSelection
from redcap_dagster.orchestration.check_plan import (
    COMPLETE_EXTRACT,
    DATA_DICTIONARY_CURRENT,
    rules_of_check,
)
from redcap_dagster.orchestration.checks import SCHEMA_CHECK, SchemaCheck, SchemaMark, rule_result
from redcap_dagster.orchestration.extract_checks import (
    complete_extract_result,
    data_dictionary_result,
)
from redcap_dagster.orchestration.findings import FindingsWriter, judge_published
from redcap_dagster.orchestration.partitions import parse_partition
from redcap_dagster.orchestration.step import Step
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.quality import QualityJudge, QualityOptions, plan_quality
from redcap_dagster.tables import (
    REJECTED_VALUES,
    ExtractWriter,
    Location,
    PublishedExtract,
    SplitChunk,
    current_extract,
    read_published,
)

ChecksMark: TypeAlias = tuple[dict[str, SchemaMark], object]

_CHECKS_OF_TABLES = frozenset({SCHEMA_CHECK, COMPLETE_EXTRACT, DATA_DICTIONARY_CURRENT})
"""Checks that are no data-quality rules."""

_MOST_PARTITIONS_NAMED = 10


class StepChecks:
    """Judges what it is given: all partitions of a step together, or one of them.

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
        """Judge the typed rows of some records where the `schema` of their table is selected."""
        for name in self._selected_schemas & split.tables.keys():
            check = self._schema_check(name)
            check.judge(split.tables[name])
            check.count_rejected(split.rejected)

    def findings_writer(
        self,
        writer: ExtractWriter,
        *,
        instruments: Sequence[str],
        is_whole: bool,
        selection: RecordSelection,
    ) -> FindingsWriter | None:
        """What runs the data-quality rules over an export; None where none shall run.

        Args:
            writer: Writes the tables of the partition.
            instruments: Instruments whose tables are written.
            is_whole: Whether all instruments are exported.
            selection: What of the records is exported.
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
            selection=selection,
        )

    def judge_published(self, checks: Sequence[dg.AssetCheckKey], shelf: Location) -> None:
        """Judge what was published on a shelf as some checks need it, in place of an export.

        Raises:
            TableError: `records` is not there, or of another export than a table that rules judge.
        """
        props = [self._step.study.props[item.asset_key] for item in checks]
        for item, own in zip(checks, props, strict=True):
            if item.name == SCHEMA_CHECK:
                check = self._schema_check(own.name)
                check.judge(read_published(shelf, own.name))
                check.count_rejected(read_published(shelf, REJECTED_VALUES))
        ruled = [
            own
            for item, own in zip(checks, props, strict=True)
            if item.name not in _CHECKS_OF_TABLES
        ]
        if ruled:
            self._run_rules(shelf, ruled)

    def results(
        self,
        checks: Sequence[dg.AssetCheckKey],
        extracts: Sequence[PublishedExtract],
        *,
        looks_at_files: bool = False,
    ) -> list[dg.AssetCheckResult]:
        """The results of some checks of one asset.

        Args:
            checks: The checks.
            extracts: What was published with the asset's table, one for each partition.
            looks_at_files: Whether to compare the files with the manifest too.
        """
        keys = [extract.facts.get("partition") for extract in extracts]
        return [
            _of_partitions(self._result(item, extracts, looks_at_files=looks_at_files), keys)
            for item in checks
        ]

    def _result(
        self,
        check: dg.AssetCheckKey,
        extracts: Sequence[PublishedExtract],
        *,
        looks_at_files: bool,
    ) -> dg.AssetCheckResult:
        step, key = self._step, check.asset_key
        if check.name == SCHEMA_CHECK:
            return self._schema_check(step.study.props[key].name).result(key)
        if check.name == COMPLETE_EXTRACT:
            return complete_extract_result(key, extracts, looks_at_files=looks_at_files)
        if check.name == DATA_DICTIONARY_CURRENT:
            return data_dictionary_result(
                key, step.study.project, step.live, step.study.drift_policy
            )
        instrument = step.study.props[key].spec.instrument
        rules = rules_of_check(step.study.quality or QualityOptions(), check.name)
        outcomes = [self._judge.outcome(rule, instrument) for rule in rules]
        return rule_result(key, check.name, outcomes)

    @cached_property
    def _selected_schemas(self) -> frozenset[str]:
        """Tables whose `schema` check is selected; others are written with them."""
        step = self._step
        return frozenset(
            step.study.props[check.asset_key].name
            for check in step.context.selected_asset_check_keys
            if check.name == SCHEMA_CHECK and check.asset_key in step.study.props
        )

    @cached_property
    def _judge(self) -> QualityJudge:
        step = self._step
        hidden = () if step.deidentifier is None else step.deidentifier.dropped_fields
        judge = QualityJudge(plan_quality(step.live, step.study.quality, hidden_fields=hidden))
        if judge.idle_exclusions:
            step.context.log.warning(
                "Exclusions of quality findings that exclude nothing, as the study has no such "
                "instrument, or no such field in it: %d.",
                judge.idle_exclusions,
            )
        return judge

    def _schema_check(self, table: str) -> SchemaCheck:
        """The `schema` check of an instrument's table, over everything that is judged."""
        if table not in self._schema_checks:
            # An instrument that is gone since the snapshot is judged by the snapshot.
            study = self._step.study
            project, spec = self._step.live, self._step.table_specs.get(table)
            if spec is None:
                project = study.project
                spec = next(item.spec for item in study.props.values() if item.name == table)
            self._schema_checks[table] = SchemaCheck(project, spec.instrument, study.table_options)
        return self._schema_checks[table]

    def _run_rules(self, shelf: Location, props: Sequence[RedcapTableProps]) -> None:
        live = self._step.live
        tables = {
            item.spec.instrument: item.name
            for item in props
            if item.spec.instrument in live.instruments_by_name
        }
        judge_published(
            self._judge,
            shelf,
            tables,
            judges_records=any(item.kind != "instrument" for item in props),
            selection=parse_partition(current_extract(shelf).facts["partition"], live),
        )


def _of_partitions(result: dg.AssetCheckResult, keys: Sequence[str | None]) -> dg.AssetCheckResult:
    """Say which partitions were judged: Dagster shows the last result as the asset's."""
    named = [key for key in keys if key is not None]
    if not named:
        return result
    said = dg.MetadataValue.text(name_some(named, _MOST_PARTITIONS_NAMED))
    return result._replace(metadata={**result.metadata, "partitions": said})
