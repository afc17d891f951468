"""Fetches the parts of blocks side by side, and hands the blocks on in their order."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from redcap_dagster.export.assemble import Rows
from redcap_dagster.export.blocks import Block

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_SLOW_S = 0.1
"""An answer that took longer is read by others, while who asked for it asks for the next: a server
should not wait for us. One that came at once is read at once, while the CPU's cache holds it."""


@dataclass(frozen=True, slots=True)
class Fetching(Generic[Answer]):
    """How the parts of blocks are fetched.

    Attributes:
        ask: Gives the answer to a block's part, by its number; called in several threads.
        read: Gives the rows of an answer; called in several threads.
        when_asked: Called when the last answer has come, and is perhaps not read yet.
        give_up: Called when no more is wanted before the end: `ask` and `read` should end soon.
    """

    ask: Callable[[Block, int], Answer]
    read: Callable[[Block, int, Answer], Rows]
    when_asked: Callable[[], None]
    give_up: Callable[[], None]


class SideBySide(Generic[Answer]):
    """Fetches the parts of all blocks, at most so many at once, from the moment it is made.

    A block is taken when there is somebody to ask for it, so that its size can follow what the
    answers before it have shown.

    Args:
        blocks: Taken by one thread at a time.
        fetching: How a part is fetched.
        concurrency: Parts that are asked for at once.
        most_rows: No block is taken while those that wait to be handed on have so many rows.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        fetching: Fetching[Answer],
        *,
        concurrency: int,
        most_rows: int,
    ) -> None:
        self._fetching = fetching
        self._readers = ThreadPoolExecutor(concurrency, thread_name_prefix="redcap-read")
        self._askers = ThreadPoolExecutor(concurrency, thread_name_prefix="redcap-ask")
        self._desk = _Desk(blocks, fetching, self._readers, concurrency, most_rows)
        self._asking = [self._askers.submit(self._desk.work) for _ in range(concurrency)]

    def in_order(self) -> Iterator[tuple[Block, list[Rows]]]:
        """The blocks, once.

        Yields:
            Each block in turn, with the rows of its parts; none where no row of it is used.

        Raises:
            Exception: What `blocks` or `fetching` raised first. Nothing more is taken then.
        """
        yield from self._desk.take_in_order()
        wait((*self._asking, *self._desk.reading))
        if self._desk.failure is not None:
            raise self._desk.failure

    def close(self) -> None:
        """Take nothing more, and wait for what is under way. Again does nothing."""
        self._desk.close()
        if not all(future.done() for future in (*self._asking, *self._desk.reading)):
            logger.warning("Stopping as soon as the requests that are under way have ended.")
            self._fetching.give_up()
        self._askers.shutdown()
        self._readers.shutdown()


class _Desk(Generic[Answer]):
    """Where those who ask take parts, and those who read leave their rows."""

    def __init__(
        self,
        blocks: Iterator[Block],
        fetching: Fetching[Answer],
        readers: ThreadPoolExecutor,
        askers: int,
        most_rows: int,
    ) -> None:
        self.reading: list[Future[None]] = []
        self.failure: BaseException | None = None
        self._blocks = blocks
        self._fetching = fetching
        self._readers = readers
        self._askers = askers
        self._most_rows = most_rows
        self._changed = threading.Condition()
        self._parts: deque[tuple[_Open, int]] = deque()
        self._open: deque[_Open] = deque()
        self._is_last_taken = False
        self._is_closed = False

    def work(self) -> None:
        """Ask for parts until there are no more."""
        try:
            while (taken := self._take_part()) is not None:
                self._fetch(*taken)
            if self._is_last_to_ask():
                self._fetching.when_asked()
        except BaseException as error:
            self._fail(error)
            raise

    def take_in_order(self) -> Iterator[tuple[Block, list[Rows]]]:
        """Blocks that are whole, the first first; ends early where something failed."""
        while (waiting := self._take_block()) is not None:
            yield waiting.block, [rows for rows in waiting.pieces if rows is not None]

    def close(self) -> None:
        """Give out no more parts."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _fetch(self, waiting: "_Open", part: int) -> None:
        began = time.monotonic()
        answer = self._fetching.ask(waiting.block, part)
        if time.monotonic() - began > _SLOW_S:
            self.reading.append(self._readers.submit(self._leave, waiting, part, answer))
        else:
            self._leave(waiting, part, answer)

    def _leave(self, waiting: "_Open", part: int, answer: Answer) -> None:
        try:
            if self._is_closed:
                return
            rows = self._fetching.read(waiting.block, part, answer)
            with self._changed:
                waiting.pieces[part] = rows
                self._changed.notify_all()
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        """End all; what fails because something else has is no failure of its own."""
        with self._changed:
            if self._is_closed:
                return
            self.failure = error
            self.close()
        self._fetching.give_up()

    def _is_last_to_ask(self) -> bool:
        with self._changed:
            self._askers -= 1
            return not self._askers and not self._is_closed

    def _take_part(self) -> "tuple[_Open, int] | None":
        with self._changed:
            while not self._is_closed:
                if self._parts:
                    return self._parts.popleft()
                if self._is_last_taken:
                    return None
                if self._has_room():
                    self._open_next()
                else:
                    self._changed.wait()
            return None

    def _has_room(self) -> bool:
        held = sum(len(waiting.block.expected) for waiting in self._open)
        return not held or held < self._most_rows

    def _open_next(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self._is_last_taken = True
        else:
            waiting = _Open(block)
            self._open.append(waiting)
            self._parts.extend((waiting, part) for part in range(len(waiting.pieces)))
        self._changed.notify_all()

    def _take_block(self) -> "_Open | None":
        with self._changed:
            while not self._is_closed:
                if self._open and self._open[0].is_whole:
                    self._changed.notify_all()  # there is room for another
                    return self._open.popleft()
                if self._is_last_taken and not self._open:
                    return None
                self._changed.wait()
            return None


class _Open:
    """A block that was taken, with a place for the rows of each part."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.pieces: list[Rows | None] = [] if block.is_gone else [None] * len(block.parts)

    @property
    def is_whole(self) -> bool:
        """Whether all rows have come."""
        return all(rows is not None for rows in self.pieces)
