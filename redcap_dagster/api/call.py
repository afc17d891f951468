"""One call of an API method: what is sent, and what a good answer looks like."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Literal

from redcap_dagster.api.parameters import Pairs, check_sendable

WireFormat = Literal["csv", "json", "xml", "text", "file"]
"""What a body is written in; `text` is bare words, as `version` answers; `file` is any bytes."""

# Parameters that carry data of participants or names of people; every other one carries names of
# the design.
_DATA_PARAMETERS = re.compile(
    r"(?:records?|users?|filterLogic|data|new_record_name|odm)(?:\[\d+\])?"
)
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that goes along with a call.

    Attributes:
        name: What REDCap shall call it.
        content: Its bytes, kept whole so that a retry can send them again.
        content_type: Media type.
    """

    name: str
    content: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True, slots=True)
class Need:
    """Something that servers older than a version do not know, and would ignore or refuse.

    Attributes:
        what: What is asked for, in our words.
        version: First version that has it, such as `16.1.0`.
    """

    what: str
    version: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an API method.

    Attributes:
        content: REDCap's name of the method.
        wire_format: What the answer is written in.
        parameters: Form fields beside content, format, returnFormat and token.
        format_word: What `format` says where it is not the answer's format: that of the data of an
            import, or `odm`. "" leaves it out.
        upload: A file to send along.
        is_write: Whether it changes something: then it is sent again only when REDCap has
            certainly not seen it.
        takes_super_token: Whether a super token may ask for it.
        needs: What of it older servers do not know.
        may_be_blank: Whether a body of white space only says "no rows" (record export does so).
        may_be_nothing: Whether success has no body at all (file import does so).
        ends_with_newline: Whether REDCap ends this csv with a line break; a body without one has
            lost its end (docs/sources.md#final-line-break).
        has_label_headers: Whether csv headers are labels, which may begin with anything.
        csv_delimiter: The character between cells of a csv.
        data_names: Names of columns in the data of an import, which a message may show.

    Raises:
        ConfigError: Something to send is no text that UTF-8 can hold.
    """

    content: str
    wire_format: WireFormat
    parameters: Pairs = field(default=(), repr=False)
    format_word: str | None = None
    upload: Upload | None = None
    is_write: bool = False
    takes_super_token: bool = False
    needs: tuple[Need, ...] = ()
    may_be_blank: bool = False
    may_be_nothing: bool = False
    ends_with_newline: bool = False
    has_label_headers: bool = False
    csv_delimiter: str = ","
    data_names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_sendable(self.parameters)
        if self.upload is not None:
            check_sendable((("file", self.upload.name), ("file", self.upload.content_type)))

    def form_fields(self, api_token: str) -> list[tuple[str, str]]:
        """The form fields of the request, the token among them: never to be logged."""
        usual = "json" if self.wire_format == "text" else self.wire_format
        word = usual if self.format_word is None else self.format_word
        # Errors come as JSON whatever the data's format is: a csv body can begin with any text.
        return [
            ("token", api_token),
            ("content", self.content),
            *([("format", word)] if word else []),
            ("returnFormat", "json"),
            *self.parameters,
        ]

    def asked_words(self) -> set[str]:
        """Words of the record ids, user names and data of participants in the parameters."""
        values = [value for name, value in self.parameters if _DATA_PARAMETERS.fullmatch(name)]
        texts = [text for value in values for text in _spellings(value)]
        return {word for text in texts for word in _WORD.findall(text)} - self.data_names


def _spellings(value: str) -> Iterator[str]:
    """A text as it is, and as REDCap reads it where it is JSON or XML."""
    yield value
    if "\\" in value:
        # Half characters come in pairs, which UTF-16 joins.
        read = _JSON_ESCAPE.sub(lambda found: chr(int(found[1] or "20", 16)), value)
        yield read.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "&" in value:
        yield unescape(value)
