"""Where the rows of a table stand in the study, and finding a row by its place: a join.

A place is (record, event, repeating instrument, instance). Each is a whole number here, and the
four together one sorted key, so that a million rows find their partners in one search.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redcap_dagster.errors import ConfigError
from redcap_dagster.logic.row_references import parse_instance

Integers = npt.NDArray[np.int64]

NOWHERE = -1
_KEY_LIMIT = 2**63


@dataclass(frozen=True)
class Codes:
    """Names as whole numbers.

    Attributes:
        names: Distinct names; the code of a name is its place.
        codes: Code of each row.
    """

    names: tuple[str, ...]
    codes: Integers

    @classmethod
    def of(cls, texts: pa.Array, known: Iterable[str]) -> "Codes":
        """Codes of a column of names: those known first, then others that it holds."""
        encoded = texts.dictionary_encode()
        found = encoded.dictionary.to_pylist()
        names = tuple(dict.fromkeys([*known, *found]))
        place = {name: code for code, name in enumerate(names)}
        codes = np.array([place[name] for name in found], dtype=np.int64)
        return cls(names, codes[encoded.indices.to_numpy()] if len(found) else codes)

    def code(self, name: str | None) -> int:
        """Code of a name; `NOWHERE` if there is none."""
        return self.names.index(name) if name in self.names else NOWHERE

    def tabulate(self, function: Callable[[str], int]) -> Integers:
        """A number for each row, computed once for each name."""
        numbers = np.array([function(name) for name in self.names], dtype=np.int64)
        return numbers[self.codes]


class RowPlaces:
    """The places of a table's rows.

    Args:
        records: Record id of each row.
        events: Event of each row.
        instruments: Repeating instrument of each row, "" on other rows.
        instances: Instance number of each row as text, "" on rows that are no instance.
        known_events: Events of the study, in order.
        known_instruments: Instruments of the study.

    Raises:
        ConfigError: Instance numbers are too large to be any.
    """

    def __init__(
        self,
        records: pa.Array,
        events: pa.Array,
        instruments: pa.Array,
        instances: pa.Array,
        *,
        known_events: Iterable[str],
        known_instruments: Iterable[str],
    ) -> None:
        self.record = Codes.of(records, ())
        self.event = Codes.of(events, known_events)
        self.instrument = Codes.of(instruments, ["", *known_instruments])
        texts = Codes.of(instances, ())
        self.instance = texts.tabulate(lambda text: min(parse_instance(text), _KEY_LIMIT - 1))
        self._width = int(self.instance.max(initial=0)) + 2
        sizes = [len(codes.names) for codes in (self.record, self.event, self.instrument)]
        if np.prod([float(size) for size in (*sizes, self._width)]) >= _KEY_LIMIT:
            raise ConfigError("The table holds repeat instance numbers that are too large.")

    def __len__(self) -> int:
        return len(self.instance)

    def find(self, event: Integers, instrument: Integers, instance: Integers) -> Integers:
        """Row of the same record at a place, seen from each row.

        Args:
            event: Code of the event looked for; `NOWHERE` for none.
            instrument: Code of the repeating instrument looked for.
            instance: Instance number looked for, 0 for a row that is no instance.

        Returns:
            Place of the row in the table; `NOWHERE` where there is none. A row that is itself
            there finds itself, else the first such row is found.
        """
        is_possible = (event >= 0) & (instrument >= 0) & (instance < self._width)
        key = self._key(event, instrument, instance)
        found = np.where(is_possible & (key == self._own_keys), np.arange(len(self)), NOWHERE)
        is_elsewhere = is_possible & (found == NOWHERE)
        found[is_elsewhere] = self._search(key[is_elsewhere])
        return found

    def first_instance(self, event: Integers, instrument: Integers) -> Integers:
        """Smallest instance number at a place; 0 where there is none."""
        prefix = self._key(event, instrument, np.zeros_like(event))
        place = np.searchsorted(self._sorted_keys, prefix + 1)
        return self._number_at(place, prefix, is_possible=(event >= 0) & (instrument >= 0))

    def last_instance(self, event: Integers, instrument: Integers) -> Integers:
        """Largest instance number at a place; 0 where there is none."""
        prefix = self._key(event, instrument, np.zeros_like(event))
        place = np.searchsorted(self._sorted_keys, prefix + self._width) - 1
        return self._number_at(place, prefix, is_possible=(event >= 0) & (instrument >= 0))

    def _number_at(
        self, place: Integers, prefix: Integers, *, is_possible: npt.NDArray[np.bool_]
    ) -> Integers:
        if not len(self):
            return np.zeros_like(prefix)
        inside = np.clip(place, 0, len(self) - 1)
        number = self._sorted_keys[inside] - prefix
        is_there = is_possible & (inside == place) & (number > 0) & (number < self._width)
        return np.where(is_there, number, 0)

    def _search(self, keys: Integers) -> Integers:
        if not len(self):
            return np.full(len(keys), NOWHERE)
        place = np.minimum(np.searchsorted(self._sorted_keys, keys), len(self) - 1)
        return np.where(self._sorted_keys[place] == keys, self._order[place], NOWHERE)

    def _key(self, event: Integers, instrument: Integers, instance: Integers) -> Integers:
        by_event = self.record.codes * len(self.event.names) + event
        by_instrument = by_event * len(self.instrument.names) + instrument
        key: Integers = by_instrument * self._width + instance
        return key

    @cached_property
    def _own_keys(self) -> Integers:
        return self._key(self.event.codes, self.instrument.codes, self.instance)

    @cached_property
    def _order(self) -> Integers:
        return np.argsort(self._own_keys, kind="stable")

    @cached_property
    def _sorted_keys(self) -> Integers:
        return self._own_keys[self._order]
