"""What a study's YAML says is what its assets are."""

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml

from redcap_dagster import record_partitions
from redcap_dagster.destinations import Destination
from redcap_dagster.errors import ConfigError
from redcap_dagster.logic import LogicOptions
from redcap_dagster.orchestration.component_settings import (
    DeidentificationSettings,
    FreshnessSettings,
    LogicSettings,
    QualitySettings,
    TableSettings,
    days_since,
)
from redcap_dagster.privacy import DeidentificationOptions
from redcap_dagster.project import DEFAULT_DRIFT_POLICY
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import TableOptions
from tests.orchestration.component_sandbox import (
    DAGSTERS_OWN_WARNINGS,
    Load,
    checks_of,
    keys_of,
    run_assets,
)

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study


pytestmark = DAGSTERS_OWN_WARNINGS


def test_which_assets_there_are_comes_from_the_yaml(load: Load) -> None:
    _, defs = load(
        include=["spirometry", "users"],
        reports=[1],
        audit_log_since="2026-11-20",
        record_changes_since="2026-11-21",
        server_timezone="Europe/Berlin",
    )
    names = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert names == {
        "lungs/spirometry",
        "lungs/users",
        "lungs/reports/1",
        "lungs/audit_log",
        "lungs/record_changes",
    }
    assert keys_of(defs, "audit_log")[0] == "2026-11-20"
    assert keys_of(defs, "record_changes")[0] == "2026-11-21"
    key = dg.AssetKey(["lungs", "record_changes"])
    partitions = defs.resolve_asset_graph().get(key).partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert partitions.timezone == "Europe/Berlin"


def test_partitions_and_pool_come_from_the_yaml(load: Load) -> None:
    _, defs = load(record_buckets=4, pool="redcap")
    spec = defs.resolve_asset_graph().get(dg.AssetKey(["lungs", "records"]))
    assert spec.partitions_def is not None
    assert spec.partitions_def.get_partition_keys()[0] == "bucket-0-of-4"
    assert spec.pools == {"redcap"}


def test_partitions_by_event_arm_and_group_come_from_the_yaml(load: Load) -> None:
    _, defs = load(partitions="event")
    assert keys_of(defs, "records")[0] == "event-screening_arm_1"
    _, defs = load(partitions="arm", record_buckets=2)
    assert keys_of(defs, "records") == [
        "arm-1|bucket-0-of-2",
        "arm-1|bucket-1-of-2",
        "arm-2|bucket-0-of-2",
        "arm-2|bucket-1-of-2",
    ]
    _, defs = load(partitions={"data_access_groups": ["north"]})
    assert keys_of(defs, "records") == ["group-north", "no-group"]


def test_checks_for_each_partition_come_from_the_yaml(load: Load) -> None:
    def partitions_of(check: str, table: str) -> object:
        key = dg.AssetCheckKey(dg.AssetKey(["lungs", table]), check)
        return defs.resolve_asset_graph().get(key).partitions_def

    _, defs = load(record_buckets=2)
    assert partitions_of("schema", "spirometry") is None
    with pytest.warns(dg.PreviewWarning, match="partitions_def on an AssetCheckSpec"):
        _, defs = load(record_buckets=2, partitioned_checks=True)
    assert partitions_of("schema", "spirometry") == record_partitions(2)
    assert partitions_of("data_dictionary_current", "metadata") is None


def test_tables_are_laid_out_as_the_yaml_says(load: Load, study: "Study") -> None:
    _, defs = load(
        table_options={"choices": "labels", "checkboxes": "list", "missing_reasons": True}
    )
    assert run_assets(defs, asset_selection=[dg.AssetKey(["lungs", "demographics"])]).success
    assert {"Female", "Male"} <= {row["sex"] for row in study.table("demographics")}
    assert study.table("missing_reasons")


def test_an_io_manager_of_the_users_own_comes_from_the_yaml(
    load: Load, study: "Study", tmp_path: Path
) -> None:
    _, defs = load(io_manager_key="pickles")
    pickles = dg.FilesystemIOManager(base_dir=str(tmp_path / "pickles"))
    theirs = dg.Definitions.merge(defs, dg.Definitions(resources={"pickles": pickles}))
    assert run_assets(theirs, asset_selection=[dg.AssetKey(["lungs", "enrolment"])]).success
    assert len(study.table("enrolment")) == 60
    assert (tmp_path / "pickles" / "lungs" / "enrolment").is_file()


def test_rules_run_as_the_yaml_says(load: Load) -> None:
    _, defs = load(
        quality={
            "rules": ["unique_key", "out_of_range"],
            "severities": {"out_of_range": "error"},
            "blocking": ["unique_key"],
            "as_of": "2026-01-31",
            "logic": {"missing_codes": ["-99"]},
        }
    )
    checks = checks_of(defs, "enrolment")
    assert checks.keys() == {"schema", "unique_key", "out_of_range"}
    assert [name for name, spec in checks.items() if spec.blocking] == ["unique_key"]
    _, defs = load(quality={"enabled": False})
    assert checks_of(defs, "enrolment").keys() == {"schema"}


def test_files_of_rules_are_found_beside_the_yaml(load: Load) -> None:
    rules = "rules: [{name: Too young, logic: '[age] < 18'}]"
    _, defs = load(quality={"custom_rules": "rules.yaml"}, rules=rules)
    assert checks_of(defs, "quality_findings").keys() == {"too_young"}


def test_a_first_day_or_a_time_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="`record_changes_since` is 'tomorrow'; it takes a day"):
        days_since("record_changes_since", "tomorrow", None)
    for wrong in ("Berlin", "Europe", "/etc/localtime"):
        with pytest.raises(ConfigError, match=f"`server_timezone` is '{wrong}'; it takes the name"):
            days_since("record_changes_since", "2026-01-31", wrong)


@pytest.mark.parametrize("as_of", ["tomorrow", "2026-01-31T10:00+01:00"])
def test_a_moment_that_is_none_is_refused(as_of: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="as_of"):
        QualitySettings(as_of=as_of).to_options(tmp_path)


@pytest.mark.parametrize(
    ("settings", "options", "more"),
    [
        (TableSettings, TableOptions, set()),
        (QualitySettings, QualityOptions, {"enabled"}),
        (LogicSettings, LogicOptions, set()),
        (DeidentificationSettings, DeidentificationOptions, set()),
    ],
)
def test_yaml_has_every_option_with_its_default(
    settings: Any, options: Any, more: set[str]
) -> None:
    given, expected = settings(), options()
    names = {item.name for item in fields(options)}
    assert settings.model_fields.keys() == names | more
    for name in names - {"logic"}:
        wanted = getattr(expected, name)
        empty = isinstance(wanted, tuple | dict) and not wanted
        assert getattr(given, name) == wanted or (empty and not getattr(given, name)), name


def test_de_identification_comes_from_the_yaml(
    load: Load, study: "Study", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", "0123456789abcdef0123456789abcdef")
    _, defs = load(deidentification={"keep": ["last_name"], "key_env": "OUR_KEY"})
    assert run_assets(defs, asset_selection=[dg.AssetKey(["lungs", "demographics"])]).success
    row = study.table("demographics")[0]
    assert "last_name" in row
    assert "first_name" not in row
    assert len(row["participant_id"]) == 32


def test_what_drift_is_worth_comes_from_the_yaml(load: Load) -> None:
    _, defs = load(drift_policy={"field_reworded": "warn"})
    assert checks_of(defs, "metadata")["data_dictionary_current"].blocking
    _, defs = load(drift_policy=dict.fromkeys(DEFAULT_DRIFT_POLICY, "note"))
    assert not checks_of(defs, "metadata")["data_dictionary_current"].blocking


def test_a_database_to_load_into_comes_from_the_yaml(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    attributes = yaml.safe_load(snippet)
    attributes["destination"]["kind"] = "duckdb"
    monkeypatch.setenv("WAREHOUSE_URL", f"duckdb:///{tmp_path}/warehouse.duckdb")
    _, defs = load(**attributes)
    keys = [dg.AssetKey(["lungs", "enrolment"]), dg.AssetKey(["warehouse", "lungs", "enrolment"])]
    spec = defs.resolve_asset_graph().get(keys[1])
    assert spec.automation_condition == dg.AutomationCondition.eager()
    assert run_assets(defs, asset_selection=keys).success
    with Destination(f"duckdb:///{tmp_path}/warehouse.duckdb").open() as database:
        ((count,),) = database.execute("select count(*) from asthma.enrolment")
    assert count == 60


def test_how_old_tables_may_get_comes_from_the_yaml(load: Load) -> None:
    _, defs = load(freshness={"fail_after_hours": 36, "warn_after_hours": 26}, include=["users"])
    (spec,) = defs.resolve_all_asset_specs()
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(
        timedelta(hours=36), timedelta(hours=26)
    )


@pytest.mark.parametrize(
    ("fail", "warn", "said"),
    [(36, 36, "`warn_after_hours` is 36"), (36, 0, "more than 0"), (0.01, None, "a minute")],
)
def test_ages_that_contradict_are_refused(fail: float, warn: float | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FreshnessSettings(fail_after_hours=fail, warn_after_hours=warn).to_policy()
