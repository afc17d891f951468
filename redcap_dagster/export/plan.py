"""From a study's design and the list of its rows to requests: what each asks, and how much it is.

Pure. An event is asked only for the instruments that are used in it, and a wide study is cut by
instrument, so that a request stays within its cells and is still some hundred records tall.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from redcap_dagster.errors import ConfigError
from redcap_dagster.export.row_keys import Keys, RowList
from redcap_dagster.export.shares import (
    DEFAULT_CELLS_PER_REQUEST,
    Share,
    ShareCosts,
    group_instruments,
    join_small_shares,
    part_repeating,
    select_events,
    select_instruments,
)
from redcap_dagster.project import RedcapProject, plan_export_columns

MOST_RECORDS_PER_REQUEST = 5_000
"""A server that takes fewer form fields drops the rest: that is seen, and the request halved."""

_TALL = 300
"""Records below which a request is rather cut by instrument: parsing costs by the column too."""

_MOST_CELLS_PER_BLOCK = 2_000_000
"""Cells of the rows that are put side by side at once, about 20 MB."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request asks. Its `repr` shows ids: it is not for messages.

    Attributes:
        record_ids: Ids of the records.
        instruments: Instruments asked for; () for the columns of the whole row alone.
        events: Unique names of the events asked for; None for all.
    """

    record_ids: tuple[str, ...]
    instruments: tuple[str, ...]
    events: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The columns and events of one request for the records of a block.

    Attributes:
        instruments: Instruments asked for, in dictionary order.
        events: Unique names of the events asked for; None for all.
        rows: Rows that the answer should have.
        columns: Columns of the answer.
    """

    instruments: tuple[str, ...]
    events: tuple[str, ...] | None
    rows: int
    columns: int

    @property
    def cells(self) -> int:
        """Cells that the answer should have."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True)
class Block:
    """Records whose rows are put together from one or more requests.

    Attributes:
        first: Number of its first record in the row list.
        last: Number after its last record.
        parts: What is asked for these records.
    """

    first: int
    last: int
    parts: tuple[Part, ...]

    @property
    def largest(self) -> int:
        """Cells of the largest answer; 0 for none."""
        return max((part.cells for part in self.parts), default=0)


@dataclass(frozen=True)
class ExportPlan:
    """What an export asks for, block by block, in the order of its rows.

    Attributes:
        blocks: Together they hold every record of the list that has rows, once.
        instruments: Instruments asked for, in dictionary order.
        events: Unique names of the events asked for; None for all.
        record_count: Records of the list.
        whole_cells: Cells of the same rows with every column of the asked instruments, as an
            export asks for that does not look at events.
    """

    blocks: tuple[Block, ...]
    instruments: tuple[str, ...]
    events: tuple[str, ...] | None
    record_count: int
    whole_cells: int

    @property
    def requests(self) -> int:
        """Requests for records, beside those for the list of rows."""
        return sum(len(block.parts) for block in self.blocks)

    @property
    def cells(self) -> int:
        """Cells of all answers."""
        return sum(part.cells for block in self.blocks for part in block.parts)

    @property
    def records_per_request(self) -> int:
        """Records of the largest block."""
        return max((block.last - block.first for block in self.blocks), default=0)

    @property
    def columns_per_request(self) -> int:
        """Columns of the widest answer."""
        return max((part.columns for block in self.blocks for part in block.parts), default=0)


def plan_export(
    project: RedcapProject,
    rows: RowList,
    *,
    instruments: Iterable[str] | None = None,
    events: Sequence[str] | None = None,
    cells_per_request: int = DEFAULT_CELLS_PER_REQUEST,
) -> ExportPlan:
    """Cut an export into blocks and requests.

    Args:
        project: The study's design as it is on the server now.
        rows: The rows to export.
        instruments: Unique names of the instruments to ask for; None for all.
        events: Unique names of the events to ask for; None for all.
        cells_per_request: Budget of one answer. A record of which one instrument alone is larger
            is asked for alone.

    Raises:
        ConfigError: The budget is not positive, or an instrument or event is not in the project.
    """
    if cells_per_request < 1:
        raise ConfigError("cells_per_request must be at least 1.")
    cutter = BlockCutter(project, rows, instruments=instruments, events=events)
    blocks = []
    first = 0
    while first < len(rows.record_ids):
        block = cutter.cut(first, cells_per_request)
        blocks.append(block)
        first = block.last
    return ExportPlan(
        tuple(block for block in blocks if block.parts),
        cutter.instruments,
        cutter.events,
        len(rows.record_ids),
        cutter.whole_cells,
    )


class BlockCutter:
    """Cuts blocks off a list of rows, each as large as the server bears at that time.

    Args:
        project: The study's design.
        rows: The rows to export.
        instruments: Unique names of the instruments to ask for; None for all.
        events: Unique names of the events to ask for; None for all.

    Raises:
        ConfigError: An instrument or event is not in the project.
    """

    def __init__(
        self,
        project: RedcapProject,
        rows: RowList,
        *,
        instruments: Iterable[str] | None = None,
        events: Sequence[str] | None = None,
    ) -> None:
        self.instruments = select_instruments(project, instruments)
        self.events = select_events(project, events)
        self.rows = rows
        self._project = project
        self._asked = group_instruments(project, self.instruments, self.events)
        costs = ShareCosts(project, rows)
        joined = join_small_shares([share for share in self._asked if costs.rows(share)], costs)
        parted = [part for share in joined for part in part_repeating(share, costs)]
        groups = [_Group(costs, rows, share) for share in parted]
        # The largest first: it is what a larger size is tried with.
        self._groups = sorted(groups, key=lambda item: item.row_count * item.columns, reverse=True)

    @cached_property
    def whole_cells(self) -> int:
        """Cells of all asked rows with every column of the asked instruments."""
        width = len(plan_export_columns(self._project, self.instruments))
        return len(self.asked_keys(self.rows)) * width

    def asked_keys(self, rows: RowList) -> Keys:
        """Keys of those rows of a list that are asked for, ascending."""
        asked = np.zeros(len(rows.keys), bool)
        for share in self._asked:
            asked |= rows.space.is_asked(rows.keys, share.events, share.instruments)
        return rows.keys[asked]

    def cells_from(self, first: int) -> int:
        """Cells of all answers for the records from one on."""
        return sum(
            (group.row_count - group.rows_until(first)) * group.columns for group in self._groups
        )

    def cut(self, first: int, cells: int, others: int | None = None) -> Block:
        """The block that begins with a record.

        Args:
            first: Number of the record in the list of rows.
            cells: Cells that one request may ask for.
            others: Cells that each request but the first may ask for; None for as many.
        """
        others = others or cells
        most = min(first + MOST_RECORDS_PER_REQUEST, len(self.rows.record_ids))
        lasts = [group.last_within(first, others) for group in self._groups[1:]]
        lasts += [group.last_within(first, cells) for group in self._groups[:1]]
        last = min([most, *lasts])
        if last - first < min(_TALL, most - first):
            last = self._last_when_cut_by_instrument(first, cells, most)
        return self._block(first, max(last, first + 1), cells, others)

    def _last_when_cut_by_instrument(self, first: int, cells: int, most: int) -> int:
        """Where a block ends of which no instrument alone has more cells than allowed."""
        last = min(first + _TALL, most)
        for group in self._groups:
            last = min(last, group.last_within(first, cells, group.widest_instrument))
            last = min(last, group.last_within(first, _MOST_CELLS_PER_BLOCK))
        return last

    def _block(self, first: int, last: int, cells: int, others: int) -> Block:
        parts: list[Part] = []
        for group in self._groups:
            rows = group.rows_until(last) - group.rows_until(first)
            if rows:
                most = (others if parts else cells) // rows
                parts.extend(group.parts(rows, max(1, most), max(1, others // rows)))
        return Block(first, last, tuple(parts))


class _Group:
    """A share with its rows, record by record."""

    def __init__(self, costs: ShareCosts, rows: RowList, share: Share) -> None:
        self.instruments = share.instruments
        self.events = share.events
        self._row_columns = costs.row_columns
        self._widths = {name: costs.widths[name] for name in share.instruments}
        self.columns = self._row_columns + sum(self._widths.values())
        self.widest_instrument = self._row_columns + max(self._widths.values(), default=0)
        self._rows_before = _rows_before(rows, share)

    @property
    def row_count(self) -> int:
        """Rows of all records."""
        return int(self._rows_before[-1])

    def rows_until(self, record: int) -> int:
        """Rows of all records before one."""
        return int(self._rows_before[record])

    def last_within(self, first: int, cells: int, columns: int | None = None) -> int:
        """The last record number for which the records from `first` have no more cells."""
        rows = cells // (columns or self.columns)
        end = np.searchsorted(self._rows_before, self._rows_before[first] + rows, side="right")
        return int(end) - 1

    def parts(self, rows: int, most_columns: int, most_of_others: int) -> list[Part]:
        """The group's requests, none wider than allowed unless one instrument is.

        The first may be wider than the others.
        """
        runs: list[list[str]] = [[]]
        width = self._row_columns
        for name in self.instruments:
            most = most_columns if len(runs) == 1 else most_of_others
            if runs[-1] and width + self._widths[name] > most:
                runs.append([])
                width = self._row_columns
            runs[-1].append(name)
            width += self._widths[name]
        return [
            Part(
                tuple(run),
                self.events,
                rows,
                self._row_columns + sum(self._widths[name] for name in run),
            )
            for run in runs
        ]


def _rows_before(rows: RowList, share: Share) -> Keys:
    """How many asked rows all records before each record have; one number more than records."""
    asked = rows.keys[rows.space.is_asked(rows.keys, share.events, share.instruments)]
    counts = np.bincount(rows.space.records_of(asked), minlength=len(rows.record_ids))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
