"""Finding action tags in a field annotation, such as `@CALCTEXT(...)` and `@DEFAULT='0'`.

A field annotation is free text with tags in it. Source: docs/logic.md, action tags.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from redcap_dagster.errors import LogicSyntaxError
from redcap_dagster.logic.tree import Span

_TAG = re.compile(r"(?<![A-Za-z0-9_@.])@[A-Z][A-Z0-9_-]*")
_UNQUOTED = re.compile(r"[^\s,)]+")
_COMMENT = re.compile(r"(?m:^)[ \t]*(?:#|//)[^\n]*")
_QUOTED = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ActionTag:
    """One action tag.

    Attributes:
        name: With its `@`, such as `@CALCTEXT`.
        argument: What stands between its parentheses, or after `=` without quotes; None if the
            tag stands alone.
        is_conditional: Whether it stands inside `@IF`, so that it applies on some pages only.
        span: Where the tag and its argument stand in the annotation.
    """

    name: str
    argument: str | None
    is_conditional: bool
    span: Span


def find_action_tags(annotation: str) -> tuple[ActionTag, ...]:
    """Find the action tags of a field annotation.

    The tags inside an `@IF(condition, tags, tags)` follow it, marked as conditional. A tag inside
    the argument of any other tag is part of that argument.

    Raises:
        LogicSyntaxError: A parenthesis or quote of an argument is never closed.

    Examples:
        >>> [(tag.name, tag.argument) for tag in find_action_tags("sum @CALCTEXT(1+(2)) @HIDDEN")]
        [('@CALCTEXT', '1+(2)'), ('@HIDDEN', None)]
    """
    return tuple(_find(annotation, 0, len(annotation), is_conditional=False))


def split_arguments(argument: str) -> tuple[str, ...]:
    """Split the argument of a tag at its outermost commas, parts trimmed.

    Examples:
        >>> split_arguments("[dob], if([x]='a,b', 1, 2), 'y'")
        ('[dob]', "if([x]='a,b', 1, 2)", "'y'")
    """
    return tuple(argument[start:end].strip() for start, end in _split(argument, 0, len(argument)))


def _find(text: str, start: int, end: int, *, is_conditional: bool) -> Iterator[ActionTag]:
    place = start
    while found := _TAG.search(text, place, end):
        inside, place = _read_argument(text, found.end(), end)
        argument = None if inside is None else text[inside.start : inside.end]
        yield ActionTag(found.group(), argument, is_conditional, Span(found.start(), place))
        if found.group() == "@IF" and inside is not None:
            for first, last in list(_split(text, inside.start, inside.end))[1:]:
                yield from _find(text, first, last, is_conditional=True)


def _read_argument(text: str, start: int, end: int) -> tuple[Span | None, int]:
    """Where the argument after a tag's name stands, and where the tag ends."""
    if text.startswith("(", start):
        close = _closing(text, start, end)
        return Span(start + 1, close), close + 1
    if not text.startswith("=", start):
        return None, start
    quoted = _QUOTED.match(text, start + 1, end)
    if quoted:
        return Span(quoted.start() + 1, quoted.end() - 1), quoted.end()
    if text.startswith(("'", '"'), start + 1):
        raise _unclosed("quote", text, start + 1)
    unquoted = _UNQUOTED.match(text, start + 1, end)
    return (Span(*unquoted.span()), unquoted.end()) if unquoted else (None, start + 1)


def _closing(text: str, opening: int, end: int) -> int:
    """Place of the parenthesis that closes the one at `opening`."""
    depth = 0
    for place, sign in _outside_quotes(text, opening, end):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0:
            return place
    raise _unclosed("parenthesis", text, opening)


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    depth, first = 0, start
    for place, sign in _outside_quotes(text, start, end):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            yield first, place
            first = place + 1
    yield first, end


def _outside_quotes(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Each sign that stands outside quotes, brackets and comments, with its place."""
    place = start
    while place < end:
        sign = text[place]
        comment = _COMMENT.match(text, place, end)
        if comment:
            place = comment.end()
        elif sign in "\"'":
            quoted = _QUOTED.match(text, place, end)
            if quoted is None:
                raise _unclosed("quote", text, place)
            place = quoted.end()
        elif sign == "[" and text.find("]", place, end) >= 0:
            place = text.find("]", place, end) + 1
        else:
            yield place, sign
            place += 1


def _unclosed(what: str, text: str, place: int) -> LogicSyntaxError:
    return LogicSyntaxError(
        f"This {what} is never closed.", source=text, start=place, end=place + 1
    )
