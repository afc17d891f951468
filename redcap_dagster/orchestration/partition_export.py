"""Exports the selected tables of one partition and publishes them in one step."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import dagster as dg
import pyarrow as pa

from redcap_dagster.export import ExportProgress, RecordSelection, StudyExport, spool_folder
from redcap_dagster.extract import ExportFacts, Telling
from redcap_dagster.orchestration.fences import fence_fact
from redcap_dagster.orchestration.kinds import RECORD_KINDS, TableKind
from redcap_dagster.orchestration.own_tables import OwnTables
from redcap_dagster.orchestration.partitions import parse_partition
from redcap_dagster.orchestration.progress import logged_progress
from redcap_dagster.orchestration.step import Step
from redcap_dagster.orchestration.step_checks import StepChecks
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.privacy import deidentification_fact, tables_that_may_stay
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import (
    QUALITY_FINDINGS,
    REJECTED_VALUES,
    ExtractWriter,
    PublishedExtract,
    TableOptions,
    TableSpec,
    find_extract,
    gather_chunks,
    plan_records_table,
    plan_tables,
)

_BESIDE_INSTRUMENTS: frozenset[TableKind] = frozenset(
    {"rejected_values", "missing_reasons", "quality_findings"}
)
"""Kinds that are made with the tables of their instruments."""


@dataclass(frozen=True)
class PublishedPartition:
    """What one partition's export came to.

    Attributes:
        partition_key: The partition; None for the study's own shelf.
        extract: What was published.
        checks: What was found in its rows, with those of other partitions or without.
    """

    partition_key: str | None
    extract: PublishedExtract
    checks: StepChecks

    def wrote(self, table: str) -> bool:
        """Whether this export made the table, rather than keeping it from an older one."""
        found = self.extract.tables.get(table)
        return found is not None and found.extract_id == self.extract.extract_id


class PartitionExport:
    """The tables of one partition that a step selects, from REDCap to the shelf.

    Args:
        step: What is selected, and the study as it is now.
        checks: Judge the rows on the way.
        partition_key: The partition; None for what is the study's own.
        keys: The selected assets that are published in it.
    """

    def __init__(
        self,
        step: Step,
        checks: StepChecks,
        partition_key: str | None,
        keys: Sequence[dg.AssetKey],
    ) -> None:
        self._step = step
        self._checks = checks
        self._partition_key = partition_key
        self._keys = keys
        self._export_facts = ExportFacts(step.client, partition_key)
        self._shelf = step.study.shelf(partition_key)
        self._props = [step.study.props[key] for key in keys]
        self._instruments = _instruments_to_ask(self._props, step.live)
        self._specs = _specs_to_write(
            self._props, self._instruments, step.live, step.study.table_options
        )

    def publish(self, own_tables: OwnTables) -> PublishedPartition | None:
        """Export and publish; None when REDCap refused every table that was selected.

        Args:
            own_tables: Reads the tables that are not made from an export of records.

        Raises:
            RedcapDagsterError: It could not be done; what readers see is unchanged.
        """
        own = own_tables.read(self._partition_key, self._keys)
        if not own and not any(item.kind in RECORD_KINDS for item in self._props):
            return None
        may_stay = self._tables_that_may_stay()
        if not self._instruments:
            with self._open_writer() as writer:
                self._write_own(writer, own)
                extract = self._publish(writer, None, may_stay)
            return self._published(extract)
        progress = ExportProgress()
        with logged_progress(self._step.context, self._step.client, progress) as telling:
            return self._publish_export(telling, progress, own, may_stay)

    def _publish_export(
        self,
        telling: Telling,
        progress: ExportProgress,
        own: Mapping[str, pa.Table],
        may_stay: Collection[str],
    ) -> PublishedPartition:
        telling.begin("rows")
        with self._open_export(progress) as export:
            while True:
                mark = self._checks.mark()
                # On their way while the tables are laid out.
                pieces = gather_chunks(export.chunks(looks_ahead=True))
                with self._open_writer(self._selection.events) as writer:
                    self._write_own(writer, own)
                    telling.begin("records")
                    self._write_export(writer, export, pieces, telling)
                    telling.begin("changes")  # REDCap was asked when the last answer came
                    writer.finish_rows()
                    if export.settle():
                        telling.begin("publication")
                        extract = self._publish(writer, export, may_stay)
                        export.done()
                        return self._published(extract)
                self._step.context.log.info(
                    "%d records were changed while they were exported: they are read again, and "
                    "the tables are made anew.",
                    export.progress.records_read_again,
                )
                self._checks.go_back(mark)

    def _published(self, extract: PublishedExtract) -> PublishedPartition:
        return PublishedPartition(self._partition_key, extract, self._checks)

    @cached_property
    def _selection(self) -> RecordSelection:
        return parse_partition(self._partition_key, self._step.live)

    def _tables_that_may_stay(self) -> Collection[str]:
        """Tables that stay when this extract does not make them; those of no asset go."""
        step = self._step
        known = _tables_of_assets(step)
        last = find_extract(self._shelf)
        self._warn_of_tables_that_go(last, known)
        return tables_that_may_stay(self._shelf, last, step.deidentifier, known)

    def _warn_of_tables_that_go(
        self, last: PublishedExtract | None, known: Collection[str]
    ) -> None:
        """That may be meant; or other assets were given the same folder, and are gone from it."""
        there = set() if last is None else set(last.tables)
        gone = sorted(there.difference(known, (spec.name for spec in self._specs)))
        if gone:
            self._step.context.log.warning(
                "Readers of %s do not find %s there any more, which are tables of none of these "
                "assets. Where they are those of other assets, give these an out_dir of their own "
                "and materialize them again.",
                self._shelf,
                ", ".join(gone),
            )

    @property
    def _has_whole_records(self) -> bool:
        """Whether all instruments are exported, so that rules about whole records are judged."""
        return len(self._instruments) == len(self._step.live.instruments)

    def _open_writer(self, events: Collection[str] | None = None) -> ExtractWriter:
        step = self._step
        return ExtractWriter(
            self._shelf, step.live, self._specs, screen=step.deidentifier, events=events
        )

    def _open_export(self, progress: ExportProgress) -> StudyExport:
        step = self._step
        return StudyExport(
            step.client,
            step.live,
            self._selection,
            instruments=self._instruments,
            order=None if step.deidentifier is None else step.deidentifier.record_order,
            settings=step.settings,
            series=step.series,
            # What REDCap sent does not lie beside de-identified tables, not even for a while.
            spool=spool_folder(None if step.deidentifier else step.study.out_dir),
            progress=progress,
        )

    def _write_own(self, writer: ExtractWriter, own: Mapping[str, pa.Table]) -> None:
        """Write the tables that are not made from an export of records."""
        written = {spec.name for spec in self._specs}
        for name, table in own.items():
            writer.write_table(name, table)
        for item in self._props:
            if item.kind == "instrument" and item.name not in written:
                # Gone from the study since the snapshot: no rows, but not an old table either.
                writer.write_table(item.name, item.spec.arrow_schema.empty_table())

    def _write_export(
        self,
        writer: ExtractWriter,
        export: StudyExport,
        pieces: Iterator[pa.Table],
        telling: Telling,
    ) -> None:
        step = self._step
        step.context.log.info(
            "Exporting %d records, %d instruments.",
            len(export.rows.record_ids),
            len(self._instruments),
        )
        findings = self._checks.findings_writer(
            writer,
            instruments=[spec.instrument for spec in self._specs if spec.instrument is not None],
            is_whole=self._has_whole_records,
            selection=self._selection,
        )
        for piece in pieces:
            self._checks.judge(writer.write(piece))
            if findings is not None:
                findings.add(piece)
            telling.tell()
        if findings is not None:
            findings.finish()

    def _publish(
        self, writer: ExtractWriter, export: StudyExport | None, may_stay: Collection[str]
    ) -> PublishedExtract:
        step = self._step
        fence = None if export is None else export.fence
        return writer.publish(
            self._export_facts.facts(step.live, export)
            | fence_fact(step.study, self._shelf, self._keys, fence)
            | deidentification_fact(step.deidentifier),
            known_tables=may_stay,
            judged_whole_records=export is not None and self._has_whole_records,
        )


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
    if kinds & _BESIDE_INSTRUMENTS:
        wanted = set(instruments)
    asked = [name for name in instruments if name in wanted]
    specs = list(plan_tables(live, asked, options=options)) if asked else []
    return [plan_records_table(live), *specs] if "records" in kinds else specs


def _tables_of_assets(step: Step) -> Collection[str]:
    """Tables that the study's assets make: their own, and those that come with them.

    Without these a later run would leave an instrument without its rejected values, or these
    without the instruments that their rows are of.
    """
    study = step.study
    own = {props.name for props in study.props.values()}
    kinds = {props.kind for props in study.props.values()}
    if not kinds & (_BESIDE_INSTRUMENTS | {"instrument"}):
        return own
    planned = step.table_specs
    instruments = {name for name, spec in planned.items() if spec.instrument is not None}
    beside = {REJECTED_VALUES, *planned} - instruments
    if study.quality is not None:
        beside.add(QUALITY_FINDINGS)
    return own | beside | (instruments if kinds & _BESIDE_INSTRUMENTS else set())
