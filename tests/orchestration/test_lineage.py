"""Each column of a typed table says which columns of the raw export it is made from."""

from typing import TYPE_CHECKING

import dagster as dg

from redcap_dagster import build_redcap_assets

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study


def lineage_of(result: dg.ExecuteInProcessResult, table: str) -> dict[str, list[tuple[str, str]]]:
    """Column → asset and column of each source, as the materialization of a table says."""
    (metadata,) = [
        event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[-1] == table
    ]
    lineage = metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    return {
        column: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps]
        for column, deps in lineage.deps_by_column.items()
    }


def test_every_column_comes_from_columns_that_the_raw_export_has(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, key_prefix="lungs")
    result = study.materialize(assets=assets)
    records = set(study.table("records")[0])
    for instrument in study.project.instruments_by_name:
        lineage = lineage_of(result, instrument)
        assert list(lineage) == list(study.table(instrument)[0])
        for sources in lineage.values():
            assert sources
            assert {asset for asset, _ in sources} == {"lungs/records"}
            assert {column for _, column in sources} <= records


def test_lineage_names_the_raw_column_of_values_and_of_what_a_row_is(study: "Study") -> None:
    lineage = lineage_of(study.materialize(selection=["spirometry"]), "spirometry")
    assert lineage["fev1_l"] == [("records", "fev1_l")]
    assert lineage["redcap_arm_number"] == [("records", "redcap_event_name")]
    assert lineage["participant_id"] == [("records", "participant_id")]


def test_without_the_raw_export_there_is_no_lineage(study: "Study") -> None:
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, include=["spirometry", "rejected_values"]
    )
    result = study.materialize(assets=assets)
    for event in result.get_asset_materialization_events():
        metadata = event.step_materialization_data.materialization.metadata
        assert "dagster/column_lineage" not in metadata
