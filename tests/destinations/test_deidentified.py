"""A schema holds a study de-identified in one way, or not at all; nothing mixes the two."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from redcap_dagster.destinations import load_extract
from redcap_dagster.destinations.load import TableLoad, load_tables
from redcap_dagster.errors import DestinationError

if TYPE_CHECKING:
    from tests.destinations.conftest import Publish, Warehouse

Visits = Callable[..., pa.Table]

ONE: dict[str, Any] = {
    "pseudonymize_record_ids": True,
    "key_fingerprint": "0123456789ab",
    "dropped_fields": ["name"],
    "shifted_fields": [],
}
ANOTHER_KEY = ONE | {"key_fingerprint": "ba9876543210"}
OTHER_OPTIONS = ONE | {"pseudonymize_record_ids": False}


@pytest.mark.parametrize("partition", [None, "bucket-1-of-2"])
@pytest.mark.parametrize(
    ("before", "now"),
    [(None, ONE), (ONE, None), (ONE, ANOTHER_KEY), (ONE, OTHER_OPTIONS)],
)
def test_rows_that_were_deidentified_otherwise_are_refused(
    warehouse: "Warehouse",
    publish: "Publish",
    visits: Visits,
    partition: str | None,
    before: dict[str, Any] | None,
    now: dict[str, Any] | None,
) -> None:
    first = "bucket-0-of-2" if partition else None
    load_extract(
        publish({"visits": visits(["1"])}, first, deidentification=before), warehouse.destination
    )
    rows = warehouse.rows("visits")
    tables = {"visits": visits(["2"]), "drugs": visits(["2"])}
    extract = publish(tables, partition, deidentification=now)
    for name in tables:  # into the table that is there, and beside it
        with pytest.raises(DestinationError, match=r"otherwise, with another key, or .*: visits\."):
            load_extract(extract, warehouse.destination, tables=[name], schema_changes="replace")
    assert warehouse.rows("visits") == rows
    assert warehouse.table("drugs") is None


def test_what_was_deidentified_alike_is_loaded(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    """Also where fields are left out that were not, as the design changed."""
    for partition, fact in {"a": ONE, "b": ONE | {"dropped_fields": ["name", "age"]}}.items():
        extract = publish({"visits": visits([partition])}, partition, deidentification=fact)
        load_extract(extract, warehouse.destination)
    assert warehouse.rows("visits") == [("a", "a"), ("b", "b")]
    assert warehouse.table("visits").comment == (
        "Visits. Loaded by redcap-dagster from REDCap project 7, de-identified: "
        '{"key_fingerprint": "0123456789ab", "pseudonymize_record_ids": true}.'
    )


def test_partitions_of_one_load_are_deidentified_alike(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    extracts = {
        key: publish({"visits": visits([key])}, key, deidentification=fact)
        for key, fact in {"a": ONE, "b": None}.items()
    }
    with pytest.raises(DestinationError, match="not all de-identified in the same way"):
        load_tables([TableLoad("visits", extracts)], warehouse.destination)
    assert warehouse.table("visits") is None


def test_another_study_in_the_schema_may_be_deidentified_otherwise(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    load_extract(publish({"visits": visits(["1"])}, deidentification=ONE), warehouse.destination)
    other = publish({"drugs": visits(["2"])}, project_id=71)
    load_extract(other, warehouse.destination, tables=["drugs"])
    assert warehouse.rows("drugs") == [("2",)]


@pytest.mark.parametrize("fact", [None, ONE])
def test_a_table_that_does_not_say_it_is_refused_until_its_comment_does(
    warehouse: "Warehouse", publish: "Publish", visits: Visits, fact: dict[str, Any] | None
) -> None:
    extract = publish({"visits": visits(["1"])}, deidentification=fact)
    load_extract(extract, warehouse.destination)
    said = warehouse.table("visits").comment
    comment = f"comment on table {warehouse.place('visits')} is "
    warehouse.ask(comment + "'Visits. Loaded by redcap-dagster from REDCap project 7.'")
    with pytest.raises(DestinationError, match=r"do not say whether .* de-identified: visits\."):
        load_extract(extract, warehouse.destination)
    assert warehouse.rows("visits") == [("1",)]
    warehouse.ask(f"{comment}'{said}'")
    load_extract(extract, warehouse.destination)
