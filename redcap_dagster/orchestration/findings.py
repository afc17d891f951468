"""Feeds a study's data-quality rules with what a step exports, or with what was published."""

from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import TableError
from redcap_dagster.export import RecordSelection
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import QualityJudge, plan_findings_table
from redcap_dagster.tables import (
    QUALITY_FINDINGS,
    RECORDS,
    ExtractWriter,
    Location,
    current_extract,
    open_parquet,
    read_published,
)

_ROWS_READ_AT_ONCE = 20_000


class FindingsWriter:
    """Judges the chunks of one partition's export and writes what is found beside its tables.

    Args:
        judge: Counts for all partitions of the step.
        writer: Writes the tables of the partition.
        project: The design the export is made with.
        instruments: Instruments whose tables are written. Without any, nothing is written down.
        is_whole: Whether all instruments are exported, so that rules about whole records apply.
        selection: What of the records is exported.
    """

    def __init__(
        self,
        judge: QualityJudge,
        writer: ExtractWriter,
        project: RedcapProject,
        *,
        instruments: Collection[str],
        is_whole: bool,
        selection: RecordSelection,
    ) -> None:
        self._judge = judge
        self._writer = writer
        self._instruments = tuple(instruments)
        self._is_whole = is_whole
        self._selection = selection
        if self._instruments:
            empty = plan_findings_table(project).arrow_schema.empty_table()
            writer.write_rows(QUALITY_FINDINGS, empty)

    def add(self, chunk: pa.Table) -> None:
        """Judge a chunk of the export: all rows of each of its records."""
        events = self._selection.events
        if self._is_whole:
            self._write(self._judge.judge_records(chunk, events))
        self._write(self._judge.judge_rows(chunk, self._instruments, events))

    def finish(self) -> None:
        """Judge the finished tables."""
        for instrument in self._instruments:
            self._write(
                self._judge.judge_table(
                    instrument,
                    self._writer.read_back,
                    self._selection.events,
                    holds_all_records=self._selection.holds_all,
                )
            )

    def _write(self, pieces: Iterator[pa.Table]) -> None:
        for piece in pieces:
            if self._instruments:
                self._writer.write_rows(QUALITY_FINDINGS, piece)


def judge_published(
    judge: QualityJudge,
    shelf: Location,
    tables: Mapping[str, str],
    *,
    judges_records: bool,
    selection: RecordSelection,
) -> None:
    """Judge what was published on a shelf: the raw `records`, then the typed tables.

    Args:
        judge: Counts what is found.
        shelf: Where the tables are published.
        tables: Name of the table of each instrument to judge.
        judges_records: Whether rules about whole records are to be judged.
        selection: What of the records the partition holds.

    Raises:
        TableError: `records` is not there, or of another export than one of the tables.
    """
    extract = current_extract(shelf)
    extracts = {
        extract.tables[name].extract_id
        for name in (RECORDS, *tables.values())
        if name in extract.tables
    }
    if RECORDS not in extract.tables or len(extracts) > 1:
        raise TableError(
            f"Rules judge raw values, and {RECORDS} in {shelf} is not of the same export as "
            f"{', '.join(tables.values())}. Materialize them together, then check again."
        )
    for rows in _iter_records(extract.file(RECORDS)):
        if judges_records:
            for _ in judge.judge_records(rows, selection.events):
                pass
        for _ in judge.judge_rows(rows, tuple(tables), selection.events):
            pass
    for instrument in tables:
        for _ in judge.judge_table(
            instrument,
            lambda name, columns: read_published(shelf, name, columns),
            selection.events,
            holds_all_records=selection.holds_all,
        ):
            pass


def _iter_records(file: Location) -> Iterator[pa.Table]:
    """The rows of `records` in pieces that hold all rows of each of their records."""
    held: pa.Table | None = None
    with open_parquet(file) as opened:
        for batch in opened.iter_batches(_ROWS_READ_AT_ONCE):
            rows = pa.Table.from_batches([batch])
            rows = rows if held is None else pa.concat_tables([held, rows])
            # An export names a record's rows one after the other.
            is_last = pc.equal(rows.column(0), rows.column(0)[-1])
            whole = rows.num_rows - (pc.sum(is_last).as_py() or 0)
            if whole:
                yield rows.slice(0, whole)
            held = rows.slice(whole)
    if held is not None:
        yield held
