"""Writes a PDF of plain lines: one typeface, one size, as many pages as it takes."""

import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain, islice

_LINES_OF_A_PAGE = 56
_CHARACTERS_OF_A_LINE = 88
# As REDCap's own begin, which PyCap's documentation shows: version 1.3, a page as object 3.
_HEAD = b"%PDF-1.3\n"
_PAGES, _FONT, _FIRST_PAGE = 1, 2, 3
_TEXT_START = "BT /F1 10 Tf 12 TL 42 740 Td"


def iter_pdf(lines: Iterable[str]) -> Iterator[bytes]:
    """Yield a PDF of A letter-size pages, in pieces; memory holds one page at a time.

    Args:
        lines: The lines; long ones are wrapped, letters that Windows-1252 lacks become `?`.
    """
    offsets: dict[int, int] = {}
    position = len(_HEAD)
    yield _HEAD
    pages: list[int] = []
    for number, body in chain(_iter_pages(lines, pages), _iter_ends(pages)):
        offsets[number] = position
        written = b"%d 0 obj\n%s\nendobj\n" % (number, body)
        position += len(written)
        yield written
    table = "".join(f"{offsets[number]:010} 00000 n \n" for number in range(1, len(offsets) + 1))
    size = len(offsets) + 1
    yield (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {size} /Root {size - 1} 0 R >>\nstartxref\n{position}\n%%EOF\n"
    ).encode("ascii")


def _iter_pages(lines: Iterable[str], pages: list[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the objects of the pages, and keep the number of each in `pages`."""
    wrapped = (part for line in lines for part in _wrapped(line))
    number = _FIRST_PAGE
    while (page := list(islice(wrapped, _LINES_OF_A_PAGE))) or not pages:
        pages.append(number)
        resources = f"/Resources << /Font << /F1 {_FONT} 0 R >> >>"
        body = f"<< /Type /Page /Parent {_PAGES} 0 R /MediaBox [0 0 612 792] {resources}"
        yield number, f"{body} /Contents {number + 1} 0 R >>".encode("ascii")
        yield number + 1, _stream(page)
        number += 2


def _iter_ends(pages: list[int]) -> Iterator[tuple[int, bytes]]:
    kids = " ".join(f"{number} 0 R" for number in pages)
    yield _PAGES, f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode("ascii")
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>"
    yield _FONT, font.encode("ascii")
    yield pages[-1] + 2, f"<< /Type /Catalog /Pages {_PAGES} 0 R >>".encode("ascii")


def _wrapped(line: str) -> list[str]:
    return [
        part
        for text in (line.splitlines() or [""])
        for part in textwrap.wrap(text, _CHARACTERS_OF_A_LINE, subsequent_indent="    ") or [""]
    ]


def _stream(lines: list[str]) -> bytes:
    shown = "\n".join(f"({_escaped(line)}) Tj T*" for line in lines)
    content = f"{_TEXT_START}\n{shown}\nET".encode("cp1252", "replace")
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
