"""One call of an API method: what is sent, and what a good answer looks like."""

import re
from dataclasses import dataclass, field
from typing import Literal

from redcap_dagster.api.parameters import Pairs

WireFormat = Literal["csv", "json", "xml", "text"]
"""What a body is written in; `text` is one bare word, as `version` answers."""

# Parameters that carry data of participants; every other one carries names of the design.
_DATA_PARAMETERS = re.compile(r"(?:records?|filterLogic|data|new_record_name)(?:\[\d+\])?")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an API method.

    Attributes:
        content: REDCap's name of the method.
        wire_format: Format asked for.
        parameters: Form fields beside content, format, returnFormat and token.
        may_be_blank: Whether a body of white space only says "no rows" (record export does so).
        ends_with_newline: Whether REDCap ends this csv with a line break; a body without one has
            lost its end (docs/sources.md#final-line-break).
        has_label_headers: Whether csv headers are labels, which may begin with anything.
        csv_delimiter: The character between cells of a csv.
    """

    content: str
    wire_format: WireFormat
    parameters: Pairs = field(default=(), repr=False)
    may_be_blank: bool = False
    ends_with_newline: bool = False
    has_label_headers: bool = False
    csv_delimiter: str = ","

    def form_fields(self, api_token: str) -> list[tuple[str, str]]:
        """The form fields of the request, the token among them: never to be logged."""
        # Errors come as JSON whatever the data's format is: a csv body can begin with any text.
        return [
            ("token", api_token),
            ("content", self.content),
            ("format", "json" if self.wire_format == "text" else self.wire_format),
            ("returnFormat", "json"),
            *self.parameters,
        ]

    def asked_values(self) -> set[str]:
        """Record ids and other data of participants in the parameters, and each word of them."""
        values = {value for name, value in self.parameters if _DATA_PARAMETERS.fullmatch(name)}
        return values | {word for value in values for word in _WORD.findall(value)}
