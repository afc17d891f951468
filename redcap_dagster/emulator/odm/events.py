"""Walks an XML file as a stream of starts and ends; refuses entities and document types."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from redcap_dagster.emulator.errors import ProjectFileError
from redcap_dagster.emulator.odm.attributes import AttributeLineBreaks

_CHUNK_BYTES = 1 << 18
_BYTE_ORDER_MARKS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_PREFIXES = {"https://projectredcap.org": "redcap:"}


class Start(NamedTuple):
    """An element begins."""

    tag: str
    attributes: dict[str, str]


class End(NamedTuple):
    """An element ends; `text` is the character data directly before its end tag."""

    tag: str
    text: str


def iter_xml(file: BinaryIO, name: str) -> Iterator[Start | End]:
    """Yield the elements of `file` in document order.

    Names lose their namespace, except that REDCap's get the prefix `redcap:`.

    Args:
        file: The open file.
        name: What messages call it.

    Raises:
        ProjectFileError: The file is empty, cut off, not XML, or declares a document type or
            entities (a door to other files, and to bodies that grow without bound).
    """
    walker = _Walker(name)
    line_breaks = AttributeLineBreaks()
    first = True
    while chunk := file.read(_CHUNK_BYTES):
        if first and chunk.startswith(_BYTE_ORDER_MARKS_OF_UTF_16):
            raise ProjectFileError(f"{name} is not UTF-8, which every REDCap writes.")
        first = False
        yield from walker.feed(line_breaks.feed(chunk))
    if first:
        raise ProjectFileError(f"{name} is empty.")
    yield from walker.feed(line_breaks.rest())
    yield from walker.finish()


class _ShortNames(dict[str, str]):
    """Expanded name → short name; a file has few names and millions of uses of them."""

    def __missing__(self, name: str) -> str:
        namespace, _, local = name.rpartition(" ")
        self[name] = _PREFIXES.get(namespace, "") + local
        return self[name]


class _Walker:
    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[Start | End] = []
        self._text: list[str] = []
        self._names = _ShortNames()
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse

    def feed(self, data: bytes) -> list[Start | End]:
        return self._parse(data, final=False)

    def finish(self) -> list[Start | End]:
        return self._parse(b"", final=True)

    def _parse(self, data: bytes, *, final: bool) -> list[Start | End]:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise ProjectFileError(self._broken(error, final=final)) from error
        found, self._found = self._found, []
        return found

    def _broken(self, error: expat.ExpatError, *, final: bool) -> str:
        if final and error.lineno > 1:
            return (
                f"{self._name} ends in the middle, at line {error.lineno}: the file is cut off. "
                "Download it from REDCap again."
            )
        reason = expat.ErrorString(error.code)
        return f"{self._name} is not a REDCap project XML: {reason} at line {error.lineno}."

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._text.clear()
        names = self._names
        named = {names[name]: value for name, value in attributes.items()}
        self._found.append(Start(names[tag], named))

    def _end(self, tag: str) -> None:
        self._found.append(End(self._names[tag], "".join(self._text)))
        self._text.clear()

    def _refuse(self, *_: object) -> None:
        raise ProjectFileError(
            f"{self._name} declares a document type or entities, which no REDCap writes and which "
            "can reach other files: it was not loaded."
        )
