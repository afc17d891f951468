"""Texts that REDCap is known to send, and what of them may be shown.

Source of every text: docs/sources.md#messages.
"""

import re
from collections.abc import Collection
from html import unescape

from redcap_dagster.api.json_text import parse_json

NO_ARMS = "You cannot export arms for classic projects"
NO_EVENTS = "You cannot export events for classic projects"
NO_FORM_EVENT_MAPPINGS = "You cannot export form/event mappings for classic projects"
NO_REPEATING = (
    "You cannot export repeating instruments and events because the project does not contain any "
    "repeating instruments and events"
)

BANNED = re.compile(r"has been banned due to suspected abuse", re.IGNORECASE)
OUT_OF_MEMORY = re.compile(
    r"ran out of server memory|Allowed memory size of \d+ bytes exhausted|Out of memory",
    re.IGNORECASE,
)
DATABASE_DOWN = re.compile(
    r"The hostname .{0,200}combination could not connect", re.IGNORECASE | re.DOTALL
)
NO_API_RIGHT = re.compile(r"You do not have permissions to use the API", re.IGNORECASE)

PHP_ERROR = re.compile(r"(?:Fatal|Parse|Recoverable fatal) error(?:</b>)?:")
# What PHP prints when it dies after rows were sent: at the very end, outside any quoted cell.
PHP_DIED = re.compile(rb"(?:Fatal|Parse|Recoverable fatal) error(?:</b>)?:[^\"]*\Z")
ERROR_AT_END = re.compile(rb"\{\"error\":\s*\"(?:[^\"\\]|\\.)*\"\}\s*\Z", re.DOTALL)
BARE_FAILURE = re.compile(
    r"Your IP address .{0,100}has been banned|The hostname .{0,200}could not connect"
    r"|(?:PHP )?(?:Fatal|Parse) error: |REDCap ran out of server memory",
    re.IGNORECASE | re.DOTALL,
)

# What PHP prints before an answer where its settings show warnings.
PHP_NOTICE = re.compile(
    r"(?:PHP )?(?:Warning|Notice|Deprecated): .{0,2000}? in .{1,300}? on line \d", re.DOTALL
)

# Messages that hold names of the design and numbers, never a value or a record id.
_NAMES_ONLY = re.compile(
    rf"{re.escape(NO_ARMS)}|{re.escape(NO_EVENTS)}|{re.escape(NO_FORM_EVENT_MAPPINGS)}"
    rf"|{re.escape(NO_REPEATING)}"
    r"|The requested method is not implemented"
    r"|The value of the parameter \"\w+\" is not valid"
    r"|The following values in the parameter \"(?:fields|forms|events)\" are not valid:"
    r" (?:'\w*'(?:, )?)+"
    r"|The \"\w+\" parameter has been provided with a value, but the value is not an array\."
    r" The \"\w+\" parameter must be provided as an array of one or more values"
    r"|You do not have [A-Za-z /]+ privileges"
    r"|Insufficient user privileges: [A-Za-z ',/-]+"
    r"|The data is not in the specified format"
    r"|Illegal use of 'redcap_data_access_group' field!"
    r"|You must provide some text for 'purpose_other' since you specified 'purpose' as '1'"
    r" \(Other\)"
    r"|Users in roles cannot have their privileges modified via the 'Import User' API method"
)
_SHOWN_CHARACTERS = 500
_MASK = "…"
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_UNBROKEN = re.compile(r"\S+")
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w+")
_XML_ERROR = re.compile(r"<hash>\s*<error>(.*?)</error>", re.IGNORECASE | re.DOTALL)
_CDATA = re.compile(r"^<!\[CDATA\[(.*)\]\]>$", re.DOTALL)


def find_error_message(text: str) -> str | None:
    """REDCap's error text, when a body is an error in any of its three formats; else None."""
    stripped = text.strip()
    if stripped[:6].lower() == "error:":
        return stripped[6:].strip()
    found = _XML_ERROR.search(stripped) if stripped.startswith("<") else None
    if found:
        inner = found.group(1).strip()
        cdata = _CDATA.match(inner)
        return (cdata.group(1) if cdata else unescape(inner)).strip()
    if not stripped.startswith("{"):
        return None
    try:
        body = parse_json(stripped)
    except ValueError:
        return None
    message = body.get("error") if isinstance(body, dict) else None
    return message.strip() if isinstance(message, str) else None


def showable(message: str, asked: Collection[str]) -> str:
    """What of a message may stand in a log: itself, or itself with marks for what may be data.

    A message known to hold names only is shown as it is. In any other one, everything in quotes,
    every word with a digit and everything that was asked for becomes `…`; a long one is cut.

    Args:
        message: REDCap's text.
        asked: Record ids, filters and data of the request.
    """
    if _NAMES_ONLY.fullmatch(message.strip().rstrip(".")):
        return message
    masked = mask_values(_QUOTED.sub(f'"{_MASK}"', message), asked)
    # Not by one pattern: `\S*\d\S*` takes minutes for a long text without blanks and digits.
    masked = _UNBROKEN.sub(
        lambda found: _MASK if _DIGIT.search(found.group()) else found.group(), masked
    )
    return masked if len(masked) <= _SHOWN_CHARACTERS else f"{masked[:_SHOWN_CHARACTERS]}…"


def mask_values(text: str, values: Collection[str]) -> str:
    """A text with `…` for each word of the values in it."""
    # Looked up word by word, as the data of an import hold millions of words.
    known = {word for value in values for word in _WORD.findall(value.casefold())}
    masked = _WORD.sub(
        lambda found: _MASK if found.group().casefold() in known else found.group(), text
    )
    # What is left of an id of several words: signs and blanks between marks.
    return re.sub(rf"{_MASK}(?:[^\w\s.…]*\s?{_MASK})+", _MASK, masked)
