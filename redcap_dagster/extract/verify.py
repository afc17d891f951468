"""Compares a published extract with its manifest: files, rows, columns, the proof's numbers."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from redcap_dagster.errors import TableError, name_some
from redcap_dagster.extract.copies import find_copies, verify_copy
from redcap_dagster.tables import (
    DEIDENTIFICATION_FACT,
    MANIFEST_NAME,
    RECORDS,
    REJECTED_VALUES,
    Location,
    PublishedExtract,
    PublishedTable,
    companion_name,
    current_extract,
    find_changed_files,
    find_changed_manifest,
    find_shelves,
    find_strange_files,
    is_instrument_table,
    open_parquet,
    read_manifest,
    to_location,
)

_COLUMNS_AT_ONCE = 50
_MOST_NAMES_SHOWN = 8


@dataclass(frozen=True)
class Verification:
    """What was found out about one extract.

    Attributes:
        extract: The extract, as its manifest says.
        findings: Sentences about what is wrong, each naming its table; empty when nothing is.
    """

    extract: PublishedExtract
    findings: tuple[str, ...]


def verify_study(place: str | Path | UPath) -> tuple[Verification, ...]:
    """Compare everything that readers see in a folder with what its manifests say.

    Reads every byte. Copies in other formats are compared too.

    Args:
        place: Where a study is published, with or without partitions; or one extract's folder.

    Returns:
        One for each extract: one, or as many as there are partitions.

    Raises:
        TableError: The folder holds no extract, or a manifest cannot be read.
    """
    shelves = find_shelves(place)
    if not shelves:
        folder = to_location(place)
        if not (folder / MANIFEST_NAME).exists():
            raise TableError(
                f"There is no extract in {place}. Give the folder that `export` or Dagster "
                "publishes in, or one extract's own."
            )
        return (_verify(read_manifest(folder)),)
    return tuple(_verify_shelf(shelf) for shelf in shelves)


def _verify_shelf(shelf: Location) -> Verification:
    done = _verify(current_extract(shelf))
    findings = list(done.findings)
    for kind, folder in find_copies(shelf).items():
        findings += [f"{kind}: {sentence}" for sentence in verify_copy(folder, done.extract)]
    return Verification(done.extract, tuple(findings))


def _verify(extract: PublishedExtract) -> Verification:
    changed = find_changed_files(extract)
    findings = [
        *changed.values(),
        *find_strange_files(extract),
        *find_changed_manifest(extract),
    ]
    intact = [name for name in extract.tables if name not in changed]
    for name in intact:
        with open_parquet(extract.file(name)) as file:
            findings += _compare_table(name, extract.tables[name], file)
    try:
        findings += _compare_proof(extract, intact)
    # Of an edited manifest anything may be lacking, or of another type; it is a finding as well.
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        findings.append("The manifest's proof that every cell was kept cannot be read.")
    return Verification(extract, tuple(findings))


def _compare_table(name: str, table: PublishedTable, file: pq.ParquetFile) -> Iterator[str]:
    if file.metadata.num_rows != table.rows:
        yield f"{name}: {file.metadata.num_rows:,} rows; the manifest says {table.rows:,}."
    columns = {column.name: str(column.type) for column in file.schema_arrow}
    names = columns.keys() ^ table.columns.keys()
    names |= {item for item in columns if columns[item] != table.columns.get(item)}
    if names:
        yield f"{name}: columns are not as the manifest says: {_some(names)}."


def _compare_proof(extract: PublishedExtract, intact: Collection[str]) -> Iterator[str]:
    """The proof of conservation by itself, and beside the tables that it is about."""
    proof = extract.facts.get("conservation")
    if proof is None:
        yield "The manifest has no proof that every cell was kept."
        return
    own = [
        name
        for name, table in extract.tables.items()
        if table.extract_id == extract.extract_id and name in intact
    ]
    yield from _compare_sums(proof)
    yield from _compare_export(extract.facts, proof, own)
    if DEIDENTIFICATION_FACT in extract.facts:
        return  # the proof is of the cells as they came
    if RECORDS in own:
        yield from _compare_records(extract.file(RECORDS), proof)
    if own == list(extract.tables):
        # A table that was taken over from an older extract brings its rejected values along.
        yield from _compare_rejected(extract, proof)
    yield from _compare_typed(extract, own, proof)


def _compare_sums(proof: Mapping[str, Any]) -> Iterator[str]:
    counts: Mapping[str, Sequence[int]] = proof["cells_by_column"]
    lost = [name for name, (received, *placed) in counts.items() if received != sum(placed)]
    if lost:
        yield f"The proof does not account for every cell of {_some(lost)}."
    totals = ("cells_received", "cells_in_tables", "cells_missing_coded", "cells_rejected")
    for place, total in enumerate(totals):
        if proof[total] != sum(count[place] for count in counts.values()):
            yield f"The proof's {total} is not the sum of its columns."


def _compare_export(
    facts: Mapping[str, Any], proof: Mapping[str, Any], own: Collection[str]
) -> Iterator[str]:
    export = facts.get("export")
    if export is None:
        return
    if export["records_done"] != export["records_asked"]:
        yield (
            f"{export['records_done']:,} of {export['records_asked']:,} records asked for came, "
            "by the manifest."
        )
    is_split = any(name == RECORDS or is_instrument_table(name) for name in own)
    if is_split and export["rows"] != proof["rows"]:
        yield f"{proof['rows']:,} rows were written of {export['rows']:,} that came."


def _compare_records(path: Location, proof: Mapping[str, Any]) -> Iterator[str]:
    """Count the cells of the raw export again."""
    received = {name: count[0] for name, count in proof["cells_by_column"].items()}
    received |= proof["structural_cells"]
    with open_parquet(path) as file:
        rows = file.metadata.num_rows
        found = _count_cells(file, received, _not_blank)
    if rows != proof["rows"]:
        yield f"{RECORDS}: {rows:,} rows; the proof is of {proof['rows']:,}."
    other = [name for name, count in found.items() if count != received[name]]
    if other:
        yield f"{RECORDS}: holds more or fewer cells than came, in {_some(other)}."


def _compare_rejected(extract: PublishedExtract, proof: Mapping[str, Any]) -> Iterator[str]:
    if REJECTED_VALUES not in extract.tables:
        return
    with open_parquet(extract.file(REJECTED_VALUES)) as file:
        found = Counter(file.read(["field"]).column("field").to_pylist())
    counts = proof["cells_by_column"]
    other = [name for name in {*counts, *found} if counts.get(name, [0] * 4)[3] != found[name]]
    if other:
        yield f"{REJECTED_VALUES}: lists more or fewer values than the proof, of {_some(other)}."


def _compare_typed(
    extract: PublishedExtract, own: Collection[str], proof: Mapping[str, Any]
) -> Iterator[str]:
    """Count the values of the typed tables again."""
    expected = {name: count[1] for name, count in proof["cells_by_column"].items()}
    expected |= {companion_name(name): count[2] for name, count in proof["cells_by_column"].items()}
    found: Counter[str] = Counter()
    tables: dict[str, list[str]] = {}
    for table in filter(is_instrument_table, own):
        with open_parquet(extract.file(table)) as file:
            counts = _count_cells(file, expected, _not_null)
        found.update(counts)
        for column in counts:
            # Of an instrument that was renamed, an empty table has the same columns.
            tables.setdefault(column, []).append(table)
    other: dict[str, list[str]] = {}
    for column, holders in tables.items():
        if found[column] != expected[column]:
            other.setdefault(" and ".join(holders), []).append(column)
    for holding, columns in other.items():
        yield f"{holding}: holds more or fewer values than the proof, in {_some(columns)}."


def _count_cells(
    file: pq.ParquetFile, wanted: Collection[str], count: Callable[[pa.ChunkedArray], int]
) -> dict[str, int]:
    """Cells of some columns, counted in bounded memory."""
    names = [name for name in file.schema_arrow.names if name in wanted]
    found = dict.fromkeys(names, 0)
    for group in range(file.num_row_groups):
        for start in range(0, len(names), _COLUMNS_AT_ONCE):
            rows = file.read_row_group(group, names[start : start + _COLUMNS_AT_ONCE])
            for name, cells in zip(rows.column_names, rows.columns, strict=True):
                found[name] += count(cells)
    return found


def _not_blank(cells: pa.ChunkedArray) -> int:
    return pc.sum(pc.greater(pc.binary_length(cells), 0)).as_py() or 0


def _not_null(cells: pa.ChunkedArray) -> int:
    return len(cells) - int(cells.null_count)


def _some(names: Collection[str]) -> str:
    return name_some(sorted(names), _MOST_NAMES_SHOWN)
