"""Writes XML as REDCap writes it: one element a line, line breaks in attributes as they are."""

import re
from collections.abc import Mapping

# Characters that XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#039;"}
_SPECIAL = re.compile("[&<>\"']")


def escaped(text: str) -> str:
    """Return a text for an attribute value; its line breaks stay, as REDCap leaves them."""
    written = _SPECIAL.sub(lambda found: _ENTITIES[found[0]], text)
    return _UNWRITABLE.sub("", written)


def escaped_text(text: str) -> str:
    """Return a text for between two tags, where a parser would turn CR LF into LF."""
    return escaped(text).replace("\r", "&#13;")


def tag(name: str, attributes: Mapping[str, object], *, closed: bool = False) -> str:
    """Return a start tag, or with `closed` an element without content."""
    written = "".join(f' {key}="{escaped(str(value))}"' for key, value in attributes.items())
    return f"<{name}{written}{'/' if closed else ''}>"


def element(name: str, text: str | int) -> str:
    """Return an element that holds only text."""
    return f"<{name}>{escaped_text(str(text))}</{name}>"
