"""The pages on assets and partitions say what the code does."""

from pathlib import Path

from redcap_dagster.extract import SMALL_TABLES
from redcap_dagster.orchestration.audit_log import plan_audit_log_table
from redcap_dagster.orchestration.kinds import DESCRIPTIONS, RECORD_KINDS
from redcap_dagster.project import DEFAULT_DRIFT_POLICY, DRIFT_MEANINGS

DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str) -> list[list[str]]:
    """Cells of every line of a table."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines if line[:1] == "|"]


def test_the_page_names_every_column_of_the_studys_own_tables() -> None:
    specs = [*(table.spec for table in SMALL_TABLES.values()), plan_audit_log_table()]
    assert [row for row in rows("assets.md") if len(row) == 3][1:] == [
        [
            f"`{spec.name}`",
            ", ".join(f"`{column.name}`" for column in spec.columns),
            ", ".join(f"`{name}`" for name in spec.key_columns) or "none",
        ]
        for spec in specs
    ]


def test_the_page_names_every_kind_of_table_as_an_asset() -> None:
    text = "\n".join(row[0] for row in rows("assets.md") if len(row) == 4)
    # One is an option of the tables; two are named as what they are one for each of.
    elsewhere = {"missing_reasons", "instrument", "report"}
    assert [kind for kind in DESCRIPTIONS.keys() - elsewhere if f"`{kind}`" not in text] == []


def test_the_page_names_every_kind_that_has_the_partitions_of_the_records() -> None:
    (line,) = [
        line
        for line in (DOCS / "partitions.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("`partitions_def=`")
    ]
    assert [kind for kind in RECORD_KINDS - {"instrument"} if f"`{kind}`" not in line] == []


def test_the_page_names_every_kind_of_drift_with_its_policy() -> None:
    expected = [
        [kind.replace("_", " "), DEFAULT_DRIFT_POLICY[kind], meaning]
        for kind, meaning in DRIFT_MEANINGS.items()
    ]
    assert rows("partitions.md")[-len(expected) :] == expected
