"""A study's assets, materialized through Dagster from an emulator over HTTP."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from example_pipeline.study.planted_mistakes import PLANTED_MISTAKES
from redcap_dagster import (
    DagsterRedcapTranslator,
    RedcapProject,
    RedcapResource,
    RedcapTableProps,
    build_redcap_assets,
    record_partitions,
    redcap_assets,
)
from redcap_dagster.errors import ConfigError
from redcap_dagster.tables import current_extract, has_extract, verify_extract
from tests.orchestration.runs import in_one_run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

CountRows = Callable[[dg.ExecuteInProcessResult], dict[str, int]]
INSTRUMENTS = [
    "enrolment",
    "demographics",
    "medical_history",
    "spirometry",
    "asthma_control_test",
    "laboratory",
    "medications",
    "adverse_events",
    "study_completion",
]
ALL_TABLES = [
    "records",
    *INSTRUMENTS,
    "rejected_values",
    "quality_findings",
    "metadata",
    "instruments",
    "arms",
    "events",
    "form_event_mappings",
    "repeating_instruments_events",
    "project_info",
    "users",
    "user_form_rights",
    "user_roles",
    "data_access_groups",
]


def test_every_table_of_the_study_is_an_asset(study: "Study", count_rows: CountRows) -> None:
    result = study.materialize()
    assert result.success
    counts = count_rows(result)
    assert list(counts) == ALL_TABLES
    assert counts["enrolment"] == 60
    assert counts == {name: len(study.table(name)) for name in ALL_TABLES}


def test_a_materialization_says_rows_columns_address_and_content(study: "Study") -> None:
    result = study.materialize(selection=["enrolment"])
    (event,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("enrolment")
    ]
    path = Path(str(event.metadata["dagster/uri"].value))
    table = pq.read_table(path)
    schema = event.metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [(column.name, column.type) for column in schema.columns] == [
        (column.name, str(column.type)) for column in table.schema
    ]
    assert event.metadata["dagster/row_count"].value == table.num_rows == 60
    assert event.metadata["dagster/size_bytes"].value == path.stat().st_size
    key = schema.columns[0]
    assert (key.name, key.constraints.nullable) == ("participant_id", False)
    assert event.tags is not None
    assert event.tags["dagster/data_version"] == event.metadata["redcap/sha256"].value
    said = {name: entry.value for name, entry in event.metadata.items()}
    assert said["redcap/records_exported"] == 60
    assert said["redcap/cells_exported"] > table.num_rows
    assert 0 < said["redcap/requests"] <= len(study.emulator.requests)
    assert [said[f"redcap/{name}"] for name in ("retries", "requests_split")] == [0, 0]
    assert said["redcap/export_seconds"] > 0
    assert said["redcap/is_state_of_one_moment"] is True
    completeness = current_extract(study.out_dir).facts["completeness"]
    assert said["redcap/state_of"] == completeness["state_of"]


def test_columns_show_label_constraints_form_and_identifier(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    schema = assets.specs_by_key[dg.AssetKey("demographics")].metadata["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    email = columns["email"]
    assert email.description == study.project.fields_by_name["email"].label
    assert "format email" in email.constraints.other
    assert email.tags["redcap/identifier"] == "y"
    assert email.tags["redcap/form"] == "demographics"


def test_one_instrument_asks_redcap_for_that_form_alone(
    study: "Study", count_rows: CountRows
) -> None:
    study.materialize()
    all_cells = sum(item.cells for item in study.emulator.requests if item.content == "record")
    before = current_extract(study.out_dir)
    study.emulator.requests.clear()

    result = study.materialize(selection=["study_completion"])

    asked = [item for item in study.emulator.requests if item.content == "record"]
    assert sum(item.cells for item in asked) < all_cells / 4
    assert study.asked("user") == 0
    # What is wrong in it is written with it, and Dagster is told.
    assert set(count_rows(result)) == {"study_completion", "rejected_values", "quality_findings"}
    after = current_extract(study.out_dir)
    assert set(after.tables) == set(before.tables)
    assert after.tables["enrolment"] == before.tables["enrolment"]


def test_running_again_publishes_the_same_bytes(study: "Study") -> None:
    study.materialize()
    first = current_extract(study.out_dir)
    study.materialize()
    second = current_extract(study.out_dir)
    assert first.extract_id != second.extract_id
    assert {name: table.sha256 for name, table in first.tables.items()} == {
        name: table.sha256 for name, table in second.tables.items()
    }
    assert verify_extract(study.out_dir / "current") == ()


def test_small_batches_and_threads_make_the_same_tables(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, quality=None)
    study.materialize(assets=assets)
    whole = current_extract(study.out_dir)
    study.emulator.requests.clear()
    resource = study.resource(cells_per_request=4_000, concurrency=3)
    study.materialize(assets=assets, resource=resource)
    cut = current_extract(study.out_dir)
    assert study.asked("record") > 20
    assert {name: table.sha256 for name, table in cut.tables.items()} == {
        name: table.sha256 for name, table in whole.tables.items()
    }


def test_the_schema_checks_find_the_planted_mistakes_and_nothing_else(study: "Study") -> None:
    result = study.materialize()
    found: dict[tuple[str, str], int] = {}
    for check in result.get_asset_check_evaluations():
        if check.check_name != "schema":
            continue
        assert check.severity is dg.AssetCheckSeverity.WARN
        table = check.metadata["by_field_and_rule"].value
        for record in table.records:
            field, rows = str(record.data["field"]), int(str(record.data["rows"]))
            instrument = check.asset_key.path[-1]
            found[instrument, field] = found.get((instrument, field), 0) + rows
        assert check.passed == (not table.records)
    planted: dict[tuple[str, str], int] = {}
    for mistake in PLANTED_MISTAKES:
        if mistake.rule in {"C", "D", "G"}:
            key = (mistake.instrument, mistake.field)
            planted[key] = planted.get(key, 0) + mistake.count
    assert found == planted


def test_rejected_values_are_listed_with_their_text_and_null_in_their_table(
    study: "Study",
) -> None:
    study.materialize()
    rejected = [row for row in study.table("rejected_values") if row["field"] == "fvc_l"]
    assert [(row["value"], row["rule"]) for row in rejected] == [("not done", "number")] * 3
    keys = {(row["participant_id"], row["redcap_event_name"]) for row in rejected}
    assert {
        row["fvc_l"]
        for row in study.table("spirometry")
        if (row["participant_id"], row["redcap_event_name"]) in keys
    } == {None}


def test_the_manifest_proves_the_extract_without_values(study: "Study") -> None:
    study.materialize()
    manifest = json.loads((study.out_dir / "current" / "manifest.json").read_text())
    assert manifest["export"]["records_done"] == manifest["export"]["records_asked"] == 60
    proof = manifest["conservation"]
    assert proof["cells_received"] == (
        proof["cells_in_tables"] + proof["cells_missing_coded"] + proof["cells_rejected"]
    )
    assert proof["cells_rejected"] == len(study.table("rejected_values"))
    assert manifest["design_fingerprint"] == study.project.fingerprint


def test_partitions_split_the_records_and_can_be_materialized_apart(study: "Study") -> None:
    partitions = record_partitions(4)
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, partitions_def=partitions)
    seen: list[str] = []
    for key in partitions.get_partition_keys():
        result = study.materialize(
            assets=assets, partition_key=key, selection=["records", "enrolment"]
        )
        assert result.success
        seen += [row["participant_id"] for row in study.table("enrolment", key)]
    assert len(seen) == 60
    assert len(set(seen)) == 60

    study.materialize(assets=assets, selection=["metadata"])
    assert has_extract(study.out_dir)
    assert len(study.table("metadata")) == len(study.project.fields_by_name)


def test_a_partition_asks_for_its_own_records_only(study: "Study", count_rows: CountRows) -> None:
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, partitions_def=record_partitions(10)
    )
    result = study.materialize(assets=assets, partition_key="bucket-3-of-10")
    exported = [
        item for item in study.emulator.requests if item.content == "record" and item.records
    ]
    assert sum(item.records or 0 for item in exported) == count_rows(result)["enrolment"]
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("records")
    ]
    assert event.partition == "bucket-3-of-10"


def test_a_backfill_in_one_run_publishes_each_partition(study: "Study") -> None:
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        partitions_def=record_partitions(3),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    tags = in_one_run(["bucket-0-of-3", "bucket-2-of-3"])
    result = study.materialize(assets=assets, selection=["enrolment"], tags=tags)
    assert result.success
    assert sum(len(study.table("enrolment", f"bucket-{n}-of-3")) for n in range(3)) == 60


def test_the_decorator_makes_a_function_of_the_users_the_body(study: "Study") -> None:
    bodies: list[str] = []

    @redcap_assets(project=study.project, out_dir=study.out_dir, key_prefix=["clinic", "asthma"])
    def my_study(context: dg.AssetExecutionContext, redcap: RedcapResource) -> Any:
        bodies.append(context.op_def.name)
        yield from redcap.materialize(context)

    result = study.materialize(assets=my_study, selection=["clinic/asthma/users"])
    assert result.success
    assert bodies == ["redcap_clinic_asthma"]
    assert study.asked("record") == 0


def test_without_a_folder_the_tables_go_below_data(
    study: "Study", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prefixed = build_redcap_assets(study.project, key_prefix=["clinic", "lungs"])
    study.materialize(assets=prefixed, selection=["clinic/lungs/users"])
    plain = build_redcap_assets(study.project)
    study.materialize(assets=plain, selection=["users"])
    assert sorted(path.parent.parent for path in Path("data").glob("**/current/users.parquet")) == [
        Path("data/aspire_asthma_cohort_synthetic"),
        Path("data/clinic/lungs"),
    ]


def test_a_translator_changes_specs_in_one_place(study: "Study") -> None:
    class Translator(DagsterRedcapTranslator):
        def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
            spec = super().get_asset_spec(props)
            owner = "team:clinic" if props.kind == "instrument" else "team:data"
            return spec.replace_attributes(
                key=dg.AssetKey(["raw", props.name]), owners=[owner], group_name="lungs"
            )

    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, key_prefix="x", translator=Translator()
    )
    spec = assets.specs_by_key[dg.AssetKey(["x", "raw", "laboratory"])]
    assert (list(spec.owners), spec.group_name) == (["team:clinic"], "lungs")
    assert study.materialize(assets=assets, selection=["x/raw/laboratory"]).success


def test_two_tables_with_one_key_are_refused_by_name(study: "Study") -> None:
    class Translator(DagsterRedcapTranslator):
        def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
            return super().get_asset_spec(props).replace_attributes(key=dg.AssetKey("same"))

    with pytest.raises(ConfigError, match="asset key same: records and enrolment"):
        build_redcap_assets(study.project, out_dir=study.out_dir, translator=Translator())


def test_materialize_outside_a_redcap_assets_function_says_what_to_do(study: "Study") -> None:
    @dg.asset
    def lonely(context: dg.AssetExecutionContext, redcap: RedcapResource) -> Any:
        list(redcap.materialize(context))

    with pytest.raises(dg.Failure, match="decorated with @redcap_assets"):
        dg.materialize([lonely], resources={"redcap": study.resource()})


def test_a_check_runs_alone_on_what_was_published(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    whole = study.materialize(assets=assets)
    study.emulator.requests.clear()

    alone = study.materialize(
        assets=assets, selection=dg.AssetSelection.checks_for_assets(dg.AssetKey("spirometry"))
    )

    assert study.asked("record") == 0
    assert list(alone.get_asset_materialization_events()) == []
    again = {check.check_name: check for check in alone.get_asset_check_evaluations()}
    before = {
        check.check_name: check
        for check in whole.get_asset_check_evaluations()
        if check.asset_key == dg.AssetKey("spirometry")
    }
    assert again.keys() == before.keys()
    for name, check in again.items():
        assert (check.passed, check.metadata) == (before[name].passed, before[name].metadata)


@pytest.mark.parametrize("before", [record_partitions(2), None])
def test_a_check_judges_no_partition_that_the_study_had_before(
    study: "Study", before: dg.PartitionsDefinition[str] | None
) -> None:
    """Each record is in a partition of now, too: it would count twice."""
    now = record_partitions(3)
    for partitions in (before, now):
        assets = build_redcap_assets(
            study.project, out_dir=study.out_dir, partitions_def=partitions, quality=None
        )
        tags = in_one_run(partitions.get_partition_keys()) if partitions else {}
        study.materialize(assets=assets, selection=["records", "enrolment"], tags=tags)
    complete = dg.AssetCheckKey(dg.AssetKey("records"), "complete_extract")
    schema = dg.AssetCheckKey(dg.AssetKey("enrolment"), "schema")
    alone = study.materialize(assets=assets, selection=dg.AssetSelection.checks(complete, schema))
    found = {item.asset_check_key: item.metadata for item in alone.get_asset_check_evaluations()}
    assert found[complete]["records_expected"].value == 60
    rows = sum(len(study.table("enrolment", key)) for key in now.get_partition_keys())
    assert found[schema]["rows"].value == rows


def test_a_check_of_what_was_never_published_says_so(study: "Study") -> None:
    with pytest.raises(dg.Failure, match=r"no published table spirometry .* Materialize it first"):
        study.materialize(selection=dg.AssetSelection.checks_for_assets(dg.AssetKey("spirometry")))


def test_definitions_load_without_asking_redcap(study: "Study", tmp_path: Path) -> None:
    study.project.snapshot(tmp_path / "study.json")
    defs = dg.Definitions(
        assets=[
            build_redcap_assets(
                RedcapProject.from_snapshot(tmp_path / "study.json"), out_dir=study.out_dir
            )
        ],
        resources={"redcap": study.resource()},
    )
    dg.Definitions.validate_loadable(defs)
    assert study.emulator.requests == []
