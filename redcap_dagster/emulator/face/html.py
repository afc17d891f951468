"""Builds HTML from parts; every text is escaped."""

from collections.abc import Iterable
from html import escape

_EMPTY_ELEMENTS = frozenset({"input", "link", "meta", "br"})
Attribute = str | int | bool


class Html(str):
    """HTML that is ready to be sent: not escaped again."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: Attribute) -> Html:
    """Return an element.

    Args:
        name: Its name.
        children: What stands in it, joined; texts are escaped, `Html` is not.
        attributes: True stands alone, False is left out; `_` in a name becomes `-`, one at its end
            is dropped (`for_`).
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY_ELEMENTS:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Html:
    """Return parts side by side."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    """Return a table; the first cell of a row is its header."""
    lines = [
        element(
            "tr",
            *(
                element("td", cell) if position else element("th", cell, scope="row")
                for position, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    heads = (element("th", head, scope="col") for head in header)
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *heads)),
            element("tbody", *lines),
        ),
        class_="wide",
        # A table that scrolls can be reached and scrolled with the keyboard.
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def link(text: str, address: str, **attributes: Attribute) -> Html:
    """Return a link."""
    return element("a", text, href=address, **attributes)


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if value is False:
        return ""
    return f' {name}="{escape(str(value))}"'
