"""A study whose tables lie in an object store."""

from datetime import timedelta
from hashlib import sha256
from threading import Barrier
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from upath import UPath

from redcap_dagster import (
    RedcapParquetIOManager,
    build_redcap_assets,
    build_redcap_change_sensor,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.tables import current_extract, read_published, to_pandas, verify_extract

if TYPE_CHECKING:
    from tests.object_stores import S3Server
    from tests.orchestration.conftest import Study

EVENT = "screening_arm_1"
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@pytest.fixture
def out_dir(s3: str) -> str:
    return f"{s3}/studies/asthma"


every_store = pytest.mark.parametrize("store", ["s3", "gs", "az"])


@every_store
def test_a_study_is_published_there_and_judged_there(
    study: "Study", store: str, request: pytest.FixtureRequest
) -> None:
    out_dir = f"{request.getfixturevalue(store)}/studies/asthma"
    include = ["records", "spirometry", "rejected_values"]
    assets = build_redcap_assets(study.project, out_dir=out_dir, include=include)
    with dg.instance_for_test() as instance:
        result = study.materialize(assets=assets, instance=instance)
        logged = "".join(str(entry) for entry in instance.all_logs(result.run_id))
    study.materialize(
        assets=build_redcap_assets(study.project, out_dir=study.out_dir, include=include)
    )
    here, there = current_extract(study.out_dir), current_extract(out_dir)
    assert {name: table.sha256 for name, table in there.tables.items()} == {
        name: table.sha256 for name, table in here.tables.items()
    }
    assert verify_extract(there.path) == ()
    assert f"{out_dir}/extracts/{there.extract_id}/spirometry.parquet" in logged
    assert "the-secret-key" not in logged
    assert "the-key-id" not in logged
    checks = dg.AssetSelection.checks(
        dg.AssetCheckKey(dg.AssetKey("records"), "complete_extract"),
        dg.AssetCheckKey(dg.AssetKey("spirometry"), "schema"),
    )
    again = study.materialize(assets=assets, selection=checks)
    found = {item.check_name: item for item in again.get_asset_check_evaluations()}
    assert found["complete_extract"].metadata["changed_files"].value == 0
    assert found["complete_extract"].passed
    assert not found["schema"].passed  # of the study's planted mistakes


def test_one_partition_several_or_all_are_handed_over_as_any_frame(
    study: "Study", out_dir: str
) -> None:
    partitions = record_partitions(3)
    assets = build_redcap_assets(study.project, out_dir=out_dir, partitions_def=partitions)
    for key in partitions.get_partition_keys():
        study.materialize(assets=assets, selection=["spirometry"], partition_key=key)
    keys = partitions.get_partition_keys()
    columns = ["fev1_l", "participant_id"]
    got: dict[str, Any] = {}

    def asset(name: str, annotation: Any, part: dg.PartitionsDefinition[str] | None) -> Any:
        def downstream(spirometry: Any) -> None:
            got[name] = spirometry

        downstream.__annotations__["spirometry"] = annotation
        return dg.asset(
            name=name,
            partitions_def=part,
            ins={
                "spirometry": dg.AssetIn(
                    key="spirometry", input_manager_key="tables", metadata={"columns": columns}
                )
            },
        )(downstream)

    made = [
        asset("in_pandas", pd.DataFrame, None),
        asset("in_arrow", pa.Table, None),
        asset("in_polars", pl.DataFrame, None),
        asset("in_duckdb", duckdb.DuckDBPyRelation, None),
    ]
    one = asset("one", pa.Table, partitions)
    resources = {
        "tables": RedcapParquetIOManager(out_dir=out_dir),
        "redcap": study.resource(),
    }
    dg.materialize([assets, *made], selection=made, resources=resources, run_config=QUIET)
    dg.materialize(
        [assets, one], selection=[one], resources=resources, run_config=QUIET, partition_key=keys[1]
    )
    pieces = [read_published(f"{out_dir}/{key}", "spirometry", columns) for key in keys]
    whole = pa.concat_tables(pieces)
    assert whole.num_rows > 0
    assert got["one"].equals(pieces[1])
    assert got["in_arrow"].equals(whole)
    pd.testing.assert_frame_equal(got["in_pandas"], to_pandas(whole))
    assert got["in_polars"].equals(pl.from_arrow(whole))
    assert got["in_duckdb"].columns == columns
    assert len(got["in_duckdb"].fetchall()) == whole.num_rows
    several = RedcapParquetIOManager(out_dir=out_dir).read("spirometry", keys[:2], columns)
    assert several.equals(pa.concat_tables(pieces[:2]))


def test_attachments_lie_beside_the_tables(
    study: "Study", out_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = build_redcap_assets(study.project, out_dir=out_dir, include=["attachments"])
    client = RedcapClient(study.emulator.url, study.token, retries=0)
    client.import_records([{"participant_id": "F-1", "redcap_event_name": EVENT}])

    def put_and_fetch(content: bytes) -> dict[str, Any]:
        client.import_file("F-1", "consent_form", content, name="c.pdf", event=EVENT)
        assert study.materialize(assets=assets).success
        (row,) = [
            row
            for row in read_published(out_dir, "attachments").to_pylist()
            if row["participant_id"] == "F-1"
        ]
        assert (UPath(out_dir) / row["path"]).read_bytes() == content
        return row

    first = put_and_fetch(b"%PDF one")
    assert first["path"].endswith(sha256(b"%PDF one").hexdigest())
    study.emulator.requests.clear()
    put_and_fetch(b"%PDF two")
    assert study.asked("file") == 1 + 1  # ours, and the one that is new
    assert (UPath(out_dir) / first["path"]).exists()
    study.materialize(assets=assets)
    assert (UPath(out_dir) / first["path"]).exists()
    monkeypatch.setattr(
        "redcap_dagster.orchestration.attachment_contents._RUN_LASTS_AT_MOST", timedelta(0)
    )
    study.materialize(assets=assets)
    assert not (UPath(out_dir) / first["path"]).exists()


def test_the_change_sensor_reads_side_by_side_and_no_more_than_it_needs(
    study: "Study", out_dir: str, s3_server: "S3Server"
) -> None:
    partitions = record_partitions(2)
    assets = build_redcap_assets(
        study.project, out_dir=out_dir, partitions_def=partitions, include=["records"]
    )
    keys = partitions.get_partition_keys()
    for key in keys:
        study.materialize(assets=assets, partition_key=key)
    sensor = build_redcap_change_sensor(assets)
    instance = dg.DagsterInstance.ephemeral()

    def look(cursor: str | None) -> tuple[list[str | None], str | None]:
        s3_server.asked.clear()
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"redcap": study.resource()}
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        return [request.partition_key for request in result.run_requests or []], result.cursor

    def asked_for(file: str) -> list[str]:
        return [path for path in s3_server.asked if path.endswith(f"/{file}")]

    s3_server.meeting = Barrier(len(keys))
    requested, cursor = look(None)
    assert requested == []
    assert not s3_server.meeting.broken
    s3_server.meeting = None
    assert len(asked_for("manifest.json")) == len(keys)
    assert look(cursor)[0] == []
    assert s3_server.asked == []
    row = read_published(f"{out_dir}/{keys[0]}", "records").to_pylist()[0]
    place = {name: row[name] for name in ("participant_id", "redcap_event_name")}
    with RedcapClient(study.emulator.url, study.token, retries=0) as client:
        client.import_records([place | {"first_name": "Ada"}])
    assert look(cursor)[0] == [keys[0]]
    # Of both to see which is older, and of the one that is wanted to see whether it was made.
    assert len(asked_for("manifest.json")) == len(keys) + 1
    # The log names the record of the other: what it holds need not be read.
    assert {f"/{keys[1]}/" in path for path in asked_for("records.parquet")} == {True}
