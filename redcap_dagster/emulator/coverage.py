"""Writes the coverage table of docs/emulator.md from the table that requests are read from.

Run `python -m redcap_dagster.emulator.coverage docs/emulator.md` after changing a method.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from redcap_dagster.emulator.contents.call import Method
from redcap_dagster.emulator.contents.methods import METHODS

BEGIN = "<!-- coverage: written by python -m redcap_dagster.emulator.coverage -->\n"
END = "<!-- end of coverage -->\n"
_FORMATS = ("csv", "json", "xml")


def coverage_table() -> str:
    """Return the table of contents, parameters and formats in Markdown."""
    lines = [
        "| content | action | method | csv | json | xml | parameters |",
        "|---|---|---|---|---|---|---|",
        *(_line(method) for method in METHODS),
    ]
    return "\n".join(lines) + "\n"


def with_coverage(page: str) -> str:
    """Return a page with the table between its two marks brought up to date.

    Raises:
        ValueError: The page does not hold both marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("The page does not hold the marks that the table stands between.")
    return before + BEGIN + "\n" + coverage_table() + "\n" + END + after


def main(arguments: Sequence[str]) -> int:
    """Bring the pages named in `arguments` up to date."""
    for name in arguments:
        page = Path(name)
        page.write_text(with_coverage(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def _line(method: Method) -> str:
    if method.answer is None:
        formats = ["refused"] * len(_FORMATS)
    elif not method.formats:
        formats = ["plain text"] * len(_FORMATS)
    else:
        formats = ["yes" if name in method.formats else "refused" for name in _FORMATS]
    cells = [f"`{method.content}`", method.action, method.title, *formats, _parameters(method)]
    return f"| {' | '.join(cells)} |"


def _parameters(method: Method) -> str:
    notes = []
    for parameter in method.parameters:
        name = f"`{parameter.name}`" if parameter.answered else f"~~`{parameter.name}`~~ refused"
        notes.append(f"{name} ({parameter.note})" if parameter.note else name)
    if method.note:
        notes.append(method.note)
    return ", ".join(notes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
