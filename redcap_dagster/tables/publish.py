"""Writes an extract's tables chunk by chunk, and publishes them in one step."""

import random
import re
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, final

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables.background import WriteQueue
from redcap_dagster.tables.conservation import CellLedger
from redcap_dagster.tables.flat_tables import as_records, plan_rejected_values_table
from redcap_dagster.tables.keep import older_cell_facts
from redcap_dagster.tables.location import writing_to
from redcap_dagster.tables.manifest import (
    PublishedExtract,
    PublishedTable,
    describe_file,
    read_manifest,
    table_file,
    write_manifest,
)
from redcap_dagster.tables.names import MISSING_REASONS, QUALITY_FINDINGS, RECORDS, REJECTED_VALUES
from redcap_dagster.tables.parquet import ParquetSink
from redcap_dagster.tables.screen import TableScreen
from redcap_dagster.tables.shelf import Turn, open_shelf
from redcap_dagster.tables.spec import TableSpec
from redcap_dagster.tables.split import ChunkSplitter, SplitChunk
from redcap_dagster.tables.staging import LONGEST_WAIT_S, OvertakenError, Staging

_MOST_ROWS_PER_GROUP = 131_072
_FEWEST_ROWS_PER_GROUP = 2_048
_HELD_CELLS = 8_000_000
"""Cells that all tables of a writer together hold back, about 70 MB. Wide studies hold more: a row
group costs a fixed price for each of its columns, so it has 2,048 rows at least."""

_FINISHING_THREADS = 2
_LONGEST_PAUSE_S = 0.5
_CELL_TABLES = (REJECTED_VALUES, MISSING_REASONS, QUALITY_FINDINGS)
"""Tables of facts about cells, which also take over those of tables that are taken over."""


@final
class ExtractWriter:
    """Writes the tables of one extract, which readers see when `publish` says so.

    A context manager: leaving it without `publish`, by an exception or not, leaves what readers
    see as it was, and nothing behind. Files are for their owner alone.

    Args:
        shelf: The place the study's extracts are published in: a folder, made when it is not
            there, or a place in an object store, `s3://…`.
        project: The design the export was made with.
        specs: The tables to write from the export: instrument tables, `records`, or both. With
            instrument tables comes `rejected_values`, given or not; `missing_reasons` if given.
        extract_id: Name of the extract, for its folder and manifest; None for time and chance.
        screen: Changes the tables on their way to the disk; None leaves them as they were made.
        events: Unique names of the events that are exported; None for all. Why a blank is blank is
            undetermined where it depends on others.
    """

    def __init__(
        self,
        shelf: str | Path | UPath,
        project: RedcapProject,
        specs: Sequence[TableSpec],
        *,
        extract_id: str | None = None,
        screen: TableScreen | None = None,
        events: Collection[str] | None = None,
    ) -> None:
        self._shelf = open_shelf(shelf)
        self._project = project
        self._instrument_specs = tuple(spec for spec in specs if spec.instrument is not None)
        self._flat_specs = {spec.name: spec for spec in specs if spec.instrument is None}
        if self._instrument_specs:
            self._flat_specs[REJECTED_VALUES] = plan_rejected_values_table(project)
        unknown = self._flat_specs.keys() - {RECORDS, REJECTED_VALUES, MISSING_REASONS}
        if unknown:
            raise TableError(
                f"No table {', '.join(sorted(unknown))} can be made from an export. Give it to "
                "write_table."
            )
        self._extract_id = extract_id or _new_extract_id()
        self._screen = screen
        self._events = events
        self._ledger = CellLedger()
        self._sinks: dict[str, ParquetSink] = {}
        self._queue = WriteQueue()
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix="redcap-finish")
        self._finishing: Future[dict[str, PublishedTable]] | None = None
        self._staging: Staging | None = None

    def __enter__(self) -> "ExtractWriter":
        _check_file_name(self._extract_id)
        with writing_to(self._shelf.location):
            self._staging = self._shelf.begin(self._extract_id)
        specs = (*self._instrument_specs, *self._flat_specs.values())
        rows = _rows_per_group(sum(len(spec.columns) for spec in specs))
        with ExitStack() as on_failure, writing_to(self._shelf.location):
            on_failure.callback(self._discard)
            for spec in specs:
                written = spec if self._screen is None else self._screen.published_spec(spec)
                self._open(spec.name, written.arrow_schema, rows)
            on_failure.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._discard()

    @property
    def extract_id(self) -> str:
        """Name of the extract."""
        return self._extract_id

    @property
    def ledger(self) -> CellLedger:
        """Counts of the cells that were written so far, and where they are."""
        return self._ledger

    def write(self, chunk: pa.Table) -> SplitChunk:
        """Split one chunk of the export and append it to the tables.

        Args:
            chunk: Rows of a flat raw export, all columns text; "" is blank, and null stands in
                the columns that the server did not send. `records` keeps both as they are.

        Returns:
            The typed rows that were appended, for checks. No tables when only `records` is
            written.

        Raises:
            TableError: The chunk has not the columns of the specs, or the disk is full.
            ConservationError: A non-blank cell is in no table, or in two places.
        """
        split = self._split(chunk)
        with writing_to(self._shelf.location):
            for name, table in split.tables.items():
                self._append(name, table)
            if REJECTED_VALUES in self._sinks:
                self._append(REJECTED_VALUES, split.rejected)
            if split.missing_reasons is not None:
                self._append(MISSING_REASONS, split.missing_reasons)
            if RECORDS in self._sinks:
                self._append(RECORDS, as_records(chunk, self._flat_specs[RECORDS]))
        self._ledger += split.ledger
        return split

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a table that is not made from the export, such as `users`, whole.

        Raises:
            TableError: The extract has a table of that name, or the name is no file's name.
        """
        _check_file_name(name)
        if name in self._sinks:
            raise TableError(f"The extract has a table {name} already.")
        table = self._hide(name, table)
        with writing_to(self._shelf.location):
            sink = self._open(name, table.schema, _rows_per_group(table.num_columns))
            sink.append(table)

    def write_rows(self, name: str, rows: pa.Table) -> None:
        """Append rows to a table that is not made from the export, piece by piece.

        The first piece begins the table, with or without rows.

        Raises:
            TableError: The rows have other columns than the first, or the name is no file's name.
        """
        if name not in self._sinks:
            self.write_table(name, rows)
            return
        with writing_to(self._shelf.location):
            self._append(name, rows)

    def read_back(self, name: str, columns: Sequence[str]) -> pa.Table:
        """Read columns of a table that was written, which takes no more rows from then on.

        Where a screen changed record ids, they are again those of the export; a column that it
        left out is null.

        Raises:
            TableError: This extract does not write such a table.
        """
        if name not in self._sinks:
            raise TableError(f"The extract {self._extract_id} writes no table {name}.")
        self._refuse_if_finished()
        with writing_to(self._shelf.location):
            self._queue.finish()
            self._sinks[name].close()
            with pq.ParquetFile(self._sinks[name].path) as file:
                written = file.schema_arrow.names
                there = [item for item in columns if self._screen is None or item in written]
                rows = file.read(columns=there).select(there)
        return rows if self._screen is None else self._screen.reveal(name, rows, columns)

    def finish_rows(self) -> None:
        """Say that no rows come any more: they are written while the caller does something else.

        `publish` says it too, and waits. Tables can only be read back before.
        """
        self._finish_rows()

    def publish(
        self,
        facts: Mapping[str, Any] | None = None,
        *,
        known_tables: Collection[str] | None = None,
        judged_whole_records: bool = False,
    ) -> PublishedExtract:
        """Let readers see the tables, all at once, in place of the last extract.

        Tables of the last extract that this one does not write stay, as they were, and so do the
        rejected values and quality findings of their instruments. One extract before the new one
        is kept for readers that are in the middle of it; older ones are removed.

        Args:
            facts: What else the manifest should say; JSON values. No values of participants.
            known_tables: Names of the tables that may stay; others of the last extract go. None
                lets all stay.
            judged_whole_records: Whether whole records were judged too, so that older findings
                about them, of no instrument, go.

        Raises:
            ConservationError: A non-blank cell is in no table, or in two places.
            TableError: The disk is full, or another process holds the shelf.
        """
        if self._staging is None:
            raise TableError("publish works inside the writer's with block, and once.")
        self._ledger.check()
        begun = time.monotonic()
        with writing_to(self._shelf.location):
            own = self._finish_rows().result()
            own_rows = {name: sink.row_count for name, sink in self._cell_sinks().items()}
            while True:
                try:
                    extract = self._publish_after_the_last(
                        self._staging, own, facts, known_tables, not judged_whole_records
                    )
                    break
                except OvertakenError:
                    self._wait_after_others(begun)
                    self._reopen_cell_tables(own_rows)
        self._queue.stop()
        self._finisher.shutdown()
        self._staging = None
        return extract

    @cached_property
    def _splitter(self) -> ChunkSplitter:
        reasons = [spec for name, spec in self._flat_specs.items() if name == MISSING_REASONS]
        specs = [*self._instrument_specs, *reasons]
        return ChunkSplitter(self._project, specs, events=self._events)

    def _finish_rows(self) -> Future[dict[str, PublishedTable]]:
        if self._finishing is None:
            self._finishing = self._finisher.submit(self._finish_own_tables)
        return self._finishing

    def _finish_own_tables(self) -> dict[str, PublishedTable]:
        self._queue.finish()
        names = [name for name in self._sinks if name not in _CELL_TABLES]
        # The largest first, so that no thread is left alone with it.
        by_size = sorted(names, key=lambda name: self._sinks[name].held_cells, reverse=True)
        with ThreadPoolExecutor(_FINISHING_THREADS) as pool:
            finished = dict(zip(by_size, pool.map(self._finish, by_size), strict=True))
        return {name: finished[name] for name in names}

    def _cell_sinks(self) -> dict[str, ParquetSink]:
        return {name: sink for name, sink in self._sinks.items() if name in _CELL_TABLES}

    def _publish_after_the_last(
        self,
        staging: Staging,
        own: Mapping[str, PublishedTable],
        facts: Mapping[str, Any] | None,
        known_tables: Collection[str] | None,
        keeps_whole_records: bool,
    ) -> PublishedExtract:
        """Take over what the last extract has, and take its place."""
        with self._shelf.turn(staging) as turn:
            kept = self._keep_older_tables(turn, known_tables, keeps_whole_records)
            self._queue.finish()
            cell_tables = {name: self._finish(name) for name in self._cell_sinks()}
            extract = PublishedExtract(
                path=staging.folder,
                extract_id=self._extract_id,
                tables={**kept, **own, **cell_tables},
                facts={"conservation": self._ledger.to_manifest(), **(facts or {})},
            )
            write_manifest(staging.folder, extract)
            return replace(extract, path=turn.publish(extract))

    def _wait_after_others(self, begun: float) -> None:
        if time.monotonic() - begun > LONGEST_WAIT_S:
            raise TableError(
                f"Others have been publishing in {self._shelf.location} for {LONGEST_WAIT_S:.0f} "
                "seconds. Nothing was published; try again when they are done."
            )
        time.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311 - so that they part

    def _reopen_cell_tables(self, own_rows: Mapping[str, int]) -> None:
        """Take back what was taken over: the last extract is another one now."""
        for name, sink in self._cell_sinks().items():
            self._sinks[name] = sink.reopened(own_rows[name])

    def _discard(self) -> None:
        """Remove what was written and not published."""
        if self._staging is None:
            return
        if self._finishing is not None:
            wait_for([self._finishing])  # how it ended is no matter now: the files will be removed
        self._finisher.shutdown()
        self._queue.stop()
        for sink in self._sinks.values():
            sink.abandon()
        self._staging.end()
        self._staging = None

    def _open(self, name: str, schema: pa.Schema, rows_per_group: int) -> ParquetSink:
        if self._staging is None:
            raise TableError("An ExtractWriter writes inside its with block only.")
        self._refuse_if_finished()
        path = table_file(self._staging.folder, name)
        self._sinks[name] = ParquetSink(path, schema, rows_per_group, self._queue)
        return self._sinks[name]

    def _refuse_if_finished(self) -> None:
        if self._finishing is not None:
            raise TableError("finish_rows was called: the tables are closed.")

    def _append(self, name: str, rows: pa.Table) -> None:
        self._refuse_if_finished()
        self._sinks[name].append(self._hide(name, rows))

    def _hide(self, name: str, rows: pa.Table) -> pa.Table:
        return rows if self._screen is None else self._screen.hide(name, rows)

    def _split(self, chunk: pa.Table) -> SplitChunk:
        if self._staging is None:
            raise TableError("An ExtractWriter writes inside its with block only.")
        if RECORDS in self._flat_specs:
            # The export then has all columns, also those of instruments that are not written.
            known = self._splitter.known_columns
            chunk = chunk.select([name for name in chunk.column_names if name in known])
        return self._splitter.split(chunk)

    def _finish(self, name: str) -> PublishedTable:
        sink = self._sinks[name]
        sink.close()
        return describe_file(sink.path, sink.schema, sink.written_rows, self._extract_id)

    def _keep_older_tables(
        self, turn: Turn, known_tables: Collection[str] | None, keeps_whole_records: bool
    ) -> dict[str, PublishedTable]:
        if turn.previous is None:
            return {}
        previous = read_manifest(turn.previous)
        kept = {
            name: table
            for name, table in previous.tables.items()
            if name not in self._sinks and (known_tables is None or name in known_tables)
        }
        for name in kept:
            turn.keep(previous.file(name))
        for name, sink in self._cell_sinks().items():
            if name in previous.tables:
                sink.append(
                    older_cell_facts(
                        previous,
                        name,
                        kept,
                        sink.schema,
                        keeps_whole_records=keeps_whole_records,
                    )
                )
        return kept


def _rows_per_group(column_count: int) -> int:
    """Rows of a row group: it depends on the tables alone, so that their bytes do too."""
    rows = _HELD_CELLS // max(column_count, 1)
    return min(max(rows, _FEWEST_ROWS_PER_GROUP), _MOST_ROWS_PER_GROUP)


def _new_extract_id() -> str:
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def _check_file_name(name: str) -> None:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise TableError(f"{name!r} cannot be the name of a file: use letters, digits, - and _.")
