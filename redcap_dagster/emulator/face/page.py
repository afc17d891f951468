"""The frame of every page."""

from redcap_dagster.emulator.face.html import Html, element, joined, link

_WARNING = "REDCap emulator: for tests and demonstrations, no place for real data."
STYLE_ADDRESS = "/face.css"


def page(title: str, *parts: str, trail: tuple[tuple[str, str], ...] = ()) -> str:
    """Return a whole page.

    Args:
        title: Its title and heading.
        parts: What stands on it.
        trail: Names and addresses of the pages above it.
    """
    above = (link(name, address) for name, address in (("Projects", "/"), *trail))
    body = element(
        "body",
        element("p", _WARNING, class_="warning"),
        element("nav", element("ul", *(element("li", each) for each in above)), aria_label="Above"),
        element("main", element("h1", title), *parts),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} - REDCap emulator"),
        element("link", rel="stylesheet", href=STYLE_ADDRESS),
    )
    return "<!DOCTYPE html>\n" + element("html", joined((head, body)), lang="en")


def notice(text: str, *, kind: str) -> Html:
    """Return a line that says how something went; `kind` is `done` or `error`."""
    role = "alert" if kind == "error" else "status"
    return element("p", text, class_=kind, role=role)
