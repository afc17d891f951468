"""`redcap-dagster verify`: whether what was published is still what the manifest says."""

from collections.abc import Iterator

from redcap_dagster.cli.counts import counted
from redcap_dagster.extract import Verification, verify_study


def run_verify(place: str) -> int:
    """Compare and print what was found.

    Returns:
        0 when everything is as it was published, 1 when anything is not.

    Raises:
        TableError: The place holds no extract, or a manifest cannot be read.
    """
    done = verify_study(place)
    for verification in done:
        for line in describe_verification(verification):
            print(line)  # noqa: T201 - a command's answer
    return 1 if any(item.findings for item in done) else 0


def describe_verification(verification: Verification) -> Iterator[str]:
    """What is wrong, line by line, and the verdict last."""
    extract, findings = verification.extract, verification.findings
    for finding in findings:
        yield f"  {finding}"
    rows = sum(table.rows for table in extract.tables.values())
    verdict = "is as it was published"
    if findings:
        verdict = f"{counted(len(findings), 'thing')} {'is' if len(findings) == 1 else 'are'} wrong"
    tables = counted(len(extract.tables), "table")
    yield f"{extract.path}: {tables}, {counted(rows, 'row')}, {verdict}."
