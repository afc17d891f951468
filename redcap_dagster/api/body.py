"""What is remembered of a body while it streams by: enough to judge it, never the whole."""

from dataclasses import dataclass, field

import numpy as np

HEAD_BYTES = 65_536
REFUSAL_BYTES = 16 * 1024 * 1024
"""Of what REDCap says against data: some 150 bytes for each value that it refuses."""
TAIL_BYTES = 4_096
_QUOTE = ord('"')
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer that came in whole, as the judge sees it.

    Attributes:
        status: HTTP status.
        headers: Header names in lower case.
        head: First bytes of the body, up to `HEAD_BYTES` (of a refused change `REFUSAL_BYTES`),
            without a byte-order mark.
        tail: Last bytes of the body, up to `TAIL_BYTES`.
        size: Bytes of the body, without a byte-order mark.
        has_odd_quotes: Whether the number of `"` in the body was counted and is odd: a quoted cell
            of a csv was never closed.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    head: bytes = field(default=b"", repr=False)
    tail: bytes = field(default=b"", repr=False)
    size: int = 0
    has_odd_quotes: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether the body holds nothing but white space."""
        return self.size <= len(self.head) and not self.head.strip()


class BodyWatch:
    """Sees the pieces of a body go by, and takes a byte-order mark off the first.

    Args:
        is_file: Whether the body is a file, of which nothing is taken off.
        counts_quotes: Whether to look at every byte for quotes.
        head_bytes: How much of the start is kept.
    """

    def __init__(
        self, *, is_file: bool = False, counts_quotes: bool = True, head_bytes: int = HEAD_BYTES
    ) -> None:
        self._counts_quotes = counts_quotes
        self._head_bytes = head_bytes
        self._start: bytes | None = None if is_file else b""
        self._head = bytearray()
        self._tail = b""
        self._size = 0
        self._has_odd_quotes = False

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
            has_odd_quotes=self._has_odd_quotes,
        )

    def _note(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._counts_quotes:
            self._has_odd_quotes ^= _has_odd_quotes(piece)
        room = self._head_bytes - len(self._head)
        if room > 0:
            self._head += piece[:room]
        self._tail = (self._tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]


def _has_odd_quotes(piece: bytes) -> bool:
    """Whether the number of `"` in a piece is odd.

    Eight marks at a time, as this is most of the cost of judging: `piece.count` takes eight times
    as long (benchmarks/README.md).
    """
    marks = np.frombuffer(piece, np.uint8) == _QUOTE
    whole = marks.size - marks.size % 8
    folded = int(np.bitwise_xor.reduce(marks[:whole].view(np.uint64)))
    return bool((folded.bit_count() + int(np.count_nonzero(marks[whole:]))) % 2)
