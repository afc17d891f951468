"""What a user asks of the tables reaches Dagster's assets, checks and files."""

from typing import TYPE_CHECKING

import dagster as dg
import pyarrow.compute as pc

from redcap_dagster import TableOptions, build_redcap_assets
from redcap_dagster.tables import read_published

if TYPE_CHECKING:
    from conftest import Study

EVERYTHING = TableOptions(choices="labels", checkboxes="list", missing_reasons=True)


def test_labels_lists_and_reasons_reach_the_published_tables_and_the_page(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, table_options=EVERYTHING)
    result = study.materialize(assets=assets)
    assert result.success
    demographics = read_published(study.out_dir, "demographics")
    schema = assets.specs_by_key[dg.AssetKey("demographics")].metadata["dagster/column_schema"]
    assert [(column.name, column.type) for column in schema.columns] == [
        (column.name, str(column.type)) for column in demographics.schema
    ]
    sex = demographics["sex"].combine_chunks()
    assert sex.dictionary.to_pylist() == [
        choice.label for choice in study.project.fields_by_name["sex"].choices
    ]
    (column,) = [column for column in schema.columns if column.name == "sex"]
    assert f"one of {', '.join(sex.dictionary.to_pylist())}" in column.constraints.other


def test_a_table_laid_out_otherwise_has_another_code_version(study: "Study") -> None:
    def versions(options: TableOptions) -> dict[str, str | None]:
        assets = build_redcap_assets(study.project, out_dir=study.out_dir, table_options=options)
        return {spec.key.path[-1]: spec.code_version for spec in assets.specs}

    codes, labels, lists = (
        versions(TableOptions()),
        versions(TableOptions(choices="labels")),
        versions(TableOptions(checkboxes="list")),
    )
    for table in ("demographics", "rejected_values"):
        assert len({codes[table], labels[table], lists[table]}) == 3
    for table in ("records", "users"):
        assert codes[table] == labels[table] == lists[table] is not None


def test_a_schema_check_judges_tables_of_labels_by_the_same_rules(study: "Study") -> None:
    def broken(options: TableOptions) -> dict[str, set[tuple[str, str]]]:
        assets = build_redcap_assets(study.project, out_dir=study.out_dir, table_options=options)
        result = study.materialize(assets=assets)
        return {
            check.asset_key.path[-1]: {
                (row.data["field"], row.data["rule"].removeprefix("type:"))
                for row in check.metadata["by_field_and_rule"].records
            }
            for check in result.get_asset_check_evaluations()
            if check.check_name == "schema"
        }

    codes = broken(TableOptions())
    assert any(codes.values())
    assert broken(EVERYTHING) == codes


def test_reasons_come_with_any_instrument_and_keep_those_of_the_others(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, table_options=EVERYTHING)
    study.materialize(assets=assets)
    before = read_published(study.out_dir, "missing_reasons")
    study.materialize(assets=assets, selection=["enrolment"])
    after = read_published(study.out_dir, "missing_reasons")
    order = [(name, "ascending") for name in after.column_names]
    # Logic that asks other instruments cannot be evaluated in a part of the study.
    others = pc.not_equal(before["instrument"], "enrolment")
    assert (
        after.filter(pc.not_equal(after["instrument"], "enrolment"))
        .sort_by(order)
        .equals(before.filter(others).sort_by(order))
    )
    assert set(before["reason"].unique().to_pylist()) >= {
        "blank",
        "coded",
        "form_not_started",
        "not_asked",
        "not_designated",
        "rejected",
    }
