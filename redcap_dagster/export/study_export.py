"""Carries out an export: blocks side by side, kept on disk, proven to be all there is."""

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from typing_extensions import Self

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError, ExportError, RequestRejectedError
from redcap_dagster.export.asking import Ask, Asker, Sent
from redcap_dagster.export.assemble import (
    Rows,
    assemble,
    blank_where_not_used,
    without_unlisted_blanks,
)
from redcap_dagster.export.blocks import Block, BlockList
from redcap_dagster.export.changes import ChangeFence
from redcap_dagster.export.look import LogNews, Look, Looker
from redcap_dagster.export.progress import ExportProgress
from redcap_dagster.export.row_keys import RowList, count_distinct
from redcap_dagster.export.row_list import view_changed
from redcap_dagster.export.selection import RecordOrder, RecordSelection
from redcap_dagster.export.series import ExportSeries
from redcap_dagster.export.settings import ExportSettings
from redcap_dagster.export.side_by_side import Fetching, SideBySide
from redcap_dagster.export.spool import Answer, Spool
from redcap_dagster.project import RedcapProject

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_MOST_ROUNDS = 8
_HELD_CELLS = 4_000_000
"""Cells of blocks that are under way or wait to be taken, about 40 MB of text."""


class StudyExport:
    """Reads what a selection holds, as the state of one moment.

    A context manager::

        with StudyExport(client, project, spool=folder) as export:
            while True:
                for rows in export.chunks():
                    …                              # Arrow, text, whole records
                if export.settle():                # nothing changed while they were asked for
                    break                          # else: once more, mostly from disk
            publish(export.facts())
            export.done()

    Args:
        client: Where to ask.
        project: The study's design as it is on the server now.
        selection: What of the records; None for all.
        instruments: Unique names of the instruments to ask for; None for all.
        order: The order in which records come; None for the server's. Those that are read again
            come last, in the same order.
        settings: How the export is cut.
        series: What exports of one run that follow each other hand on; None where there is one.
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
        order: RecordOrder | None = None,
        settings: ExportSettings | None = None,
        series: ExportSeries | None = None,
        spool: Path | None = None,
        progress: ExportProgress | None = None,
    ) -> None:
        self._settings = settings or ExportSettings()
        self._stopped = threading.Event()
        client = client.with_concurrency(self._settings.concurrency).until(self._stopped)
        self._client = client
        self._project = project
        self._selection = selection or RecordSelection()
        self._asked_instruments = None if instruments is None else tuple(instruments)
        self._order = order
        self._series = series or ExportSeries.begin(project, self._settings)
        self._lists = self._series.lists
        self._looker = Looker(client, project, self._selection, self._lists)
        self._spool_folder = spool
        self.progress = progress if progress is not None else ExportProgress()
        self._pace = self._series.pace
        self._asker = Asker(client, project, self._pace, self._stopped)
        self._events_of = (
            {item.name: project.events_of(item.name) for item in project.instruments}
            if project.events
            else {}
        )
        self._rows: RowList
        self._rounds = 0
        self._lock = threading.Lock()
        self._ahead: Look | None = None
        self._from_disk = 0
        self._asked_blocks: set[int] = set()
        self._moment_is_assured = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            folder = self._spool_folder or Path(
                on_failure.enter_context(TemporaryDirectory(prefix="redcap-export-"))
            )
            self._spool = on_failure.enter_context(Spool(folder, self._key()))
            on_failure.callback(self._looker.close)
            self._began = datetime.now(timezone.utc)
            self._blocks = BlockList(
                self._project,
                self._spool,
                instruments=self._asked_instruments,
                events=self._selection.events,
                order=self._order,
            )
            self._begin()
            self._columns = self._asker.columns(self._blocks.instruments)
            self._stack = on_failure.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Without the log, or a folder that stays, nothing is taken up again.
        is_kept = self._fence and self._spool_folder and self._spool.leaves_answers
        self._stack.close()
        if kind is not None and is_kept:
            logger.warning("What has come is kept: the same export goes on there when run again.")

    @property
    def rows(self) -> RowList:
        """The rows that are to be exported, as last listed."""
        return self._rows

    @property
    def fence(self) -> ChangeFence | None:
        """Up to where the project's log is in the export; None without the Logging right."""
        return self._fence

    def chunks(self, *, looks_ahead: bool = False) -> Iterator[pa.Table]:
        """The rows, all rows of a record in one piece, in the server's order or the one given.

        They are asked for from now on, and not only when the first is taken. At most
        `concurrency` requests are under way; what was asked for before comes from disk.

        Args:
            looks_ahead: Whether what `settle` asks is asked as soon as the last answer is there,
                while the caller deals with it. `settle` then speaks of that moment.

        Returns:
            Tables of every export column of the asked instruments, all text; "" is blank, and a
            column that the server may leave out and did is null. To be gone through once.

        Raises:
            ApiError: While they are gone through: REDCap refused, or did not answer.
            ExportError: As well: one record and instrument could not be exported.
        """
        self._begin_counting()
        self._stopped.clear()
        when_asked = self._look_ahead if looks_ahead else _do_nothing
        fetched = SideBySide(
            self._blocks.each(self._pace),
            Fetching(self._ask, self._read, when_asked, self._stopped.set),
            concurrency=self._settings.concurrency,
            most_rows=_HELD_CELLS // len(self._columns),
        )
        self._stack.callback(fetched.close)
        return self._put_together(fetched)

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
        look, self._ahead = self._ahead, None
        if look is None or look.sent is None or look.sent != self._asker.sent_before_now:
            look = self._look()
        log = look.log.result()
        self._refuse_new_design(log)
        rows = look.rows.result()
        self._refuse_another_view(rows)
        fence, touched = log.fence, set(log.touched)
        if log.touches_design and rows.shows_groups:  # a group may have another name, or be gone
            touched |= {*rows.record_ids, *self._rows.record_ids}
        logged = touched.intersection(rows.record_ids) | self._blocks.known(touched)
        if touched - logged:  # perhaps made when the list was read, and before the log was
            rows = self._lists.list_now(self._client, self._selection)
            logged |= touched.intersection(rows.record_ids)
        differing = self._blocks.differing(rows)
        self._refuse_if_nothing_came(differing)
        self._rows = rows
        self._count_asked()  # what was deleted before it came is expected no more
        if not differing and not logged:
            self._fence = self._series.fence = fence
            self._moment_is_assured = fence is not None
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
        self.progress.records_read_again += len(differing | logged)
        self._blocks.read_again(differing | logged, rows)
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
            *(() if self._order is None else (self._order.name,)),
        )

    def _begin(self) -> None:
        """List the rows, and take up what a killed run has left."""
        left = self._spool.resume()
        if left is not None and left["fence"] is not None:
            self._fence = ChangeFence.from_plain(left["fence"])
            log = _if_permitted(partial(self._looker.read_log, self._fence))
            if log is not None:
                self._refuse_new_design(log)
            # What came before groups were renamed is of no use; nor is it without the log.
            if log is not None and not log.touches_design:
                self._take_up(log)
                return
        # Side by side: of rows that come or go between the two, the second list tells.
        with ThreadPoolExecutor(2, thread_name_prefix="redcap-begin") as pool:
            fence = pool.submit(self._first_fence)
            rows = pool.submit(self._lists.list_before, self._client, self._selection)
        self._fence, self._rows = fence.result(), rows.result()
        # Without the log it could not be found out what changed since a killed run.
        self._spool.begin({"fence": self._fence.to_plain() if self._fence else None})
        self._blocks.begin(self._rows)

    def _first_fence(self) -> ChangeFence | None:
        """Where the log stands; None without the right. The design may be an old one by now."""
        last = self._series.fence
        read = self._looker.read_log_first
        log = _if_permitted(read if last is None else partial(self._looker.read_log, last))
        if log is None:
            return None
        self._refuse_new_design(log)
        return log.fence

    def _take_up(self, log: LogNews) -> None:
        self._fence = log.fence
        self._rows = self._lists.list_before(self._client, self._selection)
        kept = self._blocks.take_up(self._rows, log.touched)
        logger.info("Going on with an export that was not finished: %d records were there.", kept)

    def _ask(self, block: Block, part: int) -> Sent | list[Answer]:
        """What came for a part, or the answers to it that are on disk."""
        answers = self._spool.load(block.number, part)
        if answers is not None:
            return answers
        self._asked_blocks.add(block.number)
        return self._asker.send(self._what(block, part))

    def _read(self, block: Block, part: int, came: Sent | list[Answer]) -> Rows:
        """The rows of a part. Of what is on disk, nothing is asked for."""
        ask = self._what(block, part)
        if not isinstance(came, Sent):
            try:
                rows = self._asker.read(ask, came)
            except AnswerError:  # another version of this package believed it
                self._asked_blocks.add(block.number)
                came = self._asker.send(ask)
            else:
                with self._lock:
                    self._from_disk += 1
                return rows
        answers, rows = self._asker.answers_to(ask, came)
        self._spool.save(block.number, part, answers)
        return rows

    def _what(self, block: Block, part: int) -> Ask:
        """What a part asks for."""
        instruments, events = block.parts[part]
        is_asked = self._asker.space.is_asked(block.expected, events, instruments)
        count = len(block.record_ids)
        return Ask(block.record_ids, 0, count, instruments, events, block.expected[is_asked])

    def _put_together(self, fetched: SideBySide[Sent | list[Answer]]) -> Iterator[pa.Table]:
        with closing(fetched):
            for block, pieces in fetched.in_order():
                block.received = block.torn = np.zeros(0, np.int64)
                if pieces:
                    rows = self._assemble(block, pieces)
                    block.received, block.torn = rows.keys, rows.torn
                    self._count(block, rows)
                    yield rows.table

    def _assemble(self, block: Block, pieces: Sequence[Rows]) -> Rows:
        """The rows of a block, without those of records that are gone."""
        rows = assemble(pieces, self._columns, self._asker.space)
        rows = without_unlisted_blanks(rows, self._columns, block.expected)
        if self._events_of:
            rows = blank_where_not_used(rows, self._columns, self._asker.space, self._events_of)
        if not block.gone:
            return rows
        gone = [place for place, name in enumerate(block.record_ids) if name in block.gone]
        return rows.where(~np.isin(self._asker.space.records_of(rows.keys), gone))

    def _look_ahead(self) -> None:
        self._ahead = self._look()

    def _look(self) -> Look:
        return self._looker.look(self._fence, self._asker.sent_before_now)

    def _count_asked(self) -> None:
        asked = self._blocks.asked_keys(self._rows)
        self.progress.records_asked = count_distinct(self._rows.space.records_of(asked))
        self.progress.cells_planned = len(asked) * len(self._columns)

    def _begin_counting(self) -> None:
        self._count_asked()
        progress = self.progress
        progress.records_done = progress.rows = progress.cells = progress.batches_done = 0
        progress.records_from_disk = 0
        self._asked_blocks.clear()
        self._asker.counts.replaced.clear()
        self._asker.counts.bytes_received = 0

    def _count(self, block: Block, rows: Rows) -> None:
        progress, counts = self.progress, self._asker.counts
        records = count_distinct(self._asker.space.records_of(rows.keys))
        progress.records_done += records
        if block.number not in self._asked_blocks:
            progress.records_from_disk += records
        progress.rows += len(rows.keys)
        progress.cells += len(rows.keys) * len(self._columns)
        progress.batches_done += len(block.parts)
        if not self._rounds:
            progress.batches_resumed = self._from_disk
        progress.batches_split = counts.split
        progress.answers_refused = counts.refused
        progress.bytes_received = counts.bytes_received
        progress.replaced_by_column = Counter(counts.replaced)

    def _refuse_new_design(self, log: LogNews) -> None:
        if log.has_new_design:
            self._spool.clear()  # what was asked by the old design is of no use to a later run
            raise ExportError(
                "The study's design was changed while it was exported. Nothing was published; run "
                "it again.",
                retryable=True,
            )

    def _refuse_if_nothing_came(self, differing: Collection[str]) -> None:
        """Refuse a study of which every record is listed, before and after, and none comes."""
        asked = self._rows.record_ids
        if asked and not self.progress.rows and set(asked) <= set(differing):
            self._spool.clear()
            raise ExportError(
                f"REDCap lists {len(asked)} records, and exports none of them when they are asked "
                "for by these ids. Where the token's user gets record ids hashed (User Rights), "
                "the study cannot be exported with this token."
            )

    def _refuse_another_view(self, rows: RowList) -> None:
        """Refuse what was seen partly from inside a data access group, and partly from outside."""
        views = {self._rows.shows_groups, rows.shows_groups, *self._asker.shows_groups}
        # Inside a group without records nothing is listed; in a study that was emptied as well.
        is_in_doubt = rows.shows_groups is None and True in views
        if len(views - {None}) > 1 or is_in_doubt:
            self._spool.clear()
            raise view_changed()


def _do_nothing() -> None:
    """Look later."""


def _if_permitted(ask: Callable[[], Result]) -> Result | None:
    """What REDCap answers; None without the right."""
    try:
        return ask()
    except RequestRejectedError as error:
        if error.reason != "not_permitted":
            raise
        return None
