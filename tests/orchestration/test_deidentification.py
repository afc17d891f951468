"""A de-identified study: what is published, what joins, what is refused."""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from redcap_dagster import build_redcap_assets, record_partitions
from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.extract import extract_study
from redcap_dagster.privacy import DEFAULT_KEY_ENV, DeidentificationOptions, Pseudonyms
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import TableOptions, current_extract, has_extract
from tests.orchestration.sentinels import RECORD_ID, VALUE, with_sentinels

if TYPE_CHECKING:
    from datetime import timedelta

    from tests.orchestration.conftest import Study

KEY = "a key of tests, longer than 32 characters"
DEIDENTIFIED = DeidentificationOptions()
NOTHING = DeidentificationOptions(
    drop_identifiers=False, drop_free_text=False, pseudonymize_record_ids=False, shift_dates=False
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEFAULT_KEY_ENV, KEY)


def assets_of(study: "Study", **options: Any) -> dg.AssetsDefinition:
    """The study's assets, de-identified unless the options say how."""
    options = {"deidentification": DEIDENTIFIED, "out_dir": study.out_dir} | options
    return build_redcap_assets(study.project, **options)


def published_bytes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything published: each file as it is, and each column of a table unpacked."""
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        yield str(path), path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            yield f"{path} (unpacked)", str(table.to_pydict()).encode()
            yield f"{path} (schema)", str(table.schema.metadata).encode()


def test_nothing_that_was_planted_is_in_anything_published(
    serve: "Callable[[str], Study]", study_xml: Path
) -> None:
    planted = serve(with_sentinels(study_xml.read_text()))
    options = TableOptions(choices="both", missing_reasons=True)
    planted.materialize(assets=assets_of(planted, table_options=options), raise_on_error=False)
    tables = current_extract(planted.out_dir).tables
    assert {"records", "demographics", "rejected_values", "quality_findings"} <= tables.keys()
    assert "missing_reasons" in tables
    assert tables["rejected_values"].rows > 100
    assert tables["quality_findings"].rows > 100
    contents = list(published_bytes(planted.out_dir))
    words = [VALUE.encode(), RECORD_ID.encode(), KEY.encode()]
    assert [place for place, content in contents for word in words if word in content] == []
    # The search does find what is there.
    pseudonym = Pseudonyms(KEY.encode(), 364).of(f"{RECORD_ID}1").encode()
    assert any(pseudonym in content for _, content in contents)


def test_tables_join_by_pseudonym_and_dates_move_together(study: "Study", tmp_path: Path) -> None:
    study.materialize(assets=build_redcap_assets(study.project, out_dir=tmp_path / "open"))
    original = {
        name: replace(study, out_dir=tmp_path / "open").table(name)
        for name in ("enrolment", "spirometry")
    }
    study.materialize(assets=assets_of(study))
    pseudonyms = Pseudonyms(KEY.encode(), 364)
    moved: dict[str, set[timedelta]] = {}
    for name, rows in original.items():
        in_order = sorted(rows, key=lambda row: pseudonyms.of(row["participant_id"]))
        for before, after in zip(in_order, study.table(name), strict=True):
            assert after["participant_id"] == pseudonyms.of(before["participant_id"])
            for column, value in after.items():
                if column.endswith(("_date", "_at")) and value is not None:
                    moved.setdefault(after["participant_id"], set()).add(before[column] - value)
    assert len(moved) > 50
    assert all(len(days) == 1 for days in moved.values())
    assert len({next(iter(days)) for days in moved.values()}) > 40
    findings = {row["participant_id"] for row in study.table("quality_findings")}
    assert findings <= {row["participant_id"] for row in study.table("records")}


def test_partitions_and_refreshes_have_the_same_pseudonyms_and_dates(
    study: "Study", tmp_path: Path
) -> None:
    selection = ["enrolment", "records"]
    study.materialize(assets=assets_of(study), selection=selection)
    parted = replace(study, out_dir=tmp_path / "parted")
    assets = assets_of(parted, partitions_def=record_partitions(2))
    for key in ("bucket-0-of-2", "bucket-1-of-2"):
        parted.materialize(assets=assets, selection=selection, partition_key=key)
    for table in selection:
        parts = [
            row for key in ("bucket-0-of-2", "bucket-1-of-2") for row in parted.table(table, key)
        ]
        assert sorted(parts, key=str) == sorted(study.table(table), key=str)


def test_columns_in_dagster_are_those_that_are_published(study: "Study") -> None:
    assets = assets_of(study)
    result = study.materialize(assets=assets, selection=["demographics", "metadata"])
    (materialization,) = result.asset_materializations_for_node(assets.op.name)[:1]
    published = set(study.table("demographics")[0])
    (spec,) = [item for item in assets.specs if item.key.path == ["demographics"]]
    for metadata in (materialization.metadata, spec.metadata):
        schema: Any = metadata["dagster/column_schema"]
        columns = getattr(schema, "value", schema).columns
        assert {column.name for column in columns} == published
    assert "phone" not in published


def test_the_manifest_says_what_was_done(study: "Study") -> None:
    study.materialize(assets=assets_of(study), selection=["demographics"])
    fact = current_extract(study.out_dir).facts["deidentification"]
    assert fact["pseudonymize_record_ids"] is True
    assert "phone" in fact["dropped_fields"]
    assert "date_of_birth" not in fact["shifted_fields"]
    assert len(fact["shifted_fields"]) > 5
    assert KEY not in str(fact)


def test_rules_are_judged_as_before_where_the_tables_hold_what_they_read(
    study: "Study", tmp_path: Path
) -> None:
    def counts(assets: dg.AssetsDefinition) -> dict[tuple[str, str], int]:
        result = study.materialize(assets=assets, raise_on_error=False)
        return {
            (item.asset_key.to_user_string(), item.check_name): item.metadata["findings"].value
            for item in result.get_asset_check_evaluations()
            if "findings" in item.metadata
        }

    quality = QualityOptions(rules=["unique_key", "outliers", "out_of_range"])
    before = counts(build_redcap_assets(study.project, out_dir=tmp_path / "open", quality=quality))
    after = counts(assets_of(study, quality=quality))
    assert after == before
    assert after["spirometry", "outliers"] > 0
    known = {row["participant_id"] for row in study.table("records")}
    outliers = [row for row in study.table("quality_findings") if row["rule"] == "outliers"]
    assert {row["participant_id"] for row in outliers} <= known


def test_a_rule_that_needs_a_dropped_field_of_the_table_says_so(study: "Study") -> None:
    options = DeidentificationOptions(drop=["fev1_percent_predicted"])
    result = study.materialize(
        assets=assets_of(study, deidentification=options), selection=["spirometry"]
    )
    (check,) = [
        item for item in result.get_asset_check_evaluations() if item.check_name == "outliers"
    ]
    assert not check.passed
    rows: Any = check.metadata["what_was_not_evaluated"].value
    assert [row.data["field"] for row in rows.records] == ["fev1_percent_predicted"]


@pytest.mark.parametrize("other", [None, NOTHING, DeidentificationOptions(drop_free_text=False)])
def test_tables_that_were_de_identified_otherwise_are_not_mixed(
    study: "Study", other: DeidentificationOptions | None
) -> None:
    study.materialize(assets=assets_of(study), selection=["enrolment"])
    before = study.table("enrolment")
    with pytest.raises(dg.Failure, match="another folder"):
        study.materialize(
            assets=assets_of(study, deidentification=other), selection=["demographics"]
        )
    assert study.table("enrolment") == before


def test_the_command_line_does_not_put_values_in_their_place(study: "Study") -> None:
    study.materialize(assets=assets_of(study), selection=["enrolment"])
    before = study.table("enrolment")
    with (
        RedcapClient(study.emulator.url, study.token) as client,
        pytest.raises(ConfigError, match="another folder"),
    ):
        extract_study(client, study.out_dir)
    assert study.table("enrolment") == before


def test_another_key_is_refused(study: "Study", monkeypatch: pytest.MonkeyPatch) -> None:
    study.materialize(assets=assets_of(study), selection=["enrolment"])
    monkeypatch.setenv(DEFAULT_KEY_ENV, KEY[::-1])
    with pytest.raises(dg.Failure, match="another key"):
        study.materialize(assets=assets_of(study), selection=["enrolment"])
    monkeypatch.delenv(DEFAULT_KEY_ENV)
    with pytest.raises(dg.Failure, match=DEFAULT_KEY_ENV):
        study.materialize(assets=assets_of(study), selection=["enrolment"])


def test_a_field_that_became_an_identifier_takes_the_older_tables_with_it(study: "Study") -> None:
    study.materialize(assets=assets_of(study), selection=["enrolment", "demographics"])
    options = DeidentificationOptions(drop=["sex"])
    study.materialize(assets=assets_of(study, deidentification=options), selection=["enrolment"])
    assert "demographics" not in current_extract(study.out_dir).tables
    assert "enrolment" in current_extract(study.out_dir).tables


@pytest.mark.parametrize(
    "options",
    [
        {"include": ["records", "attachments"]},
        {"include": ["survey_participants"]},
        {"reports": [1]},
        {"audit_log_partitions": dg.DailyPartitionsDefinition("2026-01-01")},
        {"record_changes_partitions": dg.DailyPartitionsDefinition("2026-01-01")},
    ],
)
def test_tables_of_values_as_they_were_entered_are_refused(study: "Study", options: Any) -> None:
    with pytest.raises(ConfigError, match="does not reach into"):
        assets_of(study, **options)


def test_tables_that_name_staff_are_left_out_unless_asked_for(study: "Study") -> None:
    names = {spec.key.to_user_string() for spec in assets_of(study).specs}
    assert {"records", "demographics", "metadata", "quality_findings"} <= names
    assert not {"users", "user_form_rights", "user_roles", "data_access_groups"} & names
    asked = assets_of(study, include=["records", "users"])
    assert {spec.key.to_user_string() for spec in asked.specs} == {"records", "users"}


def test_checks_that_judge_raw_values_are_refused_without_their_asset(study: "Study") -> None:
    assets = assets_of(study)
    study.materialize(assets=assets)
    check = dg.AssetCheckKey(dg.AssetKey(["enrolment"]), "schema")
    with pytest.raises(dg.Failure, match="checked on the way"):
        study.materialize(assets=assets, selection=dg.AssetSelection.checks(check))
    complete = dg.AssetCheckKey(dg.AssetKey(["records"]), "complete_extract")
    assert study.materialize(assets=assets, selection=dg.AssetSelection.checks(complete)).success


def test_a_field_to_leave_out_that_was_renamed_is_not_published(study: "Study") -> None:
    options = DeidentificationOptions(drop=["height_cm"])
    assets = assets_of(study, deidentification=options, quality=None)
    with RedcapClient(study.emulator.url, study.token) as client:
        dictionary = client.export_metadata()
        for row in dictionary:
            for name, text in row.items():
                row[name] = text.replace("height_cm", "stature_cm")
        client.import_metadata(dictionary)
    with pytest.raises(dg.Failure, match="leaves out height_cm, and the study in REDCap has no"):
        study.materialize(assets=assets)
    assert not has_extract(study.out_dir)


PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")


def test_the_pages_snippet_works(
    study: "Study", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study.project.snapshot("my_study.json")
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(snippet, {})  # noqa: S102 - the page's own snippet


def test_the_page_names_every_option() -> None:
    names = [item.name for item in fields(DeidentificationOptions)]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
