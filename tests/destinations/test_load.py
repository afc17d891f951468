"""What is in a database after a load is what was published, in either kind of database."""

from collections.abc import Callable
from datetime import date, datetime, time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from redcap_dagster.destinations import PARTITION_COLUMN, load_extract
from redcap_dagster.destinations.load import TableLoad, load_tables
from redcap_dagster.errors import ConfigError, DestinationError, TableError

if TYPE_CHECKING:
    from tests.destinations.conftest import Publish, Warehouse

Visits = Callable[..., pa.Table]

EVERY_TYPE: dict[str, tuple[pa.DataType, Any]] = {
    "weight": (pa.float64(), 71.5),
    "age": (pa.int64(), 41),
    "is_smoker": (pa.bool_(), True),
    "born": (pa.date32(), date(1983, 2, 28)),
    "seen": (pa.timestamp("ms"), datetime(2026, 11, 22, 8, 30, 15)),  # noqa: DTZ001
    "woke": (pa.time32("ms"), time(6, 45)),
    "drugs": (pa.list_(pa.field("element", pa.string())), ["a", "b;'"]),
}


def writes_times() -> bool:
    return tuple(map(int, version("adbc-driver-postgresql").split(".")[:2])) >= (1, 13)


def names(table: Any) -> list[str]:
    return list(table.types)


def test_every_type_arrives_with_key_and_comments(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    every_type = dict(EVERY_TYPE)
    if warehouse.destination.kind == "postgresql" and not writes_times():
        del every_type["woke"]
    columns = {name: pa.array([value, None], kind) for name, (kind, value) in every_type.items()}
    site = pa.array(["north", None]).dictionary_encode()
    extract = publish({"visits": visits(["007", ""], **columns, site=site)})
    (loaded,) = load_extract(extract, warehouse.destination)
    values = [value for _, value in every_type.values()]
    assert warehouse.rows("visits", "1 desc") == [
        ("007", *values, "north"),
        ("", *([None] * len(values)), None),
    ]
    there = warehouse.table("visits")
    assert dict(loaded.columns) == there.types
    assert there.key_columns == {"record_id"}
    assert there.comment == (
        "Visits. Loaded by redcap-dagster from REDCap project 7, not de-identified."
    )
    assert there.comments["age"] == "The age of it's visit"
    assert (loaded.rows, loaded.is_new, loaded.added) == (2, True, ())


def test_times_that_an_old_driver_cannot_write_are_refused_by_name(
    postgresql: "Warehouse",
    publish: "Publish",
    visits: Visits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("redcap_dagster.destinations.postgresql_server.version", lambda _: "1.12.0")
    extract = publish({"visits": visits(["1"], woke=pa.array([time(6, 45)], pa.time32("ms")))})
    with pytest.raises(DestinationError, match="visits: its columns woke hold times of day"):
        load_extract(extract, postgresql.destination)
    assert postgresql.table("visits") is None


def test_a_whole_extract_takes_the_place_of_the_one_before(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    for ages in ({"1": 40, "2": 50}, {"2": 51, "3": 60}, {}):
        table = visits(list(ages), age=pa.array(list(ages.values()), pa.int64()))
        (loaded,) = load_extract(publish({"visits": table}), warehouse.destination)
        assert warehouse.rows("visits") == list(ages.items())
    assert not loaded.is_new


def test_the_tables_that_are_named_are_loaded_and_no_others(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    extract = publish({"visits": visits(["1"]), "users": pa.table({"username": ["ada"]})})
    load_extract(extract, warehouse.destination, tables=["users"])
    assert warehouse.rows("users") == [("ada",)]
    assert warehouse.table("visits") is None
    with pytest.raises(TableError, match="There is no table nobody"):
        load_extract(extract, warehouse.destination, tables=["nobody"])


def test_more_rows_than_a_batch_holds_all_arrive(
    warehouse: "Warehouse", publish: "Publish", visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redcap_dagster.destinations.rows._CELLS_OF_A_BATCH", 2_000)
    ids = [f"{number:05}" for number in range(10_000)]
    load_extract(
        publish({"visits": visits(ids, age=pa.array(range(10_000)))}), warehouse.destination
    )
    assert warehouse.rows("visits") == [(name, int(name)) for name in ids]


def test_a_partition_replaces_its_rows_alone(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    def load(partition: str, **ages: int) -> Any:
        table = visits([name[1:] for name in ages], age=pa.array(ages.values(), pa.int64()))
        return load_extract(publish({"visits": table}, partition), warehouse.destination)

    load("bucket-0-of-2", _1=40, _2=50)
    load("bucket-1-of-2", _3=60)
    (loaded,) = load("bucket-0-of-2", _2=51)
    assert loaded.rows == 1
    assert names(warehouse.table("visits")) == ["record_id", "age", PARTITION_COLUMN]
    assert warehouse.rows("visits") == [("2", 51, "bucket-0-of-2"), ("3", 60, "bucket-1-of-2")]


@pytest.mark.parametrize("order", [("group-north", "group-south"), ("group-south", "group-north")])
def test_a_record_that_changed_its_group_is_there_once_whichever_is_loaded_first(
    warehouse: "Warehouse", publish: "Publish", visits: Visits, order: tuple[str, str]
) -> None:
    before = {"group-north": ["1", "2"], "group-south": ["3"]}
    after = {"group-north": ["1"], "group-south": ["2", "3"]}
    for state in (before, after):
        for partition in order:
            table = visits(state[partition])
            load_extract(publish({"visits": table}, partition), warehouse.destination)
    assert warehouse.rows("visits") == [
        ("1", "group-north"),
        ("2", "group-south"),
        ("3", "group-south"),
    ]


def test_rows_of_partitions_that_are_gone_are_refused_or_replaced(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    keys = frozenset({"bucket-0-of-2", "bucket-1-of-2"})
    load_extract(publish({"visits": visits(["1", "2"])}), warehouse.destination)
    load = TableLoad(
        "visits",
        {"bucket-0-of-2": publish({"visits": visits(["1"])}, "bucket-0-of-2")},
        partition_keys=keys,
    )
    with pytest.raises(DestinationError, match="partitions that the study does not have: no part"):
        load_tables([load], warehouse.destination)
    assert len(warehouse.rows("visits")) == 2
    load_tables([load], warehouse.destination, schema_changes="replace")
    assert warehouse.rows("visits") == [("1", "bucket-0-of-2")]


def test_several_partitions_at_once(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    extracts = {
        key: publish({"visits": visits(ids)}, key) for key, ids in {"a": ["1"], "b": ["2"]}.items()
    }
    (loaded,) = load_tables([TableLoad("visits", extracts)], warehouse.destination)
    assert loaded.rows == 2
    assert warehouse.rows("visits") == [("1", "a"), ("2", "b")]


def test_a_load_that_fails_leaves_every_table_as_it_was(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    load_extract(publish({"visits": visits(["1"])}), warehouse.destination)
    twice = {"arms": pa.table({"name": ["x"]}), "visits": visits(["zq-secret", "zq-secret"])}
    with pytest.raises(DestinationError) as caught:
        load_extract(publish(twice), warehouse.destination)
    assert "could not load table visits: rows are not unique by the table's key" in str(
        caught.value
    )
    assert "zq-secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert not caught.value.retryable
    assert warehouse.rows("visits") == [("1",)]
    assert warehouse.table("arms") is None


def test_a_file_that_does_not_hold_what_its_manifest_says_is_not_loaded(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    other = publish({"visits": visits(["1"])}, "other").file("visits")
    extract = publish({"visits": visits(["1", "2"])})
    extract.file("visits").write_bytes(other.read_bytes())
    with pytest.raises(DestinationError, match="1 rows after loading, where the extract has 2"):
        load_extract(extract, warehouse.destination)
    assert warehouse.table("visits") is None


def test_what_somebody_else_made_is_left_alone(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    warehouse.ask(f"create schema {warehouse.destination.schema}")
    warehouse.ask(f"create table {warehouse.place('users')} (name text)")
    warehouse.ask(f"create view {warehouse.place('visits')} as select 1 as record_id")
    extract = publish({"users": pa.table({"name": ["ada"]}), "visits": visits(["1"])})
    for table in ("users", "visits"):
        with pytest.raises(DestinationError, match=f"table {table} already, which was not made"):
            load_extract(extract, warehouse.destination, tables=[table])
    assert warehouse.rows("users") == []


def test_two_studies_do_not_share_a_table(warehouse: "Warehouse", publish: "Publish") -> None:
    users = {"users": pa.table({"name": ["ada"]})}
    load_extract(publish(users), warehouse.destination)
    with pytest.raises(DestinationError, match="table users already, which holds another study"):
        load_extract(publish(users, project_id=8), warehouse.destination)


def test_names_and_texts_of_the_study_are_never_read_as_sql(
    warehouse: "Warehouse", publish: "Publish"
) -> None:
    name = 'x"; drop table users; --'
    field = pa.field(name, pa.string(), metadata={"redcap.description": "'; drop table users; --"})
    table = pa.Table.from_arrays([pa.array(["1"])], schema=pa.schema([field]))
    users = pa.table({"name": ["ada"]})
    load_extract(publish({"odd": table, "users": users}), warehouse.destination)
    assert warehouse.rows("users") == [("ada",)]
    assert warehouse.table("odd").comments == {name: "'; drop table users; --"}


def test_a_policy_that_there_is_not_is_refused(warehouse: "Warehouse", publish: "Publish") -> None:
    with pytest.raises(ConfigError, match="no schema_changes='merge'; it takes add, refuse, repl"):
        load_extract(publish({}), warehouse.destination, schema_changes="merge")  # type: ignore[arg-type]
