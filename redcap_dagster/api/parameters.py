"""Our words to REDCap's words: the form fields of a request."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from numbers import Integral
from typing import Any, TypeVar

from redcap_dagster.errors import ConfigError

Names = Sequence[str] | None
"""Names or ids to ask for; None asks for all."""

Value = str | int | bool | datetime | Sequence[str] | Sequence[int] | None

_HALF = (
    "holds a half of a character (a lone surrogate, as bytes leave it that were read in a wrong "
    "encoding), which cannot be sent. Read the text again as what it is, UTF-8 say."
)

Listed = TypeVar("Listed", bound=Sequence[str] | Sequence[int] | None)
Text = TypeVar("Text", bound=str | None)

Pairs = tuple[tuple[str, str], ...]
"""Form fields in the order they are sent."""


def build_pairs(values: Mapping[str, Value]) -> Pairs:
    """Write parameters the way REDCap reads them.

    None and False are left out, as every switch of the API is off by default; True is `true`; a
    list is `name[0]`, `name[1]`, …, the one spelling that every server version reads
    (docs/sources.md#arrays).

    Args:
        values: REDCap's parameter name to its value.

    Raises:
        ConfigError: An empty list, which REDCap would read as "all"; a single text where a list
            belongs, or a list of other things than texts and whole numbers; a time with a zone,
            while REDCap's times are those of its server.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        pairs.extend(_pairs_of(name, value))
    return tuple(pairs)


def names(what: str, value: Listed) -> Listed:
    """Refuse what is no list of names, such as a text: its letters would be taken for names.

    Raises:
        ConfigError: `value` is neither None nor a list of texts and whole numbers, or one of them
            is blank, which REDCap passes over: a list of nothing else would mean "all".
    """
    if value is not None:
        _check_list(what, value)
        if any(not str(name).strip() for name in value):
            raise ConfigError(f"`{what}` holds a blank name.")
    return value


def some_names(what: str, value: Names | Sequence[int]) -> Sequence[Any]:
    """Names to act on, where "all" is no answer; an empty list is refused by `build_pairs`.

    Raises:
        ConfigError: `value` is no list of names, or one of them is blank.
    """
    return names(what, value) or ()


def filled(what: str, value: Text) -> Text:
    """Refuse a blank, which REDCap would read as "all" or as none.

    Raises:
        ConfigError: `value` is blank.
    """
    if value is not None and not str(value).strip():
        raise ConfigError(f"`{what}` is blank; leave it out, or name what is meant.")
    return value


def _check_list(what: str, value: object) -> None:
    # Not any iterable: a frame's column asks for `len` and truth in its own way, and what can be
    # gone through once is empty when it is compared with the answer.
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, AbstractSet)):
        raise ConfigError(
            f"`{what}` takes a list of names: put one name into a list, and make a list of a "
            "column of a frame."
        )
    for item in value:
        if isinstance(item, bool) or not isinstance(item, (str, Integral)):
            raise ConfigError(f"`{what}` holds a {type(item).__name__}, which is no name.")


def check_sendable(pairs: Pairs) -> None:
    """Refuse what cannot be written as UTF-8.

    Raises:
        ConfigError: A name or a text holds half a character.
    """
    for name, text in pairs:
        if text.isascii() and name.isascii():
            continue
        if not _is_whole(name):
            raise ConfigError(f"A name of a parameter {_HALF}")
        if not _is_whole(text):
            raise ConfigError(f"`{name}` {_HALF}")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _pairs_of(name: str, value: Value) -> list[tuple[str, str]]:
    if value is None or value is False:
        return []
    if value is True:
        return [(name, "true")]
    if isinstance(value, datetime):
        return [(name, _server_time(name, value))]
    if isinstance(value, (str, int)):
        return [(name, str(value))]
    if isinstance(value, date):
        raise ConfigError(f"`{name}` is a day without a time: give a datetime, or a text.")
    _check_list(name, value)
    if not value:
        raise ConfigError(
            f"`{name}` is an empty list. REDCap would read that as all of them; pass None for all, "
            "and do not ask when there is nothing to ask for."
        )
    return [(f"{name}[{index}]", str(item)) for index, item in enumerate(value)]


def _server_time(name: str, value: datetime) -> str:
    if value.tzinfo is not None:
        raise ConfigError(
            f"`{name}` has a time zone. REDCap reads times as its own server's local time: convert "
            "to that and drop the zone."
        )
    return value.strftime("%Y-%m-%d %H:%M:%S")
