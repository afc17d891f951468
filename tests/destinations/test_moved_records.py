"""A record that moved to another partition is there once, as the newest extract has it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from redcap_dagster.destinations import PARTITION_COLUMN, LoadedTable, TableLoad, load_tables
from redcap_dagster.destinations import load_extract as load_one
from redcap_dagster.errors import DestinationError
from redcap_dagster.tables import PublishedExtract

if TYPE_CHECKING:
    from tests.destinations.conftest import Publish, Warehouse

Visits = Callable[..., pa.Table]
NORTH, SOUTH, WEST = "group-north", "group-south", "group-west"


class Study:
    """Publishes visits of groups, and loads them into a database."""

    def __init__(self, warehouse: "Warehouse", publish: "Publish", visits: Visits) -> None:
        self.warehouse = warehouse
        self._publish = publish
        self._visits = visits

    def publish(
        self, group: str, *ids: str, hours: tuple[float, float] | None = None
    ) -> PublishedExtract:
        return self._publish({"visits": self._visits([*ids])}, group, hours=hours)

    def publish_another_table(self, group: str) -> PublishedExtract:
        """Visits stay as they were."""
        return self._publish({"drugs": self._visits(["1"])}, group)

    def load(self, *extracts: PublishedExtract) -> LoadedTable:
        parts = {extract.facts["partition"]: extract for extract in extracts}
        load = TableLoad("visits", parts, frozenset({NORTH, SOUTH, WEST}))
        (loaded,) = load_tables([load], self.warehouse.destination)
        return loaded

    @property
    def rows(self) -> dict[str, str]:
        found = self.warehouse.rows("visits")
        rows = dict(found)
        assert len(rows) == len(found)
        return rows


@pytest.fixture
def study(warehouse: "Warehouse", publish: "Publish", visits: Visits) -> Study:
    return Study(warehouse, publish, visits)


def test_an_older_extract_that_is_loaded_late_takes_no_row_from_a_newer_one(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    before = study.publish(NORTH, "1", "zq-moved")
    study.load(before)
    study.load(study.publish(SOUTH, "zq-moved"))
    with caplog.at_level(logging.INFO, "redcap_dagster.destinations"):
        late = study.load(before)
    assert study.rows == {"1": NORTH, "zq-moved": SOUTH}
    assert (late.rows, late.left_out) == (1, {NORTH: 1})
    assert "visits in partition group-north that were left out" in caplog.text
    assert "zq" not in caplog.text
    after = study.load(study.publish(NORTH, "1"))
    assert study.rows == {"1": NORTH, "zq-moved": SOUTH}
    assert (after.rows, after.left_out) == (1, {})


def test_a_record_that_moves_back_is_where_it_is_now(study: Study) -> None:
    study.load(study.publish(NORTH, "1"))
    south = study.publish(SOUTH, "1")
    study.load(south)
    study.load(study.publish(NORTH, "1"))
    assert study.rows == {"1": NORTH}
    assert study.load(south).rows == 0
    assert study.rows == {"1": NORTH}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_partitions_of_one_transaction_may_hold_the_same_record(
    study: Study, order: tuple[int, ...]
) -> None:
    extracts = [study.publish(NORTH, "1", "2"), study.publish(WEST, "2"), study.publish(SOUTH, "2")]
    for _ in range(2):  # into a new table, and into one that is there
        loaded = study.load(*(extracts[number] for number in order))
        assert study.rows == {"1": NORTH, "2": SOUTH}
        assert (loaded.rows, loaded.left_out) == (2, {NORTH: 1, WEST: 1})


def test_a_transaction_meets_older_and_newer_rows(study: Study) -> None:
    north, south = study.publish(NORTH, "1", "2"), study.publish(SOUTH, "2", "3")
    study.load(study.publish(WEST, "2", "3", "4"))
    loaded = study.load(south, north)
    assert study.rows == {"1": NORTH, "2": WEST, "3": WEST, "4": WEST}
    assert (loaded.rows, loaded.left_out) == (1, {NORTH: 1, SOUTH: 2})


def test_a_table_that_was_kept_is_as_old_as_the_extract_that_made_it(study: Study) -> None:
    study.load(study.publish(NORTH, "1", "2"))
    late = study.publish_another_table(NORTH)
    south = study.publish(SOUTH, "2")
    study.load(south)
    study.load(late)
    assert study.rows == {"1": NORTH, "2": SOUTH}
    with pytest.raises(DestinationError, match="Materialize group-north again"):
        # The table may be of any moment until then.
        study.load(study.publish_another_table(NORTH))
    assert study.rows == {"1": NORTH, "2": SOUTH}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("hours", [((5, 7), (6, 7)), ((5, 8), (6, 7)), ((6, 6), (6, 6))])
def test_extracts_of_the_same_time_are_not_guessed_about(
    study: Study, together: bool, hours: tuple[tuple[float, float], tuple[float, float]]
) -> None:
    north = study.publish(NORTH, "1", "zq-2", hours=hours[0])
    south = study.publish(SOUTH, "zq-2", hours=hours[1])
    if not together:
        study.load(north)
    with pytest.raises(DestinationError, match="partitions group-north and group-south") as caught:
        study.load(*((north, south) if together else (south,)))
    assert "Materialize group-north again and load it" in str(caught.value)
    assert caught.value.retryable
    assert "zq" not in str(caught.value)
    again = study.publish(NORTH, "1", hours=(8, 9))
    study.load(again)
    study.load(again, south)
    assert study.rows == {"1": NORTH, "zq-2": SOUTH}


def test_an_extract_that_begins_when_another_ends_is_newer(study: Study) -> None:
    north = study.publish(NORTH, "1", hours=(5, 6))
    study.load(study.publish(SOUTH, "1", hours=(6, 6)))
    study.load(north)
    assert study.rows == {"1": SOUTH}


def test_extracts_of_the_same_time_that_share_no_record_are_loaded(study: Study) -> None:
    study.load(study.publish(NORTH, "1", hours=(5, 7)))
    study.load(study.publish(SOUTH, "2", hours=(6, 7)))
    assert study.rows == {"1": NORTH, "2": SOUTH}


def test_an_extract_that_does_not_say_its_time_is_not_guessed_about(study: Study) -> None:
    north = study.publish(NORTH, "1")
    silent = replace(north, facts={**north.facts, "began": None})
    study.load(silent)
    with pytest.raises(DestinationError, match="Materialize group-north again and load it"):
        study.load(study.publish(SOUTH, "1"))
    study.load(north)
    study.load(study.publish(SOUTH, "1"))
    assert study.rows == {"1": SOUTH}


def test_the_rows_of_a_partition_are_not_replaced_by_older_ones(study: Study) -> None:
    older = study.publish(SOUTH, "3")
    newer = study.publish(SOUTH, "2", "3")
    study.load(newer)
    with pytest.raises(DestinationError, match="a newer extract of group-south is") as caught:
        study.load(older)
    assert caught.value.retryable
    assert study.rows == {"2": SOUTH, "3": SOUTH}
    study.load(newer)


def test_the_comment_of_the_partition_says_what_is_loaded(study: Study) -> None:
    study.load(study.publish(NORTH, "1", hours=(0, 0.5)))
    study.load(study.publish(SOUTH, "2", hours=(1, 2)))
    comment = study.warehouse.table("visits").comments[PARTITION_COLUMN]
    assert comment == (
        "Partition of the study. Extracts that are loaded, from when to when they were made: "
        '{"group-north": ["2026-11-22T08:00:00+00:00", "2026-11-22T08:30:00+00:00"], '
        '"group-south": ["2026-11-22T09:00:00+00:00", "2026-11-22T10:00:00+00:00"]}'
    )


def test_a_comment_that_somebody_changed_says_nothing(study: Study) -> None:
    study.load(study.publish(NORTH, "1"))
    column = f'{study.warehouse.place("visits")}."{PARTITION_COLUMN}"'
    for text in ("Site", "Site: {", "Site: [1]", 'Site: {"group-north": ["x"]}'):
        study.warehouse.ask(f"comment on column {column} is '{text}'")
        with pytest.raises(DestinationError, match="Materialize group-north again and load it"):
            study.load(study.publish(SOUTH, "1"))


def test_an_extract_alone_is_compared_too(study: Study) -> None:
    north, south = study.publish(NORTH, "1"), study.publish(SOUTH, "1")
    for extract in (south, north):
        load_one(extract, study.warehouse.destination)
    assert study.rows == {"1": SOUTH}


def test_rows_are_left_out_by_all_columns_of_their_key(
    warehouse: "Warehouse", publish: "Publish", visits: Visits
) -> None:
    def extract(group: str, ids: list[str], numbers: list[int]) -> PublishedExtract:
        table = visits(ids, number=pa.array(numbers, pa.int64()), drugs=[["a"]] * len(ids))
        facts = {**table.schema.metadata, b"redcap.key_columns": b'["record_id", "number"]'}
        return publish({"visits": table.replace_schema_metadata(facts)}, group)

    north = extract(NORTH, ["1", "1", "2"], [1, 2, 2])
    south = extract(SOUTH, ["1", "3"], [2, 2])
    for item in (south, north):
        (loaded,) = load_one(item, warehouse.destination)
    assert loaded.left_out == {NORTH: 1}
    assert [(row[0], row[1], row[-1]) for row in warehouse.rows("visits", "1, 2")] == [
        ("1", 1, NORTH),
        ("1", 2, SOUTH),
        ("2", 2, NORTH),
        ("3", 2, SOUTH),
    ]
