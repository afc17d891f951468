"""Asks for one part of a block until its answer is whole: again, in halves, down to one record."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError, ApiError, ExportError
from redcap_dagster.export.assemble import Rows, assemble
from redcap_dagster.export.chunks import Chunk, read_chunk
from redcap_dagster.export.pace import Pace
from redcap_dagster.export.plan import Batch
from redcap_dagster.export.row_keys import GROUP_COLUMN, Keys, RowKeySpace, are_among
from redcap_dagster.export.spool import Answer
from redcap_dagster.project import ExportColumn, RedcapProject, plan_export_columns

logger = logging.getLogger(__name__)

_TRIES = 3
"""How often an answer that is not what was asked for is asked for again."""

_TRIES_OF_THE_SMALLEST = 5
"""The same for one record and one instrument, which cannot be halved."""

_LESS_CANNOT_HELP = frozenset(
    {
        "address_banned",
        "column_missing",
        "connect_timeout",
        "connection_refused",
        "database_down",
        "name_not_resolved",
        "proxy",
        "redirected",
        "tls",
        "too_many_requests",
    }
)
"""Reasons of an `ApiError` that have nothing to do with how much was asked for."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for: a part of a block, or a piece of one. Its `repr` shows no id.

    Attributes:
        record_ids: Every record of the block.
        first: Number of the first record that is asked for.
        last: Number after the last.
        instruments: Instruments asked for; () for the columns of the whole row alone.
        events: Unique names of the events asked for; None for all.
        expected: Keys of the rows that are listed for these; records counted within the block.
    """

    record_ids: tuple[str, ...] = field(repr=False)
    first: int
    last: int
    instruments: tuple[str, ...]
    events: tuple[str, ...] | None
    expected: Keys = field(repr=False)

    @property
    def batch(self) -> Batch:
        """The same for the request."""
        return Batch(self.record_ids[self.first : self.last], self.instruments, self.events)

    def halves(self, space: RowKeySpace) -> tuple["Ask", "Ask"] | None:
        """Two smaller ones, by records and then by instruments; None when it is the smallest."""
        if self.last - self.first > 1:
            middle = (self.first + self.last) // 2
            cut = np.searchsorted(self.expected, middle * space.stride)
            return (
                replace(self, last=middle, expected=self.expected[:cut]),
                replace(self, first=middle, expected=self.expected[cut:]),
            )
        if len(self.instruments) > 1:
            half = len(self.instruments) // 2
            return (
                self._of(self.instruments[:half], space),
                self._of(self.instruments[half:], space),
            )
        return None

    def _of(self, instruments: tuple[str, ...], space: RowKeySpace) -> "Ask":
        is_asked = space.is_asked(self.expected, self.events, instruments)
        return replace(self, instruments=instruments, expected=self.expected[is_asked])


@dataclass
class AskingCounts:
    """What went wrong on the way, and was mended. Counts and names of columns only.

    Attributes:
        sent: Requests that were sent.
        ended: Those of them that were answered, or failed.
        bytes_received: Size of the answers that were used.
        split: Requests that were replaced by two smaller ones.
        refused: Answers that were not what was asked for.
        replaced: Export column to cells in which bytes that are not UTF-8 were replaced.
    """

    sent: int = 0
    ended: int = 0
    bytes_received: int = 0
    split: int = 0
    refused: int = 0
    replaced: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one request.

    Attributes:
        outcome: The judged body, or why there is none.
        seconds: How long it took.
    """

    outcome: bytes | ApiError = field(repr=False)
    seconds: float


class Asker:
    """Asks for parts of blocks. Safe to use from several threads.

    Args:
        client: Where to ask.
        project: The study's design.
        pace: Is told what the server bears.
        stopped: Once set, nothing more is asked for.

    Attributes:
        shows_groups: Whether answers named data access groups; two facts where some did not.
    """

    def __init__(
        self, client: RedcapClient, project: RedcapProject, pace: Pace, stopped: threading.Event
    ) -> None:
        self.space = RowKeySpace.of(project)
        self.counts = AskingCounts()
        self.shows_groups: set[bool] = set()
        self._client = client
        self._project = project
        self._pace = pace
        self._stopped = stopped
        self._surveys = project.info.surveys_enabled
        self._lock = threading.Lock()
        # More than one at a time would only take turns at Python's own lock, and hold more memory.
        self._reading = threading.Lock()
        self._columns = lru_cache(maxsize=None)(
            lambda instruments: plan_export_columns(project, instruments)
        )

    @property
    def sent_before_now(self) -> int | None:
        """Requests that were sent, all of which have ended; None while one is on its way."""
        with self._lock:
            return self.counts.sent if self.counts.sent == self.counts.ended else None

    def columns(self, instruments: tuple[str, ...]) -> Sequence[ExportColumn]:
        """Columns of an answer for some instruments, in its order."""
        return self._columns(instruments)

    def send(self, ask: Ask) -> Sent:
        """Ask once. An `ApiError` is not raised: `answers_to` deals with it.

        Raises:
            ExportError: The export was stopped.
        """
        if self._stopped.is_set():
            raise ExportError("The export was stopped.", retryable=True)
        with self._lock:
            self.counts.sent += 1
        began = time.monotonic()
        outcome: bytes | ApiError
        with self._pace.under_way(self._cells(ask)):
            try:
                outcome = self._export(ask.batch)  # the client retries what a retry can help
            except ApiError as error:
                outcome = error
        with self._lock:
            self.counts.ended += 1
        return Sent(outcome, time.monotonic() - began)

    def answers_to(self, ask: Ask, sent: Sent) -> tuple[list[Answer], Rows]:
        """Ask again, and for less, until every answer is whole.

        Args:
            ask: What is asked for.
            sent: What came of it the first time.

        Returns:
            The answers, by record and then by instrument; and their rows, put together.

        Raises:
            ApiError: REDCap refused, or one record and instrument could not be exported.
        """
        found = self._ask_or_halve(ask, sent)
        return [answer for answer, _ in found], self._join(ask, found)

    def read(self, ask: Ask, answers: Sequence[Answer]) -> Rows:
        """The rows of answers that were kept.

        Raises:
            AnswerError: They are not what was asked for.
        """
        found = []
        for answer in answers:
            piece = replace(
                ask, first=answer.first, last=answer.last, instruments=answer.instruments
            )
            rows, chunk = self._rows(piece, answer.body)
            self._count(chunk)
            found.append((answer, rows))
        return self._join(ask, found)

    def _ask_or_halve(self, ask: Ask, sent: Sent) -> list[tuple[Answer, Rows]]:
        halves = ask.halves(self.space)
        tries = _TRIES if halves else _TRIES_OF_THE_SMALLEST
        try:
            return [self._ask_until_whole(ask, tries, sent)]
        except ApiError as error:
            if not error.retryable or error.reason in _LESS_CANNOT_HELP:
                raise
            if not self._answers_at_all(ask, error):
                raise
            if halves is None:
                raise _too_large(ask, error) from error
            logger.warning(
                "A request for %d records and %d instruments failed (%s); asking for its halves.",
                ask.last - ask.first,
                len(ask.instruments),
                error.reason or type(error).__name__,
            )
        with self._lock:
            self.counts.split += 1
        self._pace.refused(self._cells(ask))
        return [answer for half in halves for answer in self._ask_or_halve(half, self.send(half))]

    def _answers_at_all(self, ask: Ask, error: ApiError) -> bool:
        """Whether REDCap answers the smallest request, where it may be the server that is away."""
        if isinstance(error, AnswerError) or error.reason == "out_of_memory":
            return True  # it has answered
        smallest = replace(ask, last=ask.first + 1, instruments=(), expected=ask.expected[:1])
        return not isinstance(self.send(smallest).outcome, ApiError)

    def _ask_until_whole(self, ask: Ask, tries: int, sent: Sent) -> tuple[Answer, Rows]:
        for attempt in range(1, tries + 1):
            if attempt > 1:
                sent = self.send(ask)
            try:
                if isinstance(sent.outcome, ApiError):
                    raise sent.outcome
                body = sent.outcome
                rows, chunk = self._rows(ask, body)
            except AnswerError:
                if attempt == tries:
                    raise
                self._count_refused()
                continue
            except ApiError as error:
                # Memory runs out by chance too, where much is going on; elsewhere ask for less.
                if error.reason != "out_of_memory" or tries in {_TRIES, attempt}:
                    raise
                self._count_refused()
                continue
            lacking = ask.expected[~are_among(ask.expected, rows.keys)]
            if not len(lacking) or (attempt == 1 and self._are_gone(ask, lacking)):
                break
            if attempt == tries:
                self._refuse_if_most(ask, lacking)
                break
            self._count_refused()
        self._pace.answered(rows.table.num_rows * rows.table.num_columns, sent.seconds)
        self._count(chunk)
        return Answer(ask.first, ask.last, ask.instruments, body), rows

    def _are_gone(self, ask: Ask, lacking: Keys) -> bool:
        """Whether most records were deleted since they were listed: nothing comes for them alone.

        Where only some ids were taken of what was sent, something comes.
        """
        lost = self._lost(lacking)
        if not _are_most(ask, len(lost)):
            return False
        names = tuple(ask.record_ids[number] for number in lost)
        alone = replace(ask, record_ids=names, first=0, last=len(names), expected=lacking)
        body = self.send(alone).outcome
        if isinstance(body, ApiError):
            return False
        chunk = read_chunk(body, alone.batch, self.columns(ask.instruments))
        return not chunk.table.num_rows

    def _refuse_if_most(self, ask: Ask, lacking: Keys) -> None:
        """Refuse an answer that lacks most records: the server took only some of the ids.

        A few records may have been deleted or renamed since they were listed; whether they were
        is found out when everything else is there.
        """
        lost = len(self._lost(lacking))
        if _are_most(ask, lost):
            raise AnswerError(
                f"REDCap's answer lacks {lost} of {ask.last - ask.first} records that it listed.",
                content="record",
                status=200,
                reason="record_missing",
            )

    def _lost(self, lacking: Keys) -> list[int]:
        """Numbers of the records that lack rows."""
        numbers: list[int] = np.unique(self.space.records_of(lacking)).tolist()
        return numbers

    def _count_refused(self) -> None:
        with self._lock:
            self.counts.refused += 1

    def _count(self, chunk: Chunk) -> None:
        with self._lock:
            self.counts.bytes_received += chunk.byte_count
            self.counts.replaced.update(chunk.replaced)
        if chunk.replaced:
            logger.warning(
                "Bytes that are not UTF-8 were replaced in %d cells: %s.",
                sum(chunk.replaced.values()),
                ", ".join(f"{name} {count}" for name, count in chunk.replaced.items()),
            )

    def _rows(self, ask: Ask, body: bytes) -> tuple[Rows, Chunk]:
        with self._reading:
            return self._read_rows(ask, body)

    def _read_rows(self, ask: Ask, body: bytes) -> tuple[Rows, Chunk]:
        chunk = read_chunk(body, ask.batch, self.columns(ask.instruments))
        ids = pc.index_in(
            chunk.table.column(0), value_set=pa.array(ask.batch.record_ids, pa.string())
        )
        numbers = ids.to_numpy().astype(np.int64) + ask.first
        keys = self.space.encode(chunk.table, numbers)
        if len(keys):
            self.shows_groups.add(chunk.table.column(GROUP_COLUMN).null_count == 0)
        rows = Rows(keys, chunk.table, ask.instruments, ask.events).sorted()
        twice = int((np.diff(rows.keys) == 0).sum())
        if twice:
            raise AnswerError(
                f"REDCap's answer holds {twice} rows twice: of the same record, event and "
                "instance.",
                content="record",
                status=200,
                reason="row_twice",
            )
        return rows, chunk

    def _join(self, ask: Ask, found: Sequence[tuple[Answer, Rows]]) -> Rows:
        columns = self.columns(ask.instruments)
        pieces = [
            assemble([rows for _, rows in group], columns, self.space)
            for _, group in groupby(found, key=lambda item: (item[0].first, item[0].last))
        ]
        return Rows(
            np.concatenate([piece.keys for piece in pieces]),
            pa.concat_tables([piece.table for piece in pieces]),
            ask.instruments,
            ask.events,
            np.concatenate([piece.torn for piece in pieces]),
        )

    def _cells(self, ask: Ask) -> int:
        """Cells that the answer should have."""
        return len(ask.expected) * len(self.columns(ask.instruments))

    def _export(self, batch: Batch) -> bytes:
        return self._client.export_records_csv(
            records=batch.record_ids,
            # Without the id field in `fields` the rows could not be told apart (api.md 5.2).
            fields=[self._project.record_id_field],
            forms=batch.instruments or None,
            events=batch.events,
            export_survey_fields=self._surveys,
            export_data_access_groups=True,
            export_blank_for_gray_form_status=True,
        )


def _are_most(ask: Ask, records: int) -> bool:
    return records > 1 and records * 2 > ask.last - ask.first


def _too_large(ask: Ask, error: ApiError) -> ExportError:
    what = f"instrument {ask.instruments[0]}" if ask.instruments else "the record id"
    where = f" in {', '.join(ask.events)}" if ask.events else ""
    is_answer = isinstance(error, AnswerError) or error.reason == "out_of_memory"
    return ExportError(
        f"One record's {what}{where} could not be exported, though nothing else was asked for: "
        f"{error}",
        retryable=not is_answer,
    )
