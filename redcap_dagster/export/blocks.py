"""The blocks that an export is cut into: records that are asked for together, and what came."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from redcap_dagster.export.pace import Pace
from redcap_dagster.export.plan import BlockCutter
from redcap_dagster.export.row_keys import Keys, RowList
from redcap_dagster.export.selection import RecordOrder
from redcap_dagster.export.spool import Spool, SpooledBlock
from redcap_dagster.project import RedcapProject

PartNames: TypeAlias = tuple[tuple[str, ...], tuple[str, ...] | None]
"""The instruments and the events of a request; None stands for all events."""


@dataclass
class Block:
    """Records that are asked for together. Numbers of records count within it.

    Attributes:
        number: Its place among all blocks.
        record_ids: Its records.
        parts: Instruments and events of each request for it.
        expected: Keys of its rows, as listed.
        gone: Records whose rows are not used: asked for again in a later block, or deleted.
        received: Keys of its rows that were used.
        torn: Those of them of which an answer lacked a part.
    """

    number: int
    record_ids: tuple[str, ...] = field(repr=False)
    parts: tuple[PartNames, ...]
    expected: Keys = field(repr=False)
    gone: set[str] = field(default_factory=set, repr=False)
    received: Keys = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    torn: Keys = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    @property
    def is_gone(self) -> bool:
        """Whether none of its rows are used."""
        return len(self.gone) == len(self.record_ids)


class BlockList:
    """What was cut so far, and the rows that are still to be cut.

    Args:
        project: The study's design.
        spool: Is told of each block, so that a later run finds it.
        instruments: Unique names of the instruments to ask for; None for all.
        events: Unique names of the events to ask for; None for all.
        order: The order of the records; None for the server's.
    """

    def __init__(
        self,
        project: RedcapProject,
        spool: Spool,
        *,
        instruments: Iterable[str] | None,
        events: tuple[str, ...] | None,
        order: RecordOrder | None = None,
    ) -> None:
        self._project = project
        self._spool = spool
        self._asked_instruments = None if instruments is None else tuple(instruments)
        self._events = events
        self._order = order
        self._blocks: list[Block] = []
        self._next_record = 0
        self._cutter: BlockCutter

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments that are asked for, in dictionary order."""
        return self._cutter.instruments

    def begin(self, rows: RowList) -> None:
        """Cut these rows from now on, behind the blocks that are there.

        Raises:
            ConfigError: An instrument or event is not in the project.
        """
        self._next_record = 0
        if self._order is not None:
            rows = rows.sorted_by(self._order.rank)
        self._cutter = BlockCutter(
            self._project, rows, instruments=self._asked_instruments, events=self._events
        )

    def take_up(self, rows: RowList, touched: Collection[str]) -> int:
        """Take up the blocks that a killed run has left, and cut what they lack.

        Args:
            rows: The rows as they are listed now.
            touched: Records that were changed since; they are asked for again.

        Returns:
            How many records need not be asked for.
        """
        self._blocks = [
            Block(item.number, item.record_ids, item.parts, rows.of_ids(item.record_ids))
            for item in self._spool.blocks()
        ]
        kept: set[str] = set()
        for block in reversed(self._blocks):  # the last block that has a record has its latest rows
            own = set(block.record_ids)
            block.gone |= own & kept | own.intersection(touched)
            kept |= own.difference(touched)
        self._begin_with(rows, lambda name: name not in kept)
        return len(kept)

    def read_again(self, record_ids: Collection[str], rows: RowList) -> None:
        """Have records asked for again, in blocks behind the others."""
        for block in self._blocks:
            block.gone.update(set(record_ids).intersection(block.record_ids))
        self._begin_with(rows, lambda name: name in record_ids)

    def each(self, pace: Pace) -> Iterator[Block]:
        """The blocks: those that are there, then new ones, cut off as they are asked for.

        Args:
            pace: Says how much a request may ask for, and is told what is planned.
        """
        number = 0
        while True:
            if number < len(self._blocks):
                yield self._blocks[number]
            elif self._next_record < len(self._cutter.rows.record_ids):
                yield self._cut_off(pace)
            else:
                return
            number += 1

    def asked_keys(self, rows: RowList) -> Keys:
        """Keys of those rows of a list that are asked for, ascending."""
        return self._cutter.asked_keys(rows)

    def known(self, record_ids: Collection[str]) -> set[str]:
        """Those of the records that are in a block."""
        return {name for block in self._blocks for name in block.record_ids if name in record_ids}

    def differing(self, listed: RowList) -> set[str]:
        """Records of which other rows came than are listed, or rows that are not whole."""
        space = listed.space
        ids = [name for block in self._blocks for name in block.record_ids]
        numbers = listed.numbers_of(ids)
        received, first = [np.zeros(0, np.int64)], 0
        names: set[str] = set()
        for block in self._blocks:
            own = numbers[first : first + len(block.record_ids)]
            record = space.records_of(block.received)
            is_listed = own[record] >= 0
            doubtful = {*record[~is_listed].tolist(), *space.records_of(block.torn).tolist()}
            names.update(block.record_ids[place] for place in doubtful)
            moved = block.received + (own[record] - record) * space.stride
            received.append(moved[is_listed])
            first += len(block.record_ids)
        expected = self._cutter.asked_keys(listed)
        came = np.concatenate(received)
        if np.array_equal(came, expected):  # as nearly always, and without sorting
            return names
        differing = np.setxor1d(came, expected, assume_unique=True)
        places = space.records_of(differing).tolist()
        return names | {listed.record_ids[place] for place in places}

    def _begin_with(self, rows: RowList, is_wanted: Callable[[str], bool]) -> None:
        numbers = [number for number, name in enumerate(rows.record_ids) if is_wanted(name)]
        self.begin(rows.select(numbers))

    def _cut_off(self, pace: Pace) -> Block:
        first = self._next_record
        cells, others = pace.next_cells(self._cutter.cells_from(first))
        cut = self._cutter.cut(first, cells, others)
        if cells > others and not pace.may_send(cells, cut.largest):
            cut = self._cutter.cut(first, others)
        pace.plan(sum(part.cells for part in cut.parts))
        self._next_record = cut.last
        rows = self._cutter.rows
        block = Block(
            len(self._blocks),
            rows.record_ids[cut.first : cut.last],
            tuple((part.instruments, part.events) for part in cut.parts),
            rows.of_records(cut.first, cut.last),
        )
        self._spool.add_block(SpooledBlock(block.number, block.record_ids, block.parts))
        self._blocks.append(block)
        return block
