"""Reads the list of a study's rows: which records there are, in which events and instances."""

import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import RedcapClient, count_broken_cells
from redcap_dagster.errors import AnswerError, ApiError, ExportError
from redcap_dagster.export.chunks import parse_csv
from redcap_dagster.export.row_keys import (
    GROUP_COLUMN,
    INSTANCE_COLUMN,
    Keys,
    ListPiece,
    RowKeySpace,
    RowList,
    each_once,
)
from redcap_dagster.export.selection import RecordSelection
from redcap_dagster.project import RedcapProject, form_status_column_name

logger = logging.getLogger(__name__)

_TRIES = 3
_MANY_ROWS = 20_000
"""A list that was so long is asked for by event, side by side: it costs a server about a second."""

_MOST_RECORDS_NAMED = 900
"""PHP drops form fields beyond its `max_input_vars` (1,000 by default); then the list is filtered
here."""


def read_row_list(
    client: RedcapClient,
    project: RedcapProject,
    selection: RecordSelection | None = None,
    *,
    with_groups: bool = False,
) -> RowList:
    """The rows that a selection holds now, in the server's order of records.

    One request, which asks for the record id and the form status of every repeating instrument: a
    record of which only instances are stored has no row of its own. A server that cannot answer
    it is asked by event and by instrument.

    Args:
        client: Where to ask.
        project: The study's design as it is on the server now.
        selection: What to list; None for everything. Named records that are not there are left out.
        with_groups: Whether to ask for each record's data access group.

    Raises:
        ApiError: REDCap did not answer, refused, or sent something else.
        ExportError: REDCap does not say in which data access groups the records are.
    """
    selection = selection or RecordSelection()
    return _choose(_read_list(client, project, selection, with_groups=with_groups), selection)


def view_changed() -> ExportError:
    """What the token's user sees is not what it was when the export began."""
    return ExportError(
        "What the token's user sees changed while the study was exported: the user was put into a "
        "data access group or taken out of one, or the study got its first group. Nothing was "
        "published; run it again.",
        retryable=True,
    )


class RowLists:
    """The lists of rows that exports begin and end with, for exports that follow each other.

    Buckets and groups of records are picked from the list of all rows, as REDCap cannot filter by
    them. The list that ended one export begins the next: what came or went between the two, the
    one that ends that export shows.

    Args:
        project: The study's design as it is on the server now.
        concurrency: Requests side by side. A list that is known to be long is asked for with one
            less, as the log is read at that time.
    """

    def __init__(self, project: RedcapProject, concurrency: int = 1) -> None:
        self._project = project
        self._concurrency = max(1, concurrency - 1)
        self._last: RowList | None = None
        self._last_key: tuple[object, ...] = ()

    def list_before(self, client: RedcapClient, selection: RecordSelection) -> RowList:
        """The rows of a selection as listed last, or now where that was another list.

        Raises:
            ApiError: REDCap did not answer, refused, or sent something else.
            ExportError: REDCap does not say in which data access groups the records are.
        """
        if self._last is None or self._last_key != _list_key(selection):
            return self.list_now(client, selection)
        return _choose(self._last, selection)

    def list_now(self, client: RedcapClient, selection: RecordSelection) -> RowList:
        """The rows of a selection as they are now.

        Raises:
            ApiError: REDCap did not answer, refused, or sent something else.
            ExportError: REDCap does not say in which data access groups the records are.
        """
        key = _list_key(selection)
        like = self._last if self._last_key == key else None
        self._last = _read_list(
            client, self._project, selection, like=like, concurrency=self._concurrency
        )
        self._last_key = key
        return _choose(self._last, selection)


def _list_key(selection: RecordSelection) -> tuple[object, ...]:
    """What of a selection REDCap is told, so that its list of rows differs from others."""
    return (
        selection.events,
        _named(selection),
        selection.changed_since,
        selection.data_access_group is not None,  # its groups are kept
    )


def _named(selection: RecordSelection) -> tuple[str, ...] | None:
    """The records that a list is asked for by name; None for all."""
    ids = selection.record_ids
    return tuple(sorted(ids)) if ids is not None and len(ids) <= _MOST_RECORDS_NAMED else None


def _choose(rows: RowList, selection: RecordSelection) -> RowList:
    return rows if selection.holds_all else rows.select(_chosen(rows, selection))


def _read_list(
    client: RedcapClient,
    project: RedcapProject,
    selection: RecordSelection,
    *,
    with_groups: bool = False,
    like: RowList | None = None,
    concurrency: int = 1,
) -> RowList:
    """The rows that REDCap can be asked for, of records that are in the selection or not.

    An earlier list of the same shows in how many requests the server answers.
    """
    space = RowKeySpace.of(project)
    if selection.events == ():
        return RowList(space, (), np.zeros(0, np.int64))  # no list of events would mean all
    with_groups = with_groups or selection.data_access_group is not None
    listing = _Listing(
        client,
        project,
        selection,
        selection.events or (space.events if project.events else None),
        space.instruments[1:],
    )
    pieces = _plan_pieces(listing.piece, like, concurrency)
    with ThreadPoolExecutor(concurrency, thread_name_prefix="redcap-list") as pool:
        read = list(chain.from_iterable(pool.map(lambda piece: _read(listing.of(piece)), pieces)))
    tables = [table for _, table in read if table is not None]
    known_ids = like.record_ids if like is not None else ()
    rows = _to_rows(tables, project, space, known_ids, with_groups=with_groups)
    return replace(rows, pieces=tuple(piece for piece, _ in read))


def _plan_pieces(whole: ListPiece, like: RowList | None, concurrency: int) -> tuple[ListPiece, ...]:
    """The requests for a list: as the server answered an earlier one, but a long one by event."""
    if like is None or not like.pieces:
        return (whole,)
    events, instruments = whole
    if events is None or len(like.pieces) > 1 or len(like.keys) < _MANY_ROWS:
        return like.pieces
    shares = [events[first::concurrency] for first in range(concurrency)]
    return tuple((share, instruments) for share in shares if share)


@dataclass(frozen=True)
class _Listing:
    """What one request for rows asks."""

    client: RedcapClient
    project: RedcapProject
    selection: RecordSelection
    events: tuple[str, ...] | None
    instruments: tuple[str, ...]

    @property
    def piece(self) -> ListPiece:
        """Which part of the list it asks for."""
        return self.events, self.instruments

    def of(self, piece: ListPiece) -> "_Listing":
        """The same for another part."""
        return replace(self, events=piece[0], instruments=piece[1])

    def ask(self) -> bytes:
        return self.client.export_records_csv(
            records=_named(self.selection),
            fields=[
                self.project.record_id_field,
                *(form_status_column_name(name) for name in self.instruments),
            ],
            # All events together are not named: a classic project has none, and a new one counts.
            events=None if self._is_of_all_events else self.events,
            export_data_access_groups=True,  # whether they come tells what the user sees
            export_blank_for_gray_form_status=True,
            date_range_begin=self.selection.changed_since,
        )

    @property
    def _is_of_all_events(self) -> bool:
        return self.events is None or len(self.events) == len(self.project.events)

    def halves(self) -> tuple["_Listing", "_Listing"] | None:
        """Two smaller ones that list the same rows, some perhaps twice; None when it is smallest.

        Rows that do not repeat come with either half of the instruments.
        """
        if self.events is not None and len(self.events) > 1:
            half = len(self.events) // 2
            return replace(self, events=self.events[:half]), replace(
                self, events=self.events[half:]
            )
        if len(self.instruments) > 1:
            half = len(self.instruments) // 2
            return replace(self, instruments=self.instruments[:half]), replace(
                self, instruments=self.instruments[half:]
            )
        return None


def _read(listing: _Listing) -> list[tuple[ListPiece, pa.Table | None]]:
    """The pieces in which it was answered, with their rows; None for none."""
    halves = listing.halves()
    for attempt in range(1, _TRIES + 1):
        try:
            body = listing.ask()
            break
        except ApiError as error:
            if error.reason != "out_of_memory":
                raise
            if halves is not None:
                logger.warning("The list of rows is too large for the server; asking for halves.")
                return [answer for half in halves for answer in _read(half)]
            if attempt == _TRIES:  # memory runs out by chance too, where much is going on
                raise
    if not body:
        return [(listing.piece, None)]
    return [(listing.piece, _parse(body, listing.project))]


def _parse(body: bytes, project: RedcapProject) -> pa.Table:
    """The list's rows, with every column that tells rows apart."""
    if count_broken_cells(body):
        raise AnswerError(
            "REDCap's list of rows has record ids or names that are not UTF-8; they could not be "
            "asked for.",
            content="record",
            status=200,
        )
    table = parse_csv(body)
    wanted = {project.record_id_field}
    if project.events:
        wanted.add("redcap_event_name")
    if project.repeats:
        wanted |= {"redcap_repeat_instrument", INSTANCE_COLUMN}
    if wanted - set(table.column_names):
        raise AnswerError(
            "REDCap's list of rows lacks the columns that tell rows apart: "
            f"{', '.join(sorted(wanted - set(table.column_names)))}.",
            content="record",
            status=200,
        )
    return table


def _to_rows(
    tables: Sequence[pa.Table],
    project: RedcapProject,
    space: RowKeySpace,
    known_ids: tuple[str, ...],
    *,
    with_groups: bool,
) -> RowList:
    """The rows of all tables, each once; records by their first row."""
    if with_groups and any(GROUP_COLUMN not in table.column_names for table in tables):
        raise ExportError(
            "REDCap does not say in which data access groups the records are: the project has "
            "no groups, or the token's user sits in one. Use a token whose user is in no "
            "group, or partitions of another kind."
        )
    shown = {GROUP_COLUMN in table.column_names for table in tables if table.num_rows}
    if len(shown) > 1:
        raise view_changed()
    if not tables:
        return RowList(space, (), np.zeros(0, np.int64), () if with_groups else None)
    ids = pa.chunked_array(
        [chunk for table in tables for chunk in table.column(project.record_id_field).chunks],
        pa.string(),
    )
    grouped = _number_grouped(ids.combine_chunks(), known_ids) if len(tables) == 1 else None
    names, numbers = grouped or _number(ids, known_ids, is_in_parts=len(tables) > 1)
    starts = np.cumsum([0, *(table.num_rows for table in tables)])
    keys = [
        space.encode(table, numbers[start : start + table.num_rows])
        for table, start in zip(tables, starts, strict=False)
    ]
    groups: tuple[str, ...] | None = None
    if with_groups:
        groups = _groups(tables, numbers, len(names))
    shows_groups = next(iter(shown), None)
    return RowList(space, names, each_once(np.hstack(keys)), groups, shows_groups=shows_groups)


def _number_grouped(
    ids: pa.StringArray, known: tuple[str, ...]
) -> tuple[tuple[str, ...], Keys] | None:
    """Records and the number of each row's, where the rows of a record follow each other.

    None where they do not. REDCap sorts rows, so they do; looking ids up would take 130 bytes each.
    Where an earlier list has the same records, its texts are held once.
    """
    is_first = np.ones(len(ids), bool)
    is_first[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    firsts = ids.filter(pa.array(is_first))
    numbers: Keys = np.cumsum(is_first) - 1
    if firsts.equals(pa.array(known, pa.string())):
        return known, numbers
    names = tuple(firsts.to_pylist())
    return (names, numbers) if len(set(names)) == len(names) else None


def _number(
    rows: pa.ChunkedArray, known: tuple[str, ...], *, is_in_parts: bool
) -> tuple[tuple[str, ...], Keys]:
    """Records in REDCap's order, which a list in parts does not show, and the number of each row's.

    Where an earlier list has the same records, it is the order, and its texts are held once.
    """
    coded = rows.combine_chunks().dictionary_encode()
    ids, numbers = coded.dictionary, coded.indices.to_numpy().astype(np.int64)
    places = pc.index_in(ids, value_set=pa.array(known, pa.string()))
    if len(ids) == len(known) and not places.null_count:
        return known, places.to_numpy().astype(np.int64)[numbers]
    names = tuple(ids.to_pylist())
    if not is_in_parts:
        return names, numbers
    order = sorted(range(len(names)), key=lambda place: _natural(names[place]))
    place_of = np.empty(len(names), np.int64)
    place_of[order] = np.arange(len(names))
    return tuple(names[place] for place in order), place_of[numbers]


def _natural(name: str) -> list[tuple[str, int]]:
    return [(text, int(digits or -1)) for text, digits in re.findall(r"(\D*)(\d*)", name)]


def _groups(tables: Sequence[pa.Table], numbers: Keys, records: int) -> tuple[str, ...]:
    """Each record's group: of the first of its rows that has one."""
    names = [name for table in tables for name in table.column(GROUP_COLUMN).to_pylist()]
    groups = [""] * records
    for number, name in zip(numbers.tolist(), names, strict=True):
        groups[number] = groups[number] or name
    return tuple(groups)


def _chosen(rows: RowList, selection: RecordSelection) -> list[int]:
    groups = rows.groups or (None,) * len(rows.record_ids)
    return [
        number
        for number, (record_id, group) in enumerate(zip(rows.record_ids, groups, strict=True))
        if selection.holds(record_id, group)
    ]
