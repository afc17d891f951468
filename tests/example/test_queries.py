"""The SQL of the example, over Parquet files small enough to be checked by hand."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from example_pipeline.queries import (
    TABLES_READ,
    MixedPartitionsError,
    NothingPublishedError,
    count_enrolled,
    published_files,
    run_query,
)


def _run(name: str, shelf: Path) -> list[dict[str, object]]:
    files = {table: published_files(shelf, table) for table in TABLES_READ[name]}
    rows: list[dict[str, object]] = run_query(name, files).to_pylist()
    return rows


def test_enrolment_counts_each_month_and_site_and_keeps_months_without_anybody(shelf: Path) -> None:
    rows = _run("enrolment_by_month_and_site", shelf)
    assert [tuple(row.values()) for row in rows] == [
        (date(2024, 1, 1), "site_1", 5, 5),
        (date(2024, 1, 1), "site_2", 5, 5),
        (date(2024, 2, 1), "site_1", 0, 5),
        (date(2024, 2, 1), "site_2", 0, 5),
        (date(2024, 3, 1), "site_1", 1, 6),
        (date(2024, 3, 1), "site_2", 0, 5),
    ]
    assert count_enrolled(published_files(shelf, "enrolment")) == 11


def test_a_visit_counts_as_due_only_when_its_window_is_past(shelf: Path) -> None:
    """01-011 came to baseline inside its window: not due yet, and so not counted as done."""
    rows = _run("visit_completeness_by_event", shelf)
    assert [tuple(row.values()) for row in rows] == [
        ("Baseline", 1, "Usual care", 6, 6, 100.0),
        ("Baseline", 2, "Add-on biologic", 4, 4, 100.0),
        ("Month 1", 1, "Usual care", 6, 6, 100.0),
        ("Month 1", 2, "Add-on biologic", 4, 0, 0.0),
    ]


def test_counts_of_fewer_than_five_participants_are_withheld(shelf: Path) -> None:
    rows = _run("adverse_events_by_severity", shelf)
    assert [tuple(row.values()) for row in rows] == [
        ("Mild", 1, "Usual care", 6, False, 6, 0, 5, 83.3),
        ("Mild", 2, "Add-on biologic", 5, False, 0, 0, 0, 0.0),
        ("Moderate", 1, "Usual care", 6, False, 0, 0, 0, 0.0),
        ("Moderate", 2, "Add-on biologic", 5, False, 0, 0, 0, 0.0),
        ("Severe", 1, "Usual care", 6, True, None, None, None, None),
        ("Severe", 2, "Add-on biologic", 5, False, 0, 0, 0, 0.0),
        ("Life-threatening", 1, "Usual care", 6, False, 0, 0, 0, 0.0),
        ("Life-threatening", 2, "Add-on biologic", 5, False, 0, 0, 0, 0.0),
    ]


def test_the_trend_leaves_out_what_no_lung_can_have_and_says_how_much(shelf: Path) -> None:
    """Five values 60 to 68: standard deviation √10, so the interval is 64 ± 1.96·√2."""
    rows = _run("lung_function_trend_by_arm", shelf)
    assert [tuple(row.values()) for row in rows] == [
        ("Baseline", 14, 1, "Usual care", 6, 0, 60.0, 60.0, 60.0),
        ("Baseline", 14, 2, "Add-on biologic", 4, 0, None, None, None),
        ("Month 1", 44, 1, "Usual care", 5, 1, 64.0, 61.23, 66.77),
    ]


@pytest.mark.parametrize("name", sorted(TABLES_READ))
def test_a_study_without_rows_gives_tables_without_rows(
    name: str, publish: Callable[..., Path]
) -> None:
    shelf = publish(enrolment=[], spirometry=[], adverse_events=[])
    assert _run(name, shelf) == []


def test_a_table_in_partitions_is_read_as_one(
    publish: Callable[..., Path], row: Callable[..., dict[str, object]]
) -> None:
    day = date(2024, 1, 8)
    for bucket, record_id in enumerate(("01-001", "02-002")):
        enrolment = [row(record_id, "screening", consent_date=day, enrolment_date=day)]
        shelf = publish(f"bucket-{bucket}-of-2/current", enrolment=enrolment)
    assert count_enrolled(published_files(shelf, "enrolment")) == 2


def test_a_table_that_was_not_published_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingPublishedError, match="Materialize the study's asset enrolment"):
        published_files(tmp_path, "enrolment")


def test_a_table_published_under_two_partitionings_is_refused(publish: Callable[..., Path]) -> None:
    publish("bucket-0-of-2/current", enrolment=[])
    shelf = publish("bucket-0-of-4/current", enrolment=[])
    with pytest.raises(MixedPartitionsError, match="2 partitionings"):
        published_files(shelf, "enrolment")
    with pytest.raises(MixedPartitionsError, match="3 partitionings"):
        published_files(publish(enrolment=[]), "enrolment")
