"""A table in the database that is not as the extract has it: added to, refused or made anew."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from redcap_dagster.destinations import TableLoad, load_extract, load_tables
from redcap_dagster.errors import DestinationError

if TYPE_CHECKING:
    from tests.destinations.conftest import Publish, Warehouse

Visits = Callable[..., pa.Table]


def test_a_new_column_appears_and_one_that_is_gone_stays_as_nulls(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    load_extract(publish({"visits": visits(["1"], age=[40])}), warehouse.destination)
    extract = publish({"visits": visits(["1", "2"], pulse=[70, 80])})
    (loaded,) = load_extract(extract, warehouse.destination)
    assert warehouse.rows("visits") == [("1", None, 70), ("2", None, 80)]
    assert (loaded.added, loaded.is_new) == (("pulse",), False)
    assert warehouse.table("visits").comments["pulse"] == "The pulse of it's visit"


def test_a_partition_loaded_before_a_column_was_there_has_nulls_in_it(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    load_extract(publish({"visits": visits(["1"])}, "a"), warehouse.destination)
    load_extract(publish({"visits": visits(["2"], age=[40])}, "b"), warehouse.destination)
    assert warehouse.rows("visits") == [("1", "a", None), ("2", "b", 40)]


def test_a_label_that_was_changed_is_the_new_comment(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    table = visits(["1"])
    load_extract(publish({"visits": table}), warehouse.destination)
    field = table.schema.field(0).with_metadata({"redcap.description": "Study number"})
    schema = pa.schema([field], {**table.schema.metadata, b"redcap.label": b"All visits"})
    load_extract(publish({"visits": table.cast(schema)}), warehouse.destination)
    there = warehouse.table("visits")
    assert there.comments == {"record_id": "Study number"}
    assert there.comment.startswith("All visits. Loaded by")


@pytest.mark.parametrize("policy", ["add", "refuse"])
def test_a_column_of_another_type_is_refused_by_name(
    warehouse: "Warehouse", publish: "Publish", visits: Visits, policy: str
) -> None:
    load_extract(publish({"visits": visits(["1"], age=[40])}), warehouse.destination)
    extract = publish({"visits": visits(["1"], age=["forty"])})
    with pytest.raises(DestinationError, match=r"another type age \(is (BIGINT|bigint), comes as"):
        load_extract(extract, warehouse.destination, schema_changes=policy)  # type: ignore[arg-type]
    assert warehouse.rows("visits") == [("1", 40)]


def test_a_table_that_is_made_anew_has_the_new_types_and_key(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    load_extract(publish({"visits": visits(["1"], age=[40], pulse=[70])}), warehouse.destination)
    table = visits(["1", "1"], age=["forty", "fifty"])
    facts = {**table.schema.metadata, b"redcap.key_columns": b'["record_id", "age"]'}
    extract = publish({"visits": table.replace_schema_metadata(facts)})
    with pytest.raises(DestinationError, match="; another key"):
        load_extract(extract, warehouse.destination)
    (loaded,) = load_extract(extract, warehouse.destination, schema_changes="replace")
    assert loaded.is_new
    assert warehouse.rows("visits", "age") == [("1", "fifty"), ("1", "forty")]
    there = warehouse.table("visits")
    assert there.key_columns == {"record_id", "age"}
    assert there.comments["age"] == "The age of it's visit"


@pytest.mark.parametrize(
    ("columns", "named"), [({"age": [40], "pulse": [70]}, "new columns pulse"), ({}, "gone age")]
)
def test_any_difference_can_be_refused(
    warehouse: "Warehouse",
    publish: "Publish",
    visits: Visits,
    columns: dict[str, list[int]],
    named: str,
) -> None:
    load_extract(publish({"visits": visits(["1"], age=[40])}), warehouse.destination)
    with pytest.raises(DestinationError, match=named):
        load_extract(
            publish({"visits": visits(["1"], **columns)}),
            warehouse.destination,
            schema_changes="refuse",
        )
    same = publish({"visits": visits(["2"], age=[50])})
    load_extract(same, warehouse.destination, schema_changes="refuse")
    assert warehouse.rows("visits") == [("2", 50)]


def test_a_table_is_not_made_anew_under_the_rows_of_other_partitions(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    for key in ("a", "b"):
        load_extract(publish({"visits": visits([key], age=[40])}, key), warehouse.destination)
    extracts = {key: publish({"visits": visits([key], age=["x"])}, key) for key in ("a", "b")}
    with pytest.raises(DestinationError, match="rows of 1 partitions that are not loaded now"):
        load_extract(extracts["a"], warehouse.destination, schema_changes="replace")
    load_tables([TableLoad("visits", extracts)], warehouse.destination, schema_changes="replace")
    assert warehouse.rows("visits") == [("a", "x", "a"), ("b", "x", "b")]


def test_partitions_of_different_designs_are_not_loaded_together(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    extracts = {
        "a": publish({"visits": visits(["1"], age=[40])}, "a"),
        "b": publish({"visits": visits(["2"], age=["x"])}, "b"),
    }
    with pytest.raises(DestinationError, match="made by different designs of the study"):
        load_tables([TableLoad("visits", extracts)], warehouse.destination)
