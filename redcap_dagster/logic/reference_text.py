"""Reading the inside of `[event][field(code):modifier][instance]`."""

import re

from redcap_dagster.errors import LogicSyntaxError
from redcap_dagster.logic.tree import Reference, Span

_PART = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(
    r"(?P<name>[a-z_][a-z0-9_]*(?:-[a-z0-9_]+)*)"
    r"(?:\((?P<code>[^()]*)\))?"
    r"(?P<modifiers>(?::[^:()\[\]]*)*)",
    re.IGNORECASE,
)
_INSTANCE = re.compile(r"[0-9]+|[a-z]+-instance", re.IGNORECASE)
_EVENT = re.compile(r"[a-z0-9_]+(?:-[a-z]+)*", re.IGNORECASE)
_MOST_PARTS = 3


def parse_reference(text: str, source: str, start: int) -> Reference:
    """Read one run of bracket pairs.

    Args:
        text: The run, such as `[baseline_arm_1][weight]`.
        source: The whole logic it stands in.
        start: Where it starts in `source`.

    Raises:
        LogicSyntaxError: It has too many parts, or a part is not a name.
    """
    parts = [(part.group(1), start + part.start(1)) for part in _PART.finditer(text)]
    if len(parts) > _MOST_PARTS:
        raise LogicSyntaxError(
            "A reference has at most three parts: [event][field][instance].",
            source=source,
            start=start,
            end=start + len(text),
        )
    instance = _take_instance(parts, source)
    event = _take_event(parts, source)
    name, place = parts[0]
    found = _NAME.fullmatch(name)
    if found is None:
        raise _not_a_name(name, source, place)
    code = found["code"]
    return Reference(
        name=found["name"].lower(),
        span=Span(start, start + len(text)),
        event=event,
        code=None if code is None else code.strip(),
        modifiers=tuple(found["modifiers"].lower().split(":")[1:]),
        instance=instance,
    )


def _take_instance(parts: list[tuple[str, int]], source: str) -> str | None:
    is_last = len(parts) > 1 and _INSTANCE.fullmatch(parts[-1][0])
    if is_last:
        return parts.pop()[0].lower()
    if len(parts) == _MOST_PARTS:
        text, place = parts[-1]
        raise LogicSyntaxError(
            "The third part of a reference is an instance: a number, or such as [last-instance].",
            source=source,
            start=place,
            end=place + len(text),
        )
    return None


def _take_event(parts: list[tuple[str, int]], source: str) -> str | None:
    if len(parts) == 1:
        return None
    text, place = parts.pop(0)
    if not _EVENT.fullmatch(text):
        raise _not_a_name(text, source, place)
    return text.lower()


def _not_a_name(text: str, source: str, place: int) -> LogicSyntaxError:
    if text != text.strip():
        reason = "There is a blank inside the brackets: take it out."
    elif not text:
        reason = "The brackets are empty: put a field's variable name between them."
    else:
        reason = "This is not a variable name: letters, digits and _ only, then (code) if need be."
    return LogicSyntaxError(reason, source=source, start=place, end=place + max(1, len(text)))
