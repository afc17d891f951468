"""Keeps line breaks inside XML attributes.

REDCap writes values into attributes with their line breaks as they are. Every XML parser must turn
those into blanks (XML 1.0, section 3.3.3), which would lose them; written as character references
they survive. This filter rewrites the bytes on their way to the parser and changes nothing else.
"""

import re

from redcap_dagster.emulator.errors import ProjectFileError

_MARKUP = re.compile(
    rb"<!\[CDATA\[.*?\]\]>"
    rb"|<!--.*?-->"
    rb"|<\?.*?\?>"
    rb"|<(?!!\[CDATA\[|!--|\?)[^\"'>]*(?:\"[^\"]*\"[^\"'>]*|'[^']*'[^\"'>]*)*>",
    re.DOTALL,
)
_BREAKS = re.compile(rb"[\r\n\t]")
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_REFERENCES = {b"\r": b"&#13;", b"\n": b"&#10;", b"\t": b"&#9;"}
_MAX_MARKUP_BYTES = 1 << 28


class AttributeLineBreaks:
    """Streaming filter from file bytes to parser bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes that are ready for the parser; keeps unfinished markup for later.

        Args:
            chunk: The next bytes of the file, of any length.

        Raises:
            ProjectFileError: One piece of markup is longer than any REDCap writes.
        """
        data = self._rest + chunk
        out: list[bytes] = []
        position = 0
        while (opening := data.find(b"<", position)) >= 0:
            markup = _MARKUP.match(data, opening)
            if markup is None:
                break
            out.append(data[position:opening])
            out.append(_with_references(markup[0]))
            position = markup.end()
        end = len(data) if opening < 0 else opening
        out.append(data[position:end])
        self._rest = data[end:]
        if len(self._rest) > _MAX_MARKUP_BYTES:
            raise ProjectFileError("The file holds one piece of markup of more than 256 MB.")
        return b"".join(out)

    def rest(self) -> bytes:
        """Return the unfinished markup at the end of the file; b"" when the file is whole."""
        return self._rest


def _with_references(markup: bytes) -> bytes:
    if markup.startswith((b"<!", b"<?")) or not _BREAKS.search(markup):
        return markup
    return _QUOTED.sub(
        lambda value: _BREAKS.sub(lambda found: _REFERENCES[found[0]], value[0]), markup
    )
