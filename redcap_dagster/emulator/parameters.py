"""Request parameters as PHP would see them: texts, flags and arrays."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

_NUMBER = re.compile(r"[0-9]{1,18}")
_INDEXED = re.compile(r"(?P<name>[^\[]+)\[(?P<index>[^\]]*)\]")


@dataclass(frozen=True)
class Upload:
    """A file sent with a request; open only while the request is answered."""

    name: str
    mime_type: str
    file: BinaryIO


class Parameters:
    """The form fields of one request. Names are case-sensitive, as REDCap's are.

    Attributes:
        uploads: The files sent with the request, by name of the form field.
    """

    def __init__(
        self, pairs: Iterable[tuple[str, str]], uploads: Mapping[str, Upload] | None = None
    ) -> None:
        self.uploads = uploads or {}
        self._texts: dict[str, str] = {}
        self._arrays: dict[str, dict[str, str]] = {}
        behind: dict[str, int] = {}  # where PHP puts a value without an index
        for name, value in pairs:
            indexed = _INDEXED.fullmatch(name)
            if indexed is None:
                self._texts[name] = value
            else:
                array = self._arrays.setdefault(indexed["name"], {})
                index = indexed["index"] or str(behind.get(indexed["name"], 0))
                array[index] = value
                if _NUMBER.fullmatch(index):
                    last = max(int(index) + 1, behind.get(indexed["name"], 0))
                    behind[indexed["name"]] = last

    def __repr__(self) -> str:
        """Names only: values can hold a token or data."""
        return f"Parameters({sorted({*self._texts, *self._arrays})})"

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield the names and values that were kept; an array's name once for each value."""
        yield from self._texts.items()
        for name, array in self._arrays.items():
            for value in array.values():
                yield name, value

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as it was sent, or `default` when it is absent or blank."""
        return self._texts.get(name, "") or default

    def word(self, name: str, default: str = "") -> str:
        """Return a parameter that names one of a few options, in lower case and trimmed."""
        return self.text(name).strip().lower() or default

    def flag(self, name: str) -> bool:
        """Return whether a parameter is `true` or `1`, in any case."""
        return self.word(name) in {"true", "1"}

    def names(self, name: str) -> tuple[str, ...]:
        """Return an array, sent as `x[0]`, `x[]` or one comma-separated text; blanks left out."""
        if name in self._arrays:
            parts: Iterable[str] = self._arrays[name].values()
        else:
            parts = self._texts.get(name, "").split(",")
        return tuple(part.strip() for part in parts if part.strip())

    def __contains__(self, name: str) -> bool:
        """Whether the parameter was sent with a value."""
        return bool(self._texts.get(name)) or name in self._arrays
