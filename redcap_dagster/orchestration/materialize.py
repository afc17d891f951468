"""Carries out what a Dagster step selects: export, tables, checks, one publication.

The only place where this package's errors become Dagster's.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import (
    ApiError,
    DestinationError,
    ExportError,
    RedcapDagsterError,
    TableError,
)
from redcap_dagster.export import (
    ExportProgress,
    ExportSettings,
    StudyExport,
    read_design,
    spool_folder,
)
from redcap_dagster.extract import design_facts, export_facts
from redcap_dagster.orchestration.check_plan import (
    COMPLETE_EXTRACT,
    DATA_DICTIONARY_CURRENT,
    rules_of_check,
)
from redcap_dagster.orchestration.checks import SCHEMA_CHECK, SchemaCheck, SchemaMark, rule_result
from redcap_dagster.orchestration.deidentification import plan_deidentifier, refuse_checks_alone
from redcap_dagster.orchestration.extract_checks import (
    complete_extract_result,
    data_dictionary_result,
)
from redcap_dagster.orchestration.fences import fence_fact
from redcap_dagster.orchestration.findings import FindingsWriter, judge_published
from redcap_dagster.orchestration.handed_over import value_of_output
from redcap_dagster.orchestration.kinds import PARTITIONED_KINDS, RECORD_KINDS
from redcap_dagster.orchestration.lineage import column_lineage
from redcap_dagster.orchestration.metadata import RawMetadata, table_metadata
from redcap_dagster.orchestration.own_tables import OwnTables
from redcap_dagster.orchestration.partitions import parse_partition
from redcap_dagster.orchestration.progress import ProgressLog
from redcap_dagster.orchestration.selection import warn_of_other_groups
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.privacy import Deidentifier, deidentification_fact, tables_that_may_stay
from redcap_dagster.project import DesignChange, RedcapProject, check_same_project, diff_projects
from redcap_dagster.quality import QualityJudge, QualityOptions, plan_quality
from redcap_dagster.tables import (
    RECORDS,
    REJECTED_VALUES,
    ExtractWriter,
    Location,
    PublishedExtract,
    TableOptions,
    TableSpec,
    current_extract,
    find_shelves,
    gather_chunks,
    open_shelf,
    plan_records_table,
    plan_tables,
    read_published,
)

RedcapEvent: TypeAlias = dg.MaterializeResult[Any] | dg.AssetCheckResult

_MOST_CHANGES_LOGGED = 20
_CHECKS_OF_TABLES = frozenset({SCHEMA_CHECK, COMPLETE_EXTRACT, DATA_DICTIONARY_CURRENT})
"""Checks that are no data-quality rules."""


def materialize_study(
    context: dg.AssetExecutionContext,
    study: StudyAssets,
    client: RedcapClient,
    settings: ExportSettings,
) -> Iterator[RedcapEvent]:
    """Export, publish and report what a step selects.

    Args:
        context: Says which assets, checks and partitions are wanted.
        study: The study the assets belong to.
        client: Where to export from.
        settings: How to export.

    Yields:
        One result for each selected asset, after everything of its partition was published; a
        check result for each check that was selected without its asset.

    Raises:
        RedcapDagsterError: It could not be done; what readers see is unchanged.
    """
    live = read_design(client)
    check_same_project(study.project, live)
    _log_design_changes(context, study.project, live)
    own_tables = OwnTables(context, study, client, live)
    step = _Step(context, study, client, settings, live, own_tables)
    step.warn_of_other_groups()
    published = [step.publish(partition_key, keys) for partition_key, keys in step.plan()]
    yield from step.report([item for item in published if item is not None])
    yield from step.check_again()
    step.own_tables.refuse_if_nothing_is_left()


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Turn this package's errors into `dg.Failure`, which says whether a retry can help."""
    try:
        yield
    except RedcapDagsterError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__},
            allow_retries=isinstance(error, ApiError | DestinationError | ExportError)
            and error.retryable,
        ) from error


def _log_design_changes(
    context: dg.AssetExecutionContext, snapshot: RedcapProject, live: RedcapProject
) -> None:
    changes = diff_projects(snapshot, live)
    if not changes:
        return
    shown = "; ".join(_change_sentence(change) for change in changes[:_MOST_CHANGES_LOGGED])
    more = len(changes) - _MOST_CHANGES_LOGGED
    context.log.warning(
        "The study's design has %d changes since the snapshot that these assets were defined "
        "from: %s%s. Tables are made by the design as it is now; run `redcap-dagster snapshot` to "
        "define the assets by it too.",
        len(changes),
        shown,
        f" and {more} more" if more > 0 else "",
    )


def _change_sentence(change: DesignChange) -> str:
    what = f"field {change.field}" if change.field else f"instrument {change.instrument}"
    return f"{what} {change.kind}"


@dataclass(frozen=True)
class _Published:
    """What one partition's export came to."""

    partition_key: str | None
    extract: PublishedExtract
    progress: ExportProgress

    def wrote(self, table: str) -> bool:
        """Whether this export made the table, rather than keeping it from an older one."""
        found = self.extract.tables.get(table)
        return found is not None and found.extract_id == self.extract.extract_id


@dataclass(frozen=True)
class _Step:
    """One Dagster step: what it selects, and the study as it is now."""

    context: dg.AssetExecutionContext
    study: StudyAssets
    client: RedcapClient
    settings: ExportSettings
    live: RedcapProject
    own_tables: OwnTables
    checks: dict[str, SchemaCheck] = field(default_factory=dict)

    @cached_property
    def judge(self) -> QualityJudge:
        """Runs the data-quality rules, over all partitions of the step."""
        hidden = () if self.deidentifier is None else self.deidentifier.dropped_fields
        return QualityJudge(plan_quality(self.live, self.study.quality, hidden_fields=hidden))

    @cached_property
    def deidentifier(self) -> Deidentifier | None:
        """What de-identifies the tables of the step; None where the study does not ask for it."""
        return plan_deidentifier(self.study, self.live)

    def plan(self) -> list[tuple[str | None, list[dg.AssetKey]]]:
        """The selected assets by the partition they are published in; None for the study's own."""
        selected = [key for key in self.study.props if key in self.context.selected_asset_keys]
        if not self.context.has_partition_key and not self.context.has_partition_key_range:
            return [(None, selected)] if selected else []
        # The small tables have no partitions even where the records have.
        parts = [key for key in selected if self.study.props[key].kind in PARTITIONED_KINDS]
        others = [key for key in selected if key not in parts]
        own: list[tuple[str | None, list[dg.AssetKey]]] = [(None, others)] if others else []
        return own + [(key, parts) for key in self.context.partition_keys if parts]

    def publish(self, partition_key: str | None, keys: Sequence[dg.AssetKey]) -> _Published | None:
        """Export and publish the tables of some assets; None when REDCap refused all of them."""
        props = [self.study.props[key] for key in keys]
        instruments = _instruments_to_ask(props, self.live)
        specs = _specs_to_write(props, instruments, self.live, self.study.table_options)
        own = self.own_tables.read(partition_key, keys)
        if not own and not any(item.kind in RECORD_KINDS for item in props):
            return None
        shelf = self.study.shelf(partition_key)
        may_stay = tables_that_may_stay(shelf, self.deidentifier, self._known_tables())
        if not instruments:
            with ExtractWriter(shelf, self.live, specs, screen=self.deidentifier) as writer:
                self._write_own(writer, props, specs, own)
                extract = self._publish_tables(writer, partition_key, keys, None, may_stay)
            return _Published(partition_key, extract, ExportProgress())
        with self._open_export(partition_key, instruments) as export:
            while True:
                marks = self._mark_checks()
                with ExtractWriter(shelf, self.live, specs, screen=self.deidentifier) as writer:
                    self._write_own(writer, props, specs, own)
                    judged = [spec.instrument for spec in specs if spec.instrument is not None]
                    self._write_export(writer, export, partition_key, instruments, judged)
                    if export.settle():
                        extract = self._publish_tables(
                            writer, partition_key, keys, export, may_stay
                        )
                        export.done()
                        return _Published(partition_key, extract, export.progress)
                self.context.log.info(
                    "%d records were changed while they were exported: they are read again, and "
                    "the tables are made anew.",
                    export.progress.records_read_again,
                )
                self._go_back(marks)

    def _open_export(self, partition_key: str | None, instruments: Sequence[str]) -> StudyExport:
        return StudyExport(
            self.client,
            self.live,
            parse_partition(partition_key, self.live),
            instruments=instruments,
            settings=self.settings,
            # What REDCap sent does not lie beside de-identified tables, not even for a while.
            spool=spool_folder(None if self.deidentifier else self.study.out_dir),
        )

    def _write_own(
        self,
        writer: ExtractWriter,
        props: Sequence[RedcapTableProps],
        specs: Sequence[TableSpec],
        own: Mapping[str, pa.Table],
    ) -> None:
        """Write the tables that are not made from an export of records."""
        written = {spec.name for spec in specs}
        for name, table in own.items():
            writer.write_table(name, table)
        for item in props:
            if item.kind == "instrument" and item.name not in written:
                # Gone from the study since the snapshot: no rows, but not an old table either.
                writer.write_table(item.name, item.spec.arrow_schema.empty_table())

    def _write_export(
        self,
        writer: ExtractWriter,
        export: StudyExport,
        partition_key: str | None,
        instruments: Sequence[str],
        judged: Sequence[str],
    ) -> None:
        self.context.log.info(
            "Exporting %d records, %d instruments.", len(export.rows.record_ids), len(instruments)
        )
        log = ProgressLog(self.context, self.client, export.progress)
        events = parse_partition(partition_key, self.live).events
        findings = self._findings_writer(writer, instruments, judged, events)
        for piece in gather_chunks(export.chunks()):
            split = writer.write(piece)
            for name, table in split.tables.items():
                check = self._check(name)
                check.judge(table)
                check.count_rejected(split.rejected)
            if findings is not None:
                findings.add(piece)
            log.tell()
        if findings is not None:
            findings.finish()

    def _publish_tables(
        self,
        writer: ExtractWriter,
        partition_key: str | None,
        keys: Sequence[dg.AssetKey],
        export: StudyExport | None,
        may_stay: Collection[str],
    ) -> PublishedExtract:
        fence = None if export is None else export.fence
        return writer.publish(
            self._facts(partition_key, export)
            | fence_fact(self.study, self.study.shelf(partition_key), keys, fence)
            | deidentification_fact(self.deidentifier),
            known_tables=may_stay,
        )

    def _mark_checks(self) -> tuple[dict[str, SchemaMark], object]:
        judge = None if self.study.quality is None else self.judge.mark()
        return {name: check.mark() for name, check in self.checks.items()}, judge

    def _go_back(self, marks: tuple[dict[str, SchemaMark], object]) -> None:
        checks, judge = marks
        for name in [name for name in self.checks if name not in checks]:
            del self.checks[name]
        for name, mark in checks.items():
            self.checks[name].go_back(mark)
        if judge is not None:
            self.judge.go_back(judge)

    def warn_of_other_groups(self) -> None:
        """Warn of records that no partition holds, where partitions are by group."""
        selected = {self.study.props[key].kind for _, keys in self.plan() for key in keys}
        if selected & RECORD_KINDS:
            warn_of_other_groups(self.context, self.client, self.live, self._partition_keys())

    def _findings_writer(
        self,
        writer: ExtractWriter,
        instruments: Sequence[str],
        judged: Sequence[str],
        events: Sequence[str] | None,
    ) -> FindingsWriter | None:
        if self.study.quality is None:
            return None
        return FindingsWriter(
            self.judge,
            writer,
            self.live,
            instruments=judged,
            is_whole=len(instruments) == len(self.live.instruments),
            events=events,
        )

    def _partition_keys(self) -> Sequence[str]:
        """Every partition of the study's records; none without partitions."""
        partitions = self.study.partitions_def
        if partitions is None:
            return ()
        return partitions.get_partition_keys(dynamic_partitions_store=self.context.instance)

    def _check(self, table: str) -> SchemaCheck:
        """The `schema` check of an instrument table, over all partitions of the step."""
        if table not in self.checks:
            # An instrument that is gone since the snapshot is judged by the snapshot.
            options = self.study.table_options
            self.checks[table] = next(
                SchemaCheck(project, spec.instrument, options)
                for project in (self.live, self.study.project)
                for spec in plan_tables(project, options=options)
                if spec.name == table
            )
        return self.checks[table]

    def _known_tables(self) -> set[str]:
        """Tables that stay when this extract does not make them; those of no asset go."""
        return {props.name for props in self.study.props.values()}

    def _facts(self, partition_key: str | None, export: StudyExport | None) -> dict[str, object]:
        """What the manifest says of the extract beside its tables. No values, ids or tokens."""
        progress = ExportProgress() if export is None else export.progress
        return {
            **design_facts(self.live),
            "partition": partition_key,
            "export": export_facts(progress),
            "completeness": None if export is None else export.facts(),
            "requests": self.client.stats.requests,
            "retries": self.client.stats.retries,
        }

    def report(self, published: Sequence[_Published]) -> Iterator[RedcapEvent]:
        """Tell Dagster of every table that was written, selected or not."""
        for key, props in self.study.props.items():
            written = [item for item in published if item.wrote(props.name)]
            if not written:
                continue
            if key in self.context.selected_asset_keys:
                yield self._result(key, props, written)
                continue
            # Written with what was selected: `rejected_values` with its instrument, say.
            for item in written:
                self.context.log_event(
                    dg.AssetMaterialization(
                        key, metadata=self._metadata(props, item), partition=item.partition_key
                    )
                )

    def check_again(self) -> Iterator[dg.AssetCheckResult]:
        """Judge what was published before, for checks that are selected without their asset."""
        wanted = [
            check_key
            for check_key in sorted(self.context.selected_asset_check_keys, key=str)
            if check_key.asset_key not in self.context.selected_asset_keys
        ]
        refuse_checks_alone(self.study, wanted)
        rules = [item for item in wanted if item.name not in _CHECKS_OF_TABLES]
        if rules:
            self._judge_again([item.asset_key for item in rules])
        for check_key in wanted:
            key = check_key.asset_key
            shelves = self._shelves_with(self.study.props[key].name)
            if check_key.name == SCHEMA_CHECK:
                yield self._schema_again(key, shelves)
            elif check_key.name == COMPLETE_EXTRACT:
                extracts = [current_extract(shelf) for shelf in shelves]
                yield complete_extract_result(key, extracts, looks_at_files=True)
            elif check_key.name == DATA_DICTIONARY_CURRENT:
                yield self._drift_result(key)
            else:
                yield self._rule_result(key, check_key.name)

    def _schema_again(self, key: dg.AssetKey, shelves: Sequence[Location]) -> dg.AssetCheckResult:
        table = self.study.props[key].name
        instrument = self._live_spec(self.study.props[key]).instrument
        check = SchemaCheck(self.live, instrument, self.study.table_options)
        for shelf in shelves:
            check.judge(read_published(shelf, table))
            check.count_rejected(read_published(shelf, REJECTED_VALUES))
        return check.result(key)

    def _judge_again(self, keys: Sequence[dg.AssetKey]) -> None:
        props = [self.study.props[key] for key in dict.fromkeys(keys)]
        tables = {
            item.spec.instrument: item.name
            for item in props
            if item.spec.instrument in self.live.instruments_by_name
        }
        judges_records = any(item.kind != "instrument" for item in props)
        for shelf in self._shelves_with(next(iter(tables.values()), RECORDS)):
            partition = current_extract(shelf).facts["partition"]
            judge_published(
                self.judge,
                shelf,
                tables,
                judges_records=judges_records,
                events=parse_partition(partition, self.live).events,
            )

    def _shelves_with(self, table: str) -> list[Location]:
        """The study's shelf and those of its partitions, where they hold a table."""
        out_dir = self.study.out_dir
        shelves = [
            shelf for shelf in find_shelves(out_dir) if table in current_extract(shelf).tables
        ]
        if not shelves:
            raise TableError(
                f"There is no published table {table} in {out_dir} to check. Materialize it first."
            )
        return shelves

    def _result(
        self, key: dg.AssetKey, props: RedcapTableProps, written: Sequence[_Published]
    ) -> RedcapEvent:
        check_results = self._check_results(key, props, written)
        partition_keys = [item.partition_key for item in written]
        value = value_of_output(self.study, props.name, partition_keys)
        if len(written) == 1:
            return dg.MaterializeResult(
                asset_key=key,
                metadata=self._metadata(props, written[0]),
                data_version=dg.DataVersion(written[0].extract.tables[props.name].sha256),
                check_results=check_results,
                **value,
            )
        # A run of several partitions yields one result an asset; what is said of each partition
        # is said apart. A data version would be taken for every partition's, so there is none.
        for item in written:
            self.context.add_asset_metadata(
                self._metadata(props, item), asset_key=key, partition_key=item.partition_key
            )
        return dg.MaterializeResult(asset_key=key, check_results=check_results, **value)

    def _check_results(
        self, key: dg.AssetKey, props: RedcapTableProps, written: Sequence[_Published]
    ) -> list[dg.AssetCheckResult]:
        results = []
        for check_key in sorted(self.context.selected_asset_check_keys, key=str):
            if check_key.asset_key != key:
                continue
            if check_key.name == SCHEMA_CHECK:
                results.append(self._check(props.name).result(key))
            elif check_key.name == COMPLETE_EXTRACT:
                extracts = [item.extract for item in written]
                results.append(complete_extract_result(key, extracts, looks_at_files=False))
            elif check_key.name == DATA_DICTIONARY_CURRENT:
                results.append(self._drift_result(key))
            else:
                results.append(self._rule_result(key, check_key.name))
        return results

    def _drift_result(self, key: dg.AssetKey) -> dg.AssetCheckResult:
        return data_dictionary_result(key, self.study.project, self.live, self.study.drift_policy)

    def _rule_result(self, key: dg.AssetKey, check: str) -> dg.AssetCheckResult:
        instrument = self.study.props[key].spec.instrument
        rules = rules_of_check(self.study.quality or QualityOptions(), check)
        return rule_result(key, check, [self.judge.outcome(rule, instrument) for rule in rules])

    def _metadata(self, props: RedcapTableProps, item: _Published) -> dict[str, RawMetadata]:
        metadata = table_metadata(
            self._live_spec(props),
            item.extract.tables[props.name],
            uri=open_shelf(self.study.shelf(item.partition_key)).address(item.extract, props.name),
            is_partition=item.partition_key is not None,
        )
        lineage = column_lineage(self._live_spec(props), self.study.props)
        if lineage is not None:
            metadata["dagster/column_lineage"] = lineage
        metadata["redcap/extract_id"] = item.extract.extract_id
        if props.kind in RECORD_KINDS:
            metadata["redcap/records_exported"] = item.progress.records_done
        return metadata

    def _live_spec(self, props: RedcapTableProps) -> TableSpec:
        """The columns as they are published; those of the snapshot where the instrument is gone."""
        spec = self._planned_spec(props)
        return spec if self.deidentifier is None else self.deidentifier.published_spec(spec)

    def _planned_spec(self, props: RedcapTableProps) -> TableSpec:
        if props.kind == "records":
            return plan_records_table(self.live)
        planned = plan_tables(self.live, options=self.study.table_options)
        specs = {spec.name: spec for spec in planned}
        return specs.get(props.name, props.spec)


def _instruments_to_ask(props: Sequence[RedcapTableProps], live: RedcapProject) -> tuple[str, ...]:
    """The instruments whose forms are exported: those selected, or all for what needs all."""
    if any(item.kind in RECORD_KINDS - {"instrument"} for item in props):
        return tuple(live.instruments_by_name)
    wanted = {item.spec.instrument for item in props if item.kind == "instrument"}
    return tuple(name for name in live.instruments_by_name if name in wanted)


def _specs_to_write(
    props: Sequence[RedcapTableProps],
    instruments: Sequence[str],
    live: RedcapProject,
    options: TableOptions,
) -> list[TableSpec]:
    """The tables made from the export, laid out by the design as it is now.

    `rejected_values`, `missing_reasons` and `quality_findings` are made with the tables of their
    instruments: where one is selected it brings all of them, and they come with any of them.
    """
    kinds = {item.kind for item in props}
    wanted = {item.spec.instrument for item in props if item.kind == "instrument"}
    if kinds & {"rejected_values", "missing_reasons", "quality_findings"}:
        wanted = set(instruments)
    asked = [name for name in instruments if name in wanted]
    specs = list(plan_tables(live, asked, options=options)) if asked else []
    return [plan_records_table(live), *specs] if "records" in kinds else specs
