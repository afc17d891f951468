"""Rows of an export as numbers, so that what came can be compared with what is listed.

A row of a flat export is told apart by record, event, repeating instrument and instance. Its key
is one 64-bit number made of these, such that keys sort as REDCap sorts rows: by record, then the
rows that do not repeat by event, then the repeating ones by event, instrument and instance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import AnswerError
from redcap_dagster.project import RedcapProject

Keys: TypeAlias = npt.NDArray[np.int64]
"""Keys of rows. The number of the record counts from 0 in whatever list of records is meant."""

ListPiece: TypeAlias = tuple[tuple[str, ...] | None, tuple[str, ...]]
"""Events, None for a classic project, and instruments of one request for rows."""

_INSTANCES = 1 << 16
EVENT_COLUMN = "redcap_event_name"
INSTRUMENT_COLUMN = "redcap_repeat_instrument"
INSTANCE_COLUMN = "redcap_repeat_instance"
GROUP_COLUMN = "redcap_data_access_group"
_ROW_COLUMNS = frozenset({EVENT_COLUMN, INSTRUMENT_COLUMN, INSTANCE_COLUMN})


@dataclass(frozen=True)
class RowKeySpace:
    """Turns rows into keys and back.

    Attributes:
        events: Unique names of the project's events; `("",)` in a classic project.
        instruments: "" and the names of the instruments that repeat by themselves.
    """

    events: tuple[str, ...]
    instruments: tuple[str, ...]

    @classmethod
    def of(cls, project: RedcapProject) -> "RowKeySpace":
        """The space of a project's rows."""
        repeating = {rule.instrument for rule in project.repeats}
        names = [item.name for item in project.instruments if item.name in repeating]
        events = tuple(event.unique_name for event in project.events)
        return cls(events or ("",), ("", *names))

    @property
    def stride(self) -> int:
        """Keys of one record: record `n` has those from `n * stride` on."""
        return 2 * len(self.events) * len(self.instruments) * _INSTANCES

    def encode(self, table: pa.Table, record_numbers: Keys) -> Keys:
        """Keys of the rows of a table.

        Args:
            table: Rows with their event and repeat columns, where the project has them.
            record_numbers: The number of each row's record.

        Raises:
            AnswerError: A row is of an event, instrument or instance that cannot be.
        """
        if not _ROW_COLUMNS.intersection(table.column_names):
            return record_numbers * self.stride  # a record has one row
        events = _codes(table, EVENT_COLUMN, self.events)
        instruments = _codes(table, INSTRUMENT_COLUMN, self.instruments)
        instances = _instances(table)
        is_repeated = (instances > 0).astype(np.int64)
        place = is_repeated * len(self.events) + events
        place = (place * len(self.instruments) + instruments) * _INSTANCES + instances
        return record_numbers * self.stride + place

    def records_of(self, keys: Keys) -> Keys:
        """The number of the record of each key."""
        return keys // self.stride

    def count_rows(self, keys: Keys) -> Keys:
        """How many keys are of each event and instrument: an array of events by instruments."""
        places = keys // _INSTANCES % (len(self.events) * len(self.instruments))
        counts = np.bincount(places, minlength=len(self.events) * len(self.instruments))
        return counts.reshape(len(self.events), len(self.instruments))

    def is_of_instrument(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which keys are of rows of a repeating instrument."""
        return keys // _INSTANCES % len(self.instruments) > 0

    def is_asked(
        self, keys: Keys, events: Sequence[str] | None, instruments: Sequence[str]
    ) -> npt.NDArray[np.bool_]:
        """Which keys are of rows that an export of some events and instruments holds.

        Rows of a repeating instrument come where it is asked for; all others come wherever the
        record has anything in the event (docs/sources.md#rows).
        """
        instrument = keys // _INSTANCES % len(self.instruments)
        wanted = [place for place, name in enumerate(self.instruments) if name in instruments]
        asked = np.isin(instrument, [0, *wanted])
        return asked if events is None else asked & self.is_in_events(keys, events)

    def is_in_events(self, keys: Keys, events: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which keys are of rows of some events."""
        event = keys // (_INSTANCES * len(self.instruments)) % len(self.events)
        return np.isin(event, [self.events.index(name) for name in events])


@dataclass(frozen=True, repr=False)
class RowList:
    """The rows a study has, without their values. Its `repr` shows no id.

    Attributes:
        space: What the keys mean.
        record_ids: Each record once, in the server's order, unless they were sorted otherwise.
        keys: Keys of all rows, ascending, each once.
        groups: Unique name of each record's data access group, "" for none; None where the list
            was not asked for them.
        pieces: The events and repeating instruments of each request that it was made of.
        shows_groups: Whether REDCap named data access groups: it does where there are some, and the
            token's user is in none. None where it has listed nothing.
    """

    space: RowKeySpace
    record_ids: tuple[str, ...]
    keys: Keys
    groups: tuple[str, ...] | None = None
    pieces: tuple[ListPiece, ...] = ()
    shows_groups: bool | None = None

    def __repr__(self) -> str:
        return f"RowList({len(self.record_ids)} records, {len(self.keys)} rows)"

    def of_records(self, first: int, last: int) -> Keys:
        """Keys of the records `first` to before `last`, with records counted from `first`."""
        stride = self.space.stride
        start, end = np.searchsorted(self.keys, [first * stride, last * stride])
        return self.keys[start:end] - first * stride

    def numbers_of(self, record_ids: Sequence[str]) -> Keys:
        """The number of each of some records in this list; -1 for one that is not in it."""
        if tuple(record_ids) == self.record_ids:  # as nearly always, and without looking them up
            return np.arange(len(record_ids), dtype=np.int64)
        known = pa.array(self.record_ids, pa.string())
        places = pc.index_in(pa.array(record_ids, pa.string()), value_set=known)
        return _numpy(pc.fill_null(places, -1))

    def of_ids(self, record_ids: Sequence[str]) -> Keys:
        """Keys of some records, counted by their place among these; none of unlisted ones."""
        numbers = self.numbers_of(record_ids)
        listed = np.flatnonzero(numbers >= 0)
        order = listed[np.argsort(numbers[listed], kind="stable")]
        chosen = self.select(numbers[order].tolist())
        records = self.space.records_of(chosen.keys)
        return np.sort(chosen.keys + (order[records] - records) * self.space.stride)

    def sorted_by(self, rank: Callable[[str], str]) -> "RowList":
        """The same rows, with the records in another order.

        Args:
            rank: What a record id is sorted by.
        """
        order = sorted(range(len(self.record_ids)), key=lambda place: rank(self.record_ids[place]))
        record_ids = tuple(self.record_ids[place] for place in order)
        groups = None if self.groups is None else tuple(self.groups[place] for place in order)
        return replace(self, record_ids=record_ids, keys=self.of_ids(record_ids), groups=groups)

    def select(self, numbers: Sequence[int]) -> "RowList":
        """The list of some of its records, given by their ascending numbers."""
        chosen = np.asarray(numbers, dtype=np.int64)
        records = self.space.records_of(self.keys)
        place = np.searchsorted(chosen, records)
        place[place == len(chosen)] = 0
        kept = chosen[place] == records if len(chosen) else np.zeros(len(records), bool)
        keys = self.keys[kept] + (place[kept] - records[kept]) * self.space.stride
        return RowList(
            self.space,
            tuple(self.record_ids[number] for number in numbers),
            keys,
            None if self.groups is None else tuple(self.groups[number] for number in numbers),
            shows_groups=self.shows_groups,
        )


def each_once(keys: Keys) -> Keys:
    """Ascending, without repetitions; in place, as `np.unique` would copy and hash them."""
    keys.sort()
    is_new = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=is_new[1:])
    return keys if is_new.all() else keys[is_new]


def are_among(ascending: Keys, others: Keys) -> npt.NDArray[np.bool_]:
    """Which of some ascending keys are among others, which are ascending too."""
    if len(others) == 0 or np.array_equal(ascending, others):  # as nearly always
        return np.full(len(ascending), len(others) > 0)
    places = np.searchsorted(others, ascending)
    places[places == len(others)] = 0
    return np.asarray(others[places] == ascending)


def count_distinct(ascending: Keys) -> int:
    """How many different numbers there are among ascending ones."""
    return int((np.diff(ascending) != 0).sum()) + bool(len(ascending))


def _codes(table: pa.Table, column: str, names: tuple[str, ...]) -> Keys:
    if table.schema.get_field_index(column) < 0:
        return np.zeros(table.num_rows, np.int64)
    codes = pc.index_in(table.column(column), value_set=pa.array(names, pa.string()))
    if codes.null_count:
        raise AnswerError(
            f"REDCap's answer has {codes.null_count} rows whose {column} is none of the project's. "
            "The study's design changed while it was exported, or the body is no record export.",
            content="record",
            status=200,
        )
    return _numpy(codes)


def _instances(table: pa.Table) -> Keys:
    if table.schema.get_field_index(INSTANCE_COLUMN) < 0:
        return np.zeros(table.num_rows, np.int64)
    text = table.column(INSTANCE_COLUMN)
    is_number = pc.match_substring_regex(text, r"^([1-9]\d{0,4})?$")
    if not pc.all(is_number, min_count=0).as_py():
        raise _no_instances(table.num_rows - pc.sum(is_number).as_py())
    numbers = _numpy(pc.cast(pc.if_else(pc.equal(text, ""), "0", text), pa.int32()))
    if numbers.max(initial=0) >= _INSTANCES:
        raise _no_instances(int((numbers >= _INSTANCES).sum()))
    return numbers


def _no_instances(count: int) -> AnswerError:
    return AnswerError(
        f"REDCap's answer has {count} rows whose {INSTANCE_COLUMN} is no number of an instance.",
        content="record",
        status=200,
    )


def _numpy(codes: pa.ChunkedArray) -> Keys:
    numbers: Keys = codes.to_numpy().astype(np.int64)
    return numbers
