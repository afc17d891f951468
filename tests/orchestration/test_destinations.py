"""A study's tables in a database, as assets downstream of those of the study."""

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
import pytest

from redcap_dagster import (
    RedcapDestination,
    build_redcap_assets,
    build_redcap_destination_assets,
    data_access_group_partitions,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.destinations import Destination
from redcap_dagster.destinations.statements import address, quoted
from redcap_dagster.errors import ConfigError
from redcap_dagster.tables import ExtractWriter, read_published
from tests.orchestration.edits import ids_of, import_row
from tests.orchestration.runs import in_one_run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

PAGE = Path(__file__).parents[2] / "docs" / "destinations.md"
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
Run = Callable[..., dg.ExecuteInProcessResult]
Rows = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a DuckDB file, which the environment names."""
    address = f"duckdb:///{tmp_path}/warehouse.duckdb"
    monkeypatch.setenv("WAREHOUSE_URL", address)
    return address


def database(schema: str = "asthma") -> RedcapDestination:
    return RedcapDestination(url=dg.EnvVar("WAREHOUSE_URL"), schema_name=schema)


@pytest.fixture
def rows(url: str) -> Rows:
    """The rows of a table in the database."""

    def _rows(table: str) -> list[tuple[Any, ...]]:
        place = address("asthma", table)
        with Destination(url).open() as opened:
            return opened.execute(f"select * from {place} order by all")  # noqa: S608

    return _rows


def run(
    study: "Study", assets: list[dg.AssetsDefinition], **options: Any
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        resources={"redcap": study.resource(), "destination": database()},
        run_config=QUIET,
        **options,
    )


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Metadata of what was loaded, by table."""
    return {
        event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[0] == "duckdb"
    }


def test_a_whole_study_is_in_the_database_after_one_run(study: "Study", rows: Rows) -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, key_prefix="asthma")
    result = run(study, [assets, *build_redcap_destination_assets(assets, kind="duckdb")])
    said = metadata_of(result)
    assert said.keys() == {key.path[-1] for key in assets.keys}
    for table in ("enrolment", "records", "users", "rejected_values"):
        expected = [tuple(row.values()) for row in study.table(table)]
        assert sorted(rows(table), key=str) == sorted(expected, key=str)
        assert said[table]["dagster/row_count"].value == len(expected)
    spirometry = said["spirometry"]
    assert spirometry["dagster/table_name"].value == "asthma.spirometry"
    columns = {column.name: column for column in spirometry["dagster/column_schema"].value.columns}
    assert columns["fev1_l"].type == "DOUBLE"
    assert columns["fev1_l"].description
    lineage = spirometry["dagster/column_lineage"].value.deps_by_column
    assert lineage["fev1_l"] == [dg.TableColumnDep(dg.AssetKey(["asthma", "spirometry"]), "fev1_l")]


def test_one_table_is_loaded_alone(study: "Study", rows: Rows, url: str) -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    loaded = build_redcap_destination_assets(assets, kind="duckdb")
    selection = ["enrolment", "duckdb/enrolment"]
    result = run(study, [assets, *loaded], selection=selection)
    assert metadata_of(result).keys() == {"enrolment"}
    assert len(rows("enrolment")) == 60
    with Destination(url, "asthma").open() as opened:
        assert opened.table_there("spirometry") is None


def test_each_partition_replaces_its_own_rows(study: "Study", rows: Rows) -> None:
    partitions = record_partitions(3)
    first, second, third = partitions.get_partition_keys()
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    loaded = build_redcap_destination_assets(
        assets, kind="duckdb", backfill_policy=dg.BackfillPolicy.single_run()
    )
    selection = ["enrolment", "duckdb/enrolment"]
    both = in_one_run([first, second])
    result = run(study, [assets, *loaded], selection=selection, tags=both)
    said = {
        event.partition: event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["duckdb", "enrolment"])
    }
    counts = {key: len(study.table("enrolment", key)) for key in (first, second)}
    assert {
        key: metadata["dagster/partition_row_count"].value for key, metadata in said.items()
    } == counts
    for _ in range(2):
        run(study, [assets, *loaded], selection=selection, partition_key=third)
    found = rows("enrolment")
    assert len({row[0] for row in found}) == len(found) == 60
    assert {row[-1] for row in found} == {first, second, third}


def test_a_record_that_moved_is_not_lost_when_an_older_extract_is_loaded_late(
    study: "Study", rows: Rows
) -> None:
    with RedcapClient(study.emulator.url, study.token, retries=0) as client:
        groups = [row["unique_group_name"] for row in client.export_data_access_groups()]
        partitions = data_access_group_partitions(groups)
        old, new = (f"group-{name}" for name in groups[:2])
        assets = build_redcap_assets(
            study.project, out_dir=study.out_dir, include=["enrolment"], partitions_def=partitions
        )
        loaded = build_redcap_destination_assets(assets, kind="duckdb", tables=["enrolment"])
        every = [assets, *loaded]
        run(study, every, selection=["enrolment", "duckdb/enrolment"], partition_key=old)
        record = study.table("enrolment", old)[0]
        record_id = record["participant_id"]
        place = {"redcap_event_name": record["redcap_event_name"]}
        import_row(
            client,
            {"participant_id": record_id, **place, "redcap_data_access_group": groups[1]},
        )
    time.sleep(1.1)  # extracts of the same second have no order
    run(study, every, selection=["enrolment", "duckdb/enrolment"], partition_key=new)
    late = run(study, every, selection=["duckdb/enrolment"], partition_key=old)
    said = metadata_of(late)["enrolment"]
    others = len(study.table("enrolment", old)) - 1
    assert said["redcap/rows_left_out"].value == 1
    assert said["dagster/partition_row_count"].value == others
    after = run(study, every, selection=["enrolment", "duckdb/enrolment"], partition_key=old)
    assert "redcap/rows_left_out" not in metadata_of(after)["enrolment"]
    assert [row[-1] for row in rows("enrolment") if row[0] == record_id] == [new]
    assert len([row for row in rows("enrolment") if row[-1] == old]) == others


def test_a_record_that_was_changed_on_two_days_is_there_twice(study: "Study", rows: Rows) -> None:
    days = dg.DailyPartitionsDefinition("2026-01-01", end_offset=1)
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        include=[],
        record_changes_partitions=days,
        quality=None,
    )
    loaded = build_redcap_destination_assets(assets, kind="duckdb")
    today = datetime.now().date()  # noqa: DTZ005 - the emulator's local time
    both = [(today - timedelta(days=1)).isoformat(), today.isoformat()]
    place = {"redcap_event_name": "baseline_arm_1"}
    with RedcapClient(study.emulator.url, study.token, retries=0) as client:
        record_id = ids_of(client)[0]
        for back in (1, 0):
            study.emulator.faults.add("clock", seconds=-back * 24 * 3600)
            import_row(client, {"participant_id": record_id, **place, "fev1_l": f"1.1{back}"})
            study.emulator.faults.clear()
    for day in [*both, both[0]]:
        run(study, [assets, *loaded], partition_key=day)
    assert {(row[0], row[-1]) for row in rows("record_changes")} == {
        (record_id, day) for day in both
    }
    published = sum(len(study.table("record_changes", day)) for day in both)
    assert len(rows("record_changes")) == published


def test_a_table_that_the_token_may_not_see_keeps_no_other_from_being_loaded(
    study: "Study", rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = study.emulator.add_user(study.token, "reader", rights={"user_rights": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    tables = ["enrolment", "metadata", "users", "user_roles", "data_access_groups"]
    loaded = build_redcap_destination_assets(assets, kind="duckdb", tables=tables)
    selection = [*tables, *(f"duckdb/{name}" for name in tables)]
    said = metadata_of(run(study, [assets, *loaded], selection=selection))
    assert said.keys() == {"enrolment", "metadata", "data_access_groups"}
    assert len(rows("enrolment")) == 60


def test_what_was_never_published_is_named(study: "Study", url: str) -> None:  # noqa: ARG001
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    loaded = build_redcap_destination_assets(assets, kind="duckdb")
    with pytest.raises(dg.Failure, match="table enrolment was never published") as caught:
        run(study, [assets, *loaded], selection=["duckdb/enrolment"])
    assert not caught.value.allow_retries


def test_a_load_that_fails_tells_dagster_no_value(study: "Study", rows: Rows) -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    loaded = build_redcap_destination_assets(assets, kind="duckdb")
    run(study, [assets, *loaded], selection=["enrolment", "duckdb/enrolment"])
    before = rows("enrolment")
    table = read_published(study.out_dir, "enrolment")
    with ExtractWriter(study.out_dir, study.project, []) as writer:
        writer.write_table("enrolment", pa.concat_tables([table, table]))
        writer.publish({"project_id": study.project.info.project_id, "partition": None})
    result = run(study, [assets, *loaded], selection=["duckdb/enrolment"], raise_on_error=False)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    error = failed.step_failure_data.error
    told: list[str] = []
    while error is not None:
        told += [error.to_string(), str(error.context)]
        error = error.cause
    assert "rows are not unique by the table's key" in "".join(told)
    assert not any(str(before[0][0]) in text for text in told)
    assert rows("enrolment") == before


def test_specs_follow_the_study_and_the_translation(study: "Study") -> None:
    partitions = record_partitions(3)
    assets = build_redcap_assets(
        study.project,
        key_prefix="asthma",
        partitions_def=partitions,
        io_manager_key="frames",
    )
    loaded = build_redcap_destination_assets(
        assets,
        kind="postgresql",
        key_prefix="warehouse",
        tables=["enrolment", "users"],
        translation=lambda spec, props: spec.replace_attributes(owners=[f"team:{props.kind}"]),
    )
    specs = {key.path[-1]: spec for item in loaded for key, spec in item.specs_by_key.items()}
    assert specs.keys() == {"enrolment", "users"}
    spec = specs["enrolment"]
    assert spec.key == dg.AssetKey(["warehouse", "asthma", "enrolment"])
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["asthma", "enrolment"])]
    assert spec.kinds == {"redcap", "postgresql"}
    assert spec.owners == ["team:instrument"]
    assert spec.partitions_def == partitions
    assert specs["users"].partitions_def is None
    assert spec.group_name == assets.specs_by_key[dg.AssetKey(["asthma", "enrolment"])].group_name


def test_tables_that_are_no_assets_are_refused_by_name(study: "Study") -> None:
    assets = build_redcap_assets(study.project, include=["enrolment"])
    with pytest.raises(ConfigError, match=r"names nothing, users, which is no asset .*: enrolment"):
        build_redcap_destination_assets(assets, kind="duckdb", tables=["users", "nothing"])


def test_the_same_in_postgresql(
    study: "Study", postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", postgresql_url)
    schema = f"redcap_test_{token_hex(4)}"
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    loaded = build_redcap_destination_assets(assets, kind="postgresql")
    tables = ["enrolment", "users"]
    try:
        for _ in range(2):
            dg.materialize(
                [assets, *loaded],
                resources={"redcap": study.resource(), "destination": database(schema)},
                selection=[*tables, *(f"postgresql/{name}" for name in tables)],
                run_config=QUIET,
            )
        with Destination(postgresql_url, schema).open() as opened:
            for table in tables:
                place = address(schema, table)
                ((count,),) = opened.execute(f"select count(*) from {place}")  # noqa: S608
                assert count == len(study.table(table))
    finally:
        with Destination(postgresql_url).open() as opened:
            opened.execute(f"drop schema if exists {quoted(schema)} cascade")


def test_the_pages_own_lines_do_it(url: str, materialize_definitions: Callable[..., None]) -> None:
    _, snippet = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    materialize_definitions(snippet, ["my_study", "events"], ["duckdb", "my_study", "events"])
    with Destination(url, "my_study").open() as opened:
        assert opened.table_there("events") is not None
