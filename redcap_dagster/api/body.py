"""What is remembered of a body while it streams by: enough to judge it, never the whole."""

from dataclasses import dataclass, field

import numpy as np

HEAD_BYTES = 65_536
TAIL_BYTES = 4_096
_QUOTE = ord('"')
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer that came in whole, as the judge sees it.

    Attributes:
        status: HTTP status.
        headers: Header names in lower case.
        head: First bytes of the body, up to `HEAD_BYTES`, without a byte-order mark.
        tail: Last bytes of the body, up to `TAIL_BYTES`.
        size: Bytes of the body, without a byte-order mark.
        quotes: How many `"` the body holds; odd means that a quoted cell was never closed.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    head: bytes = field(default=b"", repr=False)
    tail: bytes = field(default=b"", repr=False)
    size: int = 0
    quotes: int = 0

    @property
    def is_blank(self) -> bool:
        """Whether the body holds nothing but white space."""
        return self.size <= len(self.head) and not self.head.strip()


class BodyWatch:
    """Sees the pieces of a body go by, and takes a byte-order mark off the first.

    Args:
        is_file: Whether the body is a file, of which nothing is taken off.
    """

    def __init__(self, *, is_file: bool = False) -> None:
        self._start: bytes | None = None if is_file else b""
        self._head = bytearray()
        self._tail = b""
        self._size = 0
        self._quotes = 0

    def feed(self, piece: bytes) -> bytes:
        """Take note of one piece, and return what of it (and of pieces held back) to write."""
        if self._start is not None:
            piece = self._start + piece
            if len(piece) < len(_BOM):
                self._start = piece
                return b""
            self._start = None
            piece = piece.removeprefix(_BOM)
        self._note(piece)
        return piece

    def finish(self) -> bytes:
        """Return what was held back because the whole body is shorter than a byte-order mark."""
        rest = self._start or b""
        self._start = None
        self._note(rest)
        return rest

    def answer(self, status: int, headers: dict[str, str]) -> Answer:
        """The answer whose body went by."""
        return Answer(
            status=status,
            headers=headers,
            head=bytes(self._head),
            tail=self._tail,
            size=self._size,
            quotes=self._quotes,
        )

    def _note(self, piece: bytes) -> None:
        self._size += len(piece)
        # Four times as fast as `piece.count`, which would be most of the cost of judging.
        self._quotes += int(np.count_nonzero(np.frombuffer(piece, np.uint8) == _QUOTE))
        room = HEAD_BYTES - len(self._head)
        if room > 0:
            self._head += piece[:room]
        self._tail = (self._tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]
