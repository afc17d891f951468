"""Writes the tables of docs/emulator.md from the tables that requests and faults are read from.

Run `python -m redcap_dagster.emulator.coverage docs/emulator.md` after changing a method.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from redcap_dagster.emulator.contents.call import Method
from redcap_dagster.emulator.contents.methods import METHODS
from redcap_dagster.emulator.faults.kinds import fault_table

BEGIN = "<!-- coverage: written by python -m redcap_dagster.emulator.coverage -->\n"
END = "<!-- end of coverage -->\n"
BEGIN_FAULTS = "<!-- faults: written by python -m redcap_dagster.emulator.coverage -->\n"
END_FAULTS = "<!-- end of faults -->\n"
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
    """Return a page with the tables between their marks brought up to date.

    Raises:
        ValueError: The page does not hold both marks of a table.
    """
    for begin, end, table in (
        (BEGIN, END, coverage_table()),
        (BEGIN_FAULTS, END_FAULTS, fault_table()),
    ):
        before, begun, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not begun or not ended:
            raise ValueError("The page does not hold the marks that a table stands between.")
        page = before + begin + "\n" + table + "\n" + end + after
    return page


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
