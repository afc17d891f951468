"""What REDCap says against the data of an import, line by line, without values and record ids."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from redcap_dagster.api.messages import mask_values

_CELLS = 4
_SHOWN = 3
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class ImportFinding:
    """One complaint about one field.

    Attributes:
        field: Name of the field.
        text: REDCap's text, with `…` for the value or record id where it repeats them.
        record_count: In how many records it was found.
    """

    field: str
    text: str
    record_count: int


def parse_findings(message: str) -> tuple[ImportFinding, ...]:
    """The findings in REDCap's message, most frequent first; () when it is of another shape.

    REDCap writes one line `"record","field","value","text"` for each (docs/sources.md#imports).
    """
    rows = _read_lines(message)
    if not rows or any(len(row) != _CELLS for row in rows):
        return ()
    records: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record, field, value, text in rows:
        shown = _without_repeat(text, (record, value))
        records[field, shown].add(record)
    findings = [ImportFinding(field, text, len(ids)) for (field, text), ids in records.items()]
    return tuple(sorted(findings, key=lambda finding: -finding.record_count))


def describe_findings(findings: Sequence[ImportFinding]) -> str:
    """Sentences on the first findings, and how many more there are."""
    lines = [
        f"{finding.field} in {finding.record_count} "
        f"record{'s' if finding.record_count > 1 else ''}: {finding.text}"
        for finding in findings[:_SHOWN]
    ]
    more = len(findings) - _SHOWN
    if more > 0:
        lines.append(f"And {more} more in `.findings`.")
    return " ".join(lines)


def _read_lines(message: str) -> list[list[str]]:
    lines = csv.reader(message.splitlines(keepends=True), strict=True)
    try:
        return [row for row in lines if row]
    except csv.Error:
        return []


def _without_repeat(text: str, values: Sequence[str]) -> str:
    masked = mask_values(text, values)
    return masked if len(masked) <= _LONGEST_TEXT else f"{masked[:_LONGEST_TEXT]}…"
