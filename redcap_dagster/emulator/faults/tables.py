"""Spoils the rows of a list while it is made."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from redcap_dagster.emulator.answers import Table
from redcap_dagster.emulator.faults.fault import Fault
from redcap_dagster.emulator.faults.selection import Arrival, draw

# One byte of Latin-1 where UTF-8 should be; it travels through texts as a lone surrogate.
_SURROGATE = "\udce9"
_SURROGATE_BYTES = _SURROGATE.encode("utf-8", "surrogatepass")
_LATIN_1_BYTE = b"\xe9"


def spoiled(table: Table, faults: Sequence[Fault], arrival: Arrival) -> Table:
    """Return a list with the faults `short` and `encoding` done to it."""
    for fault in faults:
        if fault.kind == "short":
            table = _shortened(table, fault, arrival)
        elif fault.kind == "encoding":
            table = replace(table, rows=_with_odd_values(table, fault, arrival))
    return table


def with_odd_bytes(body: bytes) -> bytes:
    """Turn the marks that `encoding` left into bytes that are no UTF-8."""
    return body.replace(_SURROGATE_BYTES, _LATIN_1_BYTE)


def _shortened(table: Table, fault: Fault, arrival: Arrival) -> Table:
    kept_columns = max(len(table.columns) - fault.whole("columns"), 1)
    rows = [row[:kept_columns] for row in table.rows]
    dropped = _dropped(range(len(rows)), fault, arrival)
    kept = [row for position, row in enumerate(rows) if position not in dropped]
    return replace(table, columns=table.columns[:kept_columns], rows=kept)


def _dropped(places: range, fault: Fault, arrival: Arrival) -> set[int]:
    count = fault.whole("rows")
    if fault.text("which") == "last" and count >= 0:
        return set(places[max(len(places) - count, 0) :])
    return _chosen(places, count, fault, arrival)


def _with_odd_values(table: Table, fault: Fault, arrival: Arrival) -> Iterator[Sequence[Any]]:
    rows = [list(row) for row in table.rows]
    texts = [
        (row, column)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
        # The first column is the record id, which clients look at before anything else.
        if column and isinstance(cell, str) and cell
    ]
    for chosen in _chosen(texts, fault.whole("values"), fault, arrival):
        row, column = chosen
        rows[row][column] += _SURROGATE
    yield from rows


def _chosen(places: Sequence[Any], count: int, fault: Fault, arrival: Arrival) -> set[Any]:
    if count < 0:
        return set(places)
    order = sorted(range(len(places)), key=lambda position: draw(fault, arrival, str(position)))
    return {places[position] for position in order[:count]}
