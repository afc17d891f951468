"""A whole study in memory: for a notebook, or for frames without files."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import TableError
from redcap_dagster.export import StudyExport
from redcap_dagster.extract.progress import TellProgress
from redcap_dagster.extract.reading import StudyReading
from redcap_dagster.extract.request import WHOLE_STUDY, ExtractRequest
from redcap_dagster.tables import (
    MISSING_REASONS,
    RECORDS,
    REJECTED_VALUES,
    CellLedger,
    ChunkSplitter,
    SplitChunk,
    as_records,
    plan_rejected_values_table,
    to_pandas,
)

_SPLITTING_THREADS = 2
_CELLS_SPLIT_AT_ONCE = 5_000_000
"""More than for files: all of it is held in memory anyway, and splitting costs by the column."""


@dataclass(frozen=True, slots=True, repr=False)
class StudyTables:
    """The tables of a study. Its `repr` shows their names and rows, and no values.

    Attributes:
        tables: Table name → rows, with the columns and types that the published file would have.
        facts: What a manifest would say of the export: counts, names and times.
    """

    tables: Mapping[str, pa.Table] = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {table.num_rows:,} rows" for name, table in self.tables.items())
        return f"StudyTables({rows})"

    def frame(self, name: str) -> pd.DataFrame:
        """A table as `to_pandas` gives it.

        Raises:
            TableError: There is no such table.
        """
        if name not in self.tables:
            raise TableError(f"There is no table {name}. There are: {', '.join(self.tables)}.")
        return to_pandas(self.tables[name])


def read_study(
    client: RedcapClient,
    request: ExtractRequest = WHOLE_STUDY,
    *,
    progress: TellProgress | None = None,
) -> StudyTables:
    """Read a study to typed tables in memory, proven to be all there is, as `extract_study` does.

    Takes the memory of all tables. While it runs, answers lie in a temporary folder for their
    owner alone.

    Args:
        client: Where to ask.
        request: What to read.
        progress: Is told how far it is, when a phase begins and after every answer.

    Raises:
        ApiError: REDCap did not answer, or refused.
        ConfigError: The request names what the study has not.
        ConservationError: A non-blank cell is in no table, or in two places.
        DesignError: The study's design contradicts itself.
        ExportError: Not everything came.
    """
    reading = StudyReading(client, request, progress)
    with reading.open_export(None) as export:
        while True:
            tables, ledger = _read_tables(reading, export)
            reading.begin("changes")
            if export.settle():
                facts = {"conservation": ledger.to_manifest(), **reading.facts(export)}
                return StudyTables({**tables, **reading.design_tables}, facts)


def _read_tables(
    reading: StudyReading, export: StudyExport
) -> tuple[dict[str, pa.Table], CellLedger]:
    """The tables of one pass of the export, and the proof that every cell is in them."""
    pieces = reading.pieces(export, cells=_CELLS_SPLIT_AT_ONCE)
    specs = {spec.name: spec for spec in reading.specs}
    records = specs.pop(RECORDS, None)
    splitter = ChunkSplitter(reading.project, list(specs.values()), events=reading.events)
    specs[REJECTED_VALUES] = plan_rejected_values_table(reading.project)
    schemas = {name: spec.arrow_schema for name, spec in specs.items()}
    rows: dict[str, list[pa.Table]] = {name: [] for name in schemas}
    if records is not None:
        schemas[RECORDS], rows[RECORDS] = records.arrow_schema, []
    ledger = CellLedger()
    for piece, split in _in_turn(splitter.split, pieces):
        for name, table in {**split.tables, REJECTED_VALUES: split.rejected}.items():
            rows[name].append(table)
        if split.missing_reasons is not None:
            rows[MISSING_REASONS].append(split.missing_reasons)
        if records is not None:
            rows[RECORDS].append(as_records(piece, records))
        ledger += split.ledger
    ledger.check()
    tables = {
        name: pa.concat_tables([schema.empty_table(), *rows[name]])
        for name, schema in schemas.items()
    }
    return tables, ledger


def _in_turn(
    split: Callable[[pa.Table], SplitChunk], pieces: Iterable[pa.Table]
) -> Iterator[tuple[pa.Table, SplitChunk]]:
    """Each piece and what it is split to, in their order; two are split at once."""
    with ThreadPoolExecutor(_SPLITTING_THREADS, thread_name_prefix="redcap-split") as pool:
        waiting: deque[tuple[pa.Table, Future[SplitChunk]]] = deque()
        for piece in pieces:
            waiting.append((piece, pool.submit(split, piece)))
            if len(waiting) > _SPLITTING_THREADS:
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()
