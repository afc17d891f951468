"""Bodies as REDCap writes them: csv like PHP's `fputcsv`, PHP's JSON, and XML."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

XML_HEAD = '<?xml version="1.0" encoding="UTF-8" ?>'
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
}
# What PHP's fputcsv quotes for; Python's `\s` would take in more blanks than PHP's.
_QUOTES_NEEDED = r"\"\\ \t\r\n"
_CHUNK_CHARACTERS = 1 << 16


@dataclass(frozen=True)
class Table:
    """An answer that is a list of rows.

    Attributes:
        columns: Column names, which are the csv header and the JSON keys.
        rows: One sequence of cells for each row, as long as `columns`. Numbers stay numbers in
            JSON; a mapping is an object in JSON and `key:value,…` in csv; None is blank, and left
            out in JSON.
        container: Name of the XML element around the rows.
        cdata: Whether XML values stand in CDATA sections.
        single: Whether JSON is one object, not a list.
        json_line_breaks: Whether JSON rows are joined with a line break.
        csv_final_newline: Whether csv ends with a line break.
        csv_quotes_blanks: Whether csv quotes a text for its blanks alone.
        csv_always_quoted: Columns that csv quotes whatever they hold.
        csv_header_when_empty: Whether csv without rows is its header, not a blank body.
        csv_delimiter: What stands between cells whatever `csvDelimiter` says, or None.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]
    container: str = "items"
    cdata: bool = False
    single: bool = False
    json_line_breaks: bool = False
    csv_final_newline: bool = True
    csv_quotes_blanks: bool = True
    csv_always_quoted: frozenset[str] = frozenset()
    csv_header_when_empty: bool = True
    csv_delimiter: str | None = None


@dataclass(frozen=True)
class Text:
    """An answer that is one text.

    Attributes:
        body: The body as it is sent.
        body_format: Format whose content type it is sent with; None for that of `format`.
    """

    body: str
    body_format: str | None = None


@dataclass(frozen=True)
class File:
    """An answer that is a file.

    Attributes:
        name: Its file name; "" to leave it out of the header.
        mime_type: Such as `image/png`.
        pieces: Its bytes, at least one piece.
    """

    name: str
    mime_type: str
    pieces: Iterator[bytes]

    @property
    def content_type(self) -> str:
        """The header that tells type and name (`text/plain; name="a.txt";charset=UTF-8`)."""
        # Line breaks would end the header; PHP writes the name's UTF-8 bytes as they are.
        name = re.sub(r'[\x00-\x1f\x7f"]', "_", self.name).encode("utf-8", "replace")
        charset = ";charset=UTF-8" if self.mime_type.startswith("text/") else ""
        return f'{self.mime_type}; name="{name.decode("latin-1")}"{charset}'


@dataclass(frozen=True)
class Markup:
    """An answer that is XML whatever `format` says.

    Attributes:
        lines: Its lines, without line breaks at their ends.
    """

    lines: Iterator[str]


Answer = Table | Text | File | Markup


def error_body(message: str, return_format: str) -> str:
    """Return an error body, whose shape depends on `returnFormat` alone."""
    if return_format == "csv":
        return f"ERROR: {message}"
    if return_format == "json":
        return _json({"error": message})
    return f"{XML_HEAD}<hash><error>{escape(message)}</error></hash>"


def body_chunks(answer: Answer, body_format: str, delimiter: str = ",") -> Iterator[bytes]:
    """Yield an answer's body as UTF-8, in pieces that are at least some 64 kB but for the last."""
    if isinstance(answer, Text):
        yield answer.body.encode()
        return
    if isinstance(answer, File):
        yield from answer.pieces
        return
    pieces: Iterator[str]
    if isinstance(answer, Markup):
        pieces = (f"{line}\n" for line in answer.lines)
    elif body_format == "csv":
        pieces = _csv_pieces(answer, answer.csv_delimiter or delimiter)
    elif body_format == "json":
        pieces = _json_pieces(answer)
    else:
        pieces = _xml_pieces(answer)
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _CHUNK_CHARACTERS:
            yield "".join(held).encode("utf-8", "surrogatepass")
            held.clear()
            size = 0
    yield "".join(held).encode("utf-8", "surrogatepass")


def csv_text(table: Table) -> str:
    """Return a table as one csv."""
    return "".join(_csv_pieces(table, ","))


def _csv_pieces(table: Table, delimiter: str) -> Iterator[str]:
    special = _QUOTES_NEEDED if table.csv_quotes_blanks else r"\"\\\r\n"
    quoted = re.compile(f"[{special}{re.escape(delimiter)}]")
    always = {
        position for position, name in enumerate(table.columns) if name in table.csv_always_quoted
    }

    def line(cells: Sequence[Any]) -> str:
        texts = [cell if type(cell) is str else _csv_text(cell) for cell in cells]
        if always or quoted.search("".join(texts)):
            texts = [
                '"' + text.replace('"', '""') + '"'
                if position in always or quoted.search(text)
                else text
                for position, text in enumerate(texts)
            ]
        return delimiter.join(texts)

    # The header is never quoted for its column's sake, only for what it holds.
    header = delimiter.join(
        '"' + name.replace('"', '""') + '"' if quoted.search(name) else name
        for name in table.columns
    )
    empty = True
    for row in table.rows:
        yield f"{header}\n{line(row)}" if empty else f"\n{line(row)}"
        empty = False
    if empty and table.csv_header_when_empty:
        yield header
    if table.csv_final_newline:
        yield "\n"


def _csv_text(cell: Any) -> str:
    if isinstance(cell, dict):
        return ",".join(f"{key}:{value}" for key, value in cell.items())
    return "" if cell is None else str(cell)


def _json_pieces(table: Table) -> Iterator[str]:
    joint = ",\n" if table.json_line_breaks else ","
    if not table.single:
        yield "["
    for position, row in enumerate(table.rows):
        cells = zip(table.columns, row, strict=True)
        text = _json({name: cell for name, cell in cells if cell is not None})
        yield f"{joint}{text}" if position else text
    if not table.single:
        yield "]"


def _json(value: Any) -> str:
    # PHP writes `/` as `\/`; in JSON a slash can only stand inside a text.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def _xml_pieces(table: Table) -> Iterator[str]:
    yield f"{XML_HEAD}\n<{table.container}>\n"
    for row in table.rows:
        cells = "".join(
            f"<{name}>{_xml_text(cell, cdata=table.cdata)}</{name}>"
            for name, cell in zip(table.columns, row, strict=True)
        )
        yield f"<item>{cells}</item>\n"
    yield f"</{table.container}>\n"


def _xml_text(cell: Any, *, cdata: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, dict):
        return "".join(f"<{key}>{value}</{key}>" for key, value in cell.items())
    if cdata:
        return f"<![CDATA[{str(cell).replace(']]>', ']]]]><![CDATA[>')}]]>"
    return escape(str(cell))
