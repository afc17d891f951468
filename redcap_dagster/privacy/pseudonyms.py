"""What a record id becomes: a pseudonym, and a number of days. Both depend on a secret key."""

import hmac
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

_PSEUDONYM_BYTES = 16
_SHIFT_BYTES = 8


class Pseudonyms:
    """Keyed digests of record ids (HMAC-SHA256). The `repr` shows neither key nor ids.

    Args:
        key: The secret. Who has it can find out which pseudonym a record id has.
        longest_shift_days: Most days a record is moved by.
    """

    def __init__(self, key: bytes, longest_shift_days: int) -> None:
        self._key = key
        self._longest_shift_days = longest_shift_days
        self._pseudonyms: dict[str, str] = {}
        self._record_ids: dict[str, str] = {}

    def of(self, record_id: str) -> str:
        """The pseudonym: 32 hexadecimal digits."""
        found = self._pseudonyms.get(record_id)
        if found is None:
            found = self._digest("record", record_id)[:_PSEUDONYM_BYTES].hex()
            self._pseudonyms[record_id] = found
            self._record_ids[found] = record_id
        return found

    def replace(self, record_ids: pa.ChunkedArray) -> pa.Array:
        """The pseudonym of each record id; null stays null."""
        return _by_distinct(record_ids, self.of, pa.string())

    def restore(self, pseudonyms: pa.ChunkedArray) -> pa.Array:
        """The record id behind each pseudonym that this object made; others stay."""
        return _by_distinct(pseudonyms, self.record_id, pa.string())

    def record_id(self, pseudonym: str) -> str:
        """The record id behind a pseudonym that this object made; another text stays."""
        return self._record_ids.get(pseudonym, pseudonym)

    def shift_days(self, record_ids: pa.ChunkedArray) -> pa.Array:
        """By how many days each record goes back, from 1; null for no record id."""
        return _by_distinct(record_ids, self._days, pa.int64())

    def fingerprint(self) -> str:
        """Twelve digits that tell keys apart, and say nothing else of them."""
        return self._digest("fingerprint", "").hex()[:12]

    def _days(self, record_id: str) -> int:
        number = int.from_bytes(self._digest("days", record_id)[:_SHIFT_BYTES], "big")
        return 1 + number % self._longest_shift_days

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}:{text}".encode(), "sha256")


def _by_distinct(
    column: pa.ChunkedArray | pa.Array,
    function: Callable[[str], str | int],
    arrow_type: pa.DataType,
) -> pa.Array:
    """A function of every text, called once for each distinct one; null stays null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.cast(pa.string()).dictionary_encode()
    results = [function(text) for text in encoded.dictionary.to_pylist()]
    return pc.take(pa.array(results, arrow_type), encoded.indices)
