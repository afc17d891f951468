"""Carries out an export: blocks side by side, kept on disk, proven to be all there is."""

import json
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from typing_extensions import Self

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError, ExportError, RequestRejectedError
from redcap_dagster.export.asking import Ask, Asker
from redcap_dagster.export.assemble import Rows, assemble, blank_where_not_used
from redcap_dagster.export.changes import ChangeFence, read_changes, read_fence
from redcap_dagster.export.design import read_design
from redcap_dagster.export.pace import Pace
from redcap_dagster.export.plan import DEFAULT_CELLS_PER_REQUEST, BlockCutter
from redcap_dagster.export.progress import ExportProgress
from redcap_dagster.export.row_keys import Keys, RowList, count_distinct
from redcap_dagster.export.row_list import read_row_list
from redcap_dagster.export.selection import RecordSelection
from redcap_dagster.export.spool import Spool, SpooledBlock
from redcap_dagster.project import RedcapProject

logger = logging.getLogger(__name__)

PartNames: TypeAlias = tuple[tuple[str, ...], tuple[str, ...] | None]
"""The instruments and the events of a request; None stands for all events."""

_MOST_ROUNDS = 8
_QUEUED_REQUESTS = 2
"""Requests that are cut for each that is under way, so that none waits for the next."""
_HELD_CELLS = 4_000_000
"""Cells of blocks that are under way or wait to be taken, about 40 MB of text."""


@dataclass(frozen=True)
class ExportSettings:
    """How an export is cut, and how much of it runs at once.

    Attributes:
        concurrency: Requests side by side, at least 1.
        cells_per_request: Cells that one request asks for at most.
    """

    concurrency: int = 4
    cells_per_request: int = DEFAULT_CELLS_PER_REQUEST

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ConfigError("concurrency must be at least 1.")
        if self.cells_per_request < 1:
            raise ConfigError("cells_per_request must be at least 1.")


@dataclass
class _Block:
    """Records that are asked for together. Numbers of records count within it.

    Attributes:
        number: Its place among all blocks.
        record_ids: Its records.
        parts: Instruments and events of each request for it.
        expected: Keys of its rows, as listed.
        gone: Records whose rows are not used: asked for again in a later block, or deleted.
        received: Keys of its rows that were used.
    """

    number: int
    record_ids: tuple[str, ...]
    parts: tuple[PartNames, ...]
    expected: Keys
    gone: set[str] = field(default_factory=set)
    received: Keys = field(default_factory=lambda: np.zeros(0, np.int64))


class StudyExport:
    """Reads what a selection holds, as the state of one moment.

    A context manager::

        with StudyExport(client, project, spool=folder) as export:
            while True:
                for rows in export.chunks():
                    …                              # Arrow, text, whole records
                if export.settle():                # nothing changed meanwhile
                    break                          # else: once more, mostly from disk
            publish(export.facts())
            export.done()

    Args:
        client: Where to ask.
        project: The study's design as it is on the server now.
        selection: What of the records; None for all.
        instruments: Unique names of the instruments to ask for; None for all.
        settings: How the export is cut.
        spool: Folder on a local disk for the answers of exports that are under way: what a killed
            run left there is not asked for again. None keeps them in a temporary folder.
        progress: Counts to keep up to date.

    Raises:
        ConfigError: An instrument or event is not in the project.
    """

    def __init__(
        self,
        client: RedcapClient,
        project: RedcapProject,
        selection: RecordSelection | None = None,
        *,
        instruments: Iterable[str] | None = None,
        settings: ExportSettings | None = None,
        spool: Path | None = None,
        progress: ExportProgress | None = None,
    ) -> None:
        self._client = client
        self._project = project
        self._selection = selection or RecordSelection()
        self._asked_instruments = None if instruments is None else tuple(instruments)
        self._settings = settings or ExportSettings()
        self._spool_folder = spool
        self.progress = progress if progress is not None else ExportProgress()
        self._pace = Pace(self._settings.cells_per_request)
        self._asker = Asker(client, project, self._pace)
        self._events_of = (
            {item.name: project.events_of(item.name) for item in project.instruments}
            if project.events
            else {}
        )
        self._rows: RowList
        self._cutter: BlockCutter
        self._blocks: list[_Block] = []
        self._next_record = 0
        self._rounds = 0
        self._lock = threading.Lock()
        self._from_disk = 0
        self._moment_is_assured = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            folder = self._spool_folder or Path(
                on_failure.enter_context(TemporaryDirectory(prefix="redcap-export-"))
            )
            self._spool = on_failure.enter_context(Spool(folder, self._key()))
            self._began = datetime.now(timezone.utc)
            self._begin()
            self._columns = self._asker.columns(self._cutter.instruments)
            self._stack = on_failure.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def rows(self) -> RowList:
        """The rows that are to be exported, as last listed."""
        return self._rows

    @property
    def fence(self) -> ChangeFence | None:
        """Up to where the project's log is in the export; None without the Logging right."""
        return self._fence

    def chunks(self) -> Iterator[pa.Table]:
        """The rows, all rows of a record in one piece, in the server's order.

        At most `concurrency` requests are under way; what was asked for before comes from disk.

        Yields:
            Every export column of the asked instruments, all text; "" is blank, and a column
            that the server may leave out and did is null.

        Raises:
            ApiError: REDCap refused, or did not answer.
            ExportError: One record and instrument could not be exported.
        """
        self._begin_counting()
        waiting: deque[tuple[_Block, list[Future[Rows]]]] = deque()
        number = 0
        with ThreadPoolExecutor(
            max_workers=self._settings.concurrency, thread_name_prefix="redcap-export"
        ) as pool:
            try:
                while True:
                    while self._has_room(waiting):
                        block = self._block(number)
                        if block is None:
                            break
                        number += 1
                        waiting.append((block, self._submit(pool, block)))
                    if not waiting:
                        return
                    block, futures = waiting[0]
                    pieces = [future.result() for future in futures]
                    waiting.popleft()
                    block.received = np.zeros(0, np.int64)
                    if pieces:
                        rows = self._assemble(block, pieces)
                        block.received = rows.keys
                        self._count(block, rows)
                        yield rows.table
            finally:
                for _, futures in waiting:
                    for future in futures:
                        future.cancel()

    def settle(self) -> bool:
        """Find out whether what was yielded is what REDCap holds now.

        The rows are listed again, and the project's log is read. What changed is asked for again,
        and `chunks` must then be gone through once more.

        Returns:
            Whether nothing changed since it was exported.

        Raises:
            ApiError: REDCap refused, or did not answer.
            ExportError: The study's design changed meanwhile; or REDCap lists rows that it does
                not export, however often they are asked for.
        """
        self._rounds += 1
        fence, touched, is_new_design = self._read_log()
        self._refuse_new_design(is_new_design)
        rows = read_row_list(self._client, self._project, self._selection, like=self._rows)
        differing = self._differing(rows)
        known = [rows.record_ids, *(block.record_ids for block in self._blocks)]
        logged = {name for names in known for name in touched.intersection(names)}
        self._rows = rows
        if not differing and not logged:
            self._fence, self._moment_is_assured = fence, fence is not None
            return True
        if self._rounds >= _MOST_ROUNDS:
            if differing:
                raise ExportError(
                    f"REDCap lists {len(differing)} records otherwise than it exports them, also "
                    f"when they are asked for again ({self._rounds} times). Nothing was published. "
                    "Run it again; tell the server's administrator if it stays.",
                    retryable=True,
                )
            return True  # `facts` says that the records were not left alone for long enough
        self._fence = fence
        self._read_again(differing | logged)
        return False

    def facts(self) -> dict[str, Any]:
        """What the manifest says of the export, when it is settled. No ids and no values."""
        return {
            "records_expected": self.progress.records_asked,
            "records_received": self.progress.records_done,
            "rows_received": self.progress.rows,
            "began": self._began.isoformat(timespec="seconds"),
            "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "rounds": self._rounds,
            "pace": asdict(self._pace.facts),
            "concurrency": self._settings.concurrency,
            "state_of": None if self._fence is None else self._fence.newest,
            "is_state_of_one_moment": self._moment_is_assured,
            "why_not_assured": self._doubt(),
        }

    def done(self) -> None:
        """Remove what was kept on disk: it is published."""
        self._spool.clear()

    def _doubt(self) -> str | None:
        if self._moment_is_assured:
            return None
        if self._fence is None:
            return (
                "The API token's user has no Logging right, so it is not known whether values "
                "changed while the export ran. Rows that came or went were seen."
            )
        return f"Records were changed in each of {self._rounds} rounds of reading them again."

    def _key(self) -> str:
        """What tells this export from others. Not guessable, as record ids may be in it."""
        return self._client.keyed_digest(
            self._client.api_url,
            self._project.fingerprint,
            json.dumps(self._asked_instruments),
            *self._selection.key_texts(),
        )

    def _begin(self) -> None:
        """List the rows, and take up what a killed run has left."""
        left = self._spool.resume()
        if left is None or left["fence"] is None:
            self._fence = _fence_if_permitted(self._client, self._project)
            # Without the log it could not be found out what changed since a killed run.
            self._spool.begin({"fence": self._fence.to_plain() if self._fence else None})
            self._rows = read_row_list(self._client, self._project, self._selection)
            self._cutter = self._cut(self._rows)
            return
        self._fence = ChangeFence.from_plain(left["fence"])
        self._fence, touched, is_new_design = self._read_log()
        self._refuse_new_design(is_new_design)
        self._rows = read_row_list(self._client, self._project, self._selection)
        spooled = self._spool.blocks()
        self._blocks = [
            _Block(item.number, item.record_ids, item.parts, self._rows.of_ids(item.record_ids))
            for item in spooled
        ]
        kept = self._drop_older(touched)
        logger.info(
            "Going on with an export that was not finished: %d records were asked for.", len(kept)
        )
        numbers = [n for n, name in enumerate(self._rows.record_ids) if name not in kept]
        self._cutter = self._cut(self._rows.select(numbers))

    def _drop_older(self, touched: set[str]) -> set[str]:
        """Drop touched records from all blocks, and others from all but their last block.

        Returns:
            The records that are left.
        """
        kept: set[str] = set()
        for block in reversed(self._blocks):
            own = set(block.record_ids)
            block.gone |= own & (touched | kept)
            kept |= own - touched
        return kept

    def _cut(self, rows: RowList) -> BlockCutter:
        self._next_record = 0
        return BlockCutter(
            self._project,
            rows,
            instruments=self._asked_instruments,
            events=self._selection.events,
        )

    def _has_room(self, waiting: Sequence[tuple[_Block, list[Future[Rows]]]]) -> bool:
        requests = sum(not future.done() for _, futures in waiting for future in futures)
        cells = sum(len(block.expected) for block, _ in waiting) * len(self._columns)
        return not waiting or (
            requests < _QUEUED_REQUESTS * self._settings.concurrency and cells < _HELD_CELLS
        )

    def _block(self, number: int) -> _Block | None:
        """A block by its number: begun before, or cut now; None when there are no more."""
        if number < len(self._blocks):
            return self._blocks[number]
        rows = self._cutter.rows
        if self._next_record >= len(rows.record_ids):
            return None
        cut = self._cutter.cut(self._next_record, self._pace.next_cells())
        self._next_record = cut.last
        block = _Block(
            number,
            rows.record_ids[cut.first : cut.last],
            tuple((part.instruments, part.events) for part in cut.parts),
            rows.of_records(cut.first, cut.last),
        )
        self._spool.add_block(SpooledBlock(number, block.record_ids, block.parts))
        self._blocks.append(block)
        return block

    def _submit(self, pool: ThreadPoolExecutor, block: _Block) -> list[Future[Rows]]:
        if len(block.gone) == len(block.record_ids):
            return []
        return [pool.submit(self._fetch, block, part) for part in range(len(block.parts))]

    def _fetch(self, block: _Block, part: int) -> Rows:
        """The rows of a part, from disk where they are there."""
        instruments, events = block.parts[part]
        is_asked = self._asker.space.is_asked(block.expected, events, instruments)
        ask = Ask(
            block.record_ids,
            0,
            len(block.record_ids),
            instruments,
            events,
            block.expected[is_asked],
        )
        answers = self._spool.load(block.number, part)
        if answers is not None:
            with self._lock:
                self._from_disk += 1
            return self._asker.read(ask, answers)
        answers, rows = self._asker.ask(ask)
        self._spool.save(block.number, part, answers)
        return rows

    def _assemble(self, block: _Block, pieces: Sequence[Rows]) -> Rows:
        """The rows of a block, without those of records that are gone."""
        rows = assemble(pieces, self._columns, self._asker.space)
        if self._events_of:
            rows = blank_where_not_used(rows, self._columns, self._asker.space, self._events_of)
        gone = [place for place, name in enumerate(block.record_ids) if name in block.gone]
        return rows.without_records(np.array(gone, np.int64), self._asker.space.stride)

    def _begin_counting(self) -> None:
        asked = self._cutter.asked_keys(self._rows)
        progress = self.progress
        progress.records_asked = count_distinct(self._rows.space.records_of(asked))
        progress.cells_planned = len(asked) * len(self._columns)
        progress.records_done = progress.rows = progress.cells = progress.batches_done = 0
        self._asker.counts.replaced.clear()
        self._asker.counts.bytes_received = 0

    def _count(self, block: _Block, rows: Rows) -> None:
        progress, counts = self.progress, self._asker.counts
        records = self._asker.space.records_of(rows.keys)
        progress.records_done += count_distinct(records)
        progress.rows += len(rows.keys)
        progress.cells += len(rows.keys) * len(self._columns)
        progress.batches_done += len(block.parts)
        if not self._rounds:
            progress.batches_resumed = self._from_disk
        progress.batches_split = counts.split
        progress.answers_refused = counts.refused
        progress.bytes_received = counts.bytes_received
        progress.replaced_by_column = Counter(counts.replaced)

    def _read_log(self) -> tuple[ChangeFence | None, set[str], bool]:
        """The log since the fence: where it stands, records touched, whether the design was."""
        if self._fence is None:
            return None, set(), False
        fence, changes = read_changes(self._client, self._project, self._fence)
        is_new_design = any(item.kind == "design" for item in changes)
        return fence, {item.record_id for item in changes if item.kind != "design"}, is_new_design

    def _refuse_new_design(self, is_maybe_new: bool) -> None:
        if is_maybe_new and read_design(self._client).fingerprint != self._project.fingerprint:
            raise ExportError(
                "The study's design was changed while it was exported. Nothing was published; run "
                "it again.",
                retryable=True,
            )

    def _differing(self, listed: RowList) -> set[str]:
        """Records of which other rows are there than are listed."""
        space = self._asker.space
        ids = [name for block in self._blocks for name in block.record_ids]
        numbers = listed.numbers_of(ids)
        received, first = [np.zeros(0, np.int64)], 0
        unlisted: set[str] = set()
        for block in self._blocks:
            own = numbers[first : first + len(block.record_ids)]
            record = space.records_of(block.received)
            is_listed = own[record] >= 0
            unlisted.update(block.record_ids[place] for place in np.unique(record[~is_listed]))
            moved = block.received + (own[record] - record) * space.stride
            received.append(moved[is_listed])
            first += len(block.record_ids)
        expected = self._cutter.asked_keys(listed)
        differing = np.setxor1d(np.concatenate(received), expected)
        places = np.unique(space.records_of(differing))
        return unlisted | {listed.record_ids[place] for place in places}

    def _read_again(self, record_ids: set[str]) -> None:
        """Have records asked for again, in blocks behind the others."""
        self.progress.records_read_again += len(record_ids)
        for block in self._blocks:
            block.gone |= record_ids.intersection(block.record_ids)
        numbers = [n for n, name in enumerate(self._rows.record_ids) if name in record_ids]
        self._cutter = self._cut(self._rows.select(numbers))


def _fence_if_permitted(client: RedcapClient, project: RedcapProject) -> ChangeFence | None:
    try:
        return read_fence(client, project, None)
    except RequestRejectedError as error:
        if error.reason != "not_permitted":
            raise
        return None
