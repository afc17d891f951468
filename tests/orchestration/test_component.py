"""A study in YAML: scaffolded, refreshed, loaded with REDCap down, run."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox
from dagster.components.testing.test_cases import TestTranslation

from redcap_dagster import RedcapProjectComponent, RedcapTableProps, record_partitions
from redcap_dagster.destinations import Destination
from redcap_dagster.errors import ConfigError
from redcap_dagster.logic import LogicOptions
from redcap_dagster.orchestration.component_settings import (
    DeidentificationSettings,
    FreshnessSettings,
    LogicSettings,
    QualitySettings,
    TableSettings,
)
from redcap_dagster.privacy import DeidentificationOptions
from redcap_dagster.project import DEFAULT_DRIFT_POLICY
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import TableOptions

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

# Dagster 1.13's own: it parses component files with a function that pydantic has deprecated, and
# says that what it attaches to their assets is beta.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.parse_obj_as. is deprecated"),
    pytest.mark.filterwarnings("ignore:.*is currently in beta"),
    pytest.mark.filterwarnings("ignore:Accessing .*automation_condition.* is deprecated"),
]

ATTRIBUTES = {"api_url_env": "STUDY_URL", "api_token_env": "STUDY_TOKEN", "key_prefix": "lungs"}
Load = Callable[..., tuple[Any, dg.Definitions]]


@pytest.fixture
def load(study: "Study", monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Scaffolds a component with attributes, refreshes its state, and builds its definitions."""
    monkeypatch.setenv("STUDY_URL", study.emulator.url)
    monkeypatch.setenv("STUDY_TOKEN", study.token)
    with create_defs_folder_sandbox() as sandbox:

        def _load(
            *,
            refresh: bool = True,
            component: type[RedcapProjectComponent] = RedcapProjectComponent,
            rules: str = "",
            **attributes: Any,
        ) -> tuple[Any, dg.Definitions]:
            path = sandbox.scaffold_component(
                component_cls=component,
                defs_yaml_contents={
                    "type": f"{component.__module__}.{component.__qualname__}",
                    "attributes": {**ATTRIBUTES, "out_dir": str(study.out_dir), **attributes},
                },
            )
            (path / "rules.yaml").write_text(rules)
            with sandbox.load_component_and_build_defs(defs_path=path) as (loaded, defs):
                if not refresh:
                    return loaded, defs
                asyncio.run(loaded.refresh_state(sandbox.project_root))
            with sandbox.load_component_and_build_defs(defs_path=path) as result:
                return result  # type: ignore[return-value]

        yield _load


def run(defs: dg.Definitions, **options: Any) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    return job.execute_in_process(run_config=quiet, **options)


def test_a_study_of_three_lines_runs(load: Load, study: "Study") -> None:
    _, defs = load()
    result = run(defs, asset_selection=[dg.AssetKey(["lungs", "enrolment"])])
    assert result.success
    assert len(study.table("enrolment")) == 60


def test_definitions_load_with_redcap_down(load: Load, study: "Study") -> None:
    load()
    study.emulator.stop()
    _, defs = load(refresh=False)
    assert dg.AssetKey(["lungs", "enrolment"]) in defs.resolve_asset_graph().get_all_asset_keys()


def test_without_state_it_says_loudly_what_to_run(
    load: Load, study: "Study", caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _, defs = load(refresh=False)
    assert defs.resolve_all_asset_specs() == []
    assert "study lungs has NO ASSETS" in caplog.text
    assert "dg utils refresh-defs-state" in caplog.text
    assert study.emulator.requests == []


def test_partitions_and_pool_come_from_the_yaml(load: Load) -> None:
    _, defs = load(record_buckets=4, pool="redcap")
    spec = defs.resolve_asset_graph().get(dg.AssetKey(["lungs", "records"]))
    assert spec.partitions_def is not None
    assert spec.partitions_def.get_partition_keys()[0] == "bucket-0-of-4"
    assert spec.pools == {"redcap"}


def requests_of(defs: dg.Definitions, name: str, instance: dg.DagsterInstance) -> list[str | None]:
    """Partition keys that a tick of a schedule on 23 November, at three, requests."""
    dg.Definitions.validate_loadable(defs)
    schedule = defs.resolve_schedule_def(name)
    at = datetime(2026, 11, 23, 3, tzinfo=timezone.utc)
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=defs.get_repository_def()
    ) as context:
        tick = schedule.evaluate_tick(context)
    return [request.partition_key for request in tick.run_requests or []]


def test_the_schedule_of_a_study_without_partitions_runs_it_all_at_once(load: Load) -> None:
    _, defs = load(schedule="0 3 * * *")
    (schedule,) = defs.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.name, schedule.cron_schedule) == ("redcap_lungs_schedule", "0 3 * * *")
    with dg.instance_for_test() as instance:
        assert requests_of(defs, "redcap_lungs_schedule", instance) == [None]


def test_the_schedule_of_a_study_runs_each_partition_and_each_day_that_lacks(load: Load) -> None:
    _, defs = load(schedule="0 3 * * *", record_buckets=2, audit_log_since="2026-11-20")
    log = dg.AssetKey(["lungs", "audit_log"])
    with dg.instance_for_test() as instance:
        assert requests_of(defs, "redcap_lungs_schedule_whole_tables", instance) == [None]
        assert requests_of(defs, "redcap_lungs_schedule", instance) == [
            "bucket-0-of-2",
            "bucket-1-of-2",
        ]
        assert requests_of(defs, "redcap_lungs_schedule_days", instance) == [
            "2026-11-20",
            "2026-11-21",
            "2026-11-22",
        ]
        instance.report_runless_asset_event(dg.AssetMaterialization(log, partition="2026-11-21"))
        assert requests_of(defs, "redcap_lungs_schedule_days", instance) == [
            "2026-11-20",
            "2026-11-22",
        ]


def test_an_io_manager_of_the_users_own_comes_from_the_yaml(
    load: Load, study: "Study", tmp_path: Path
) -> None:
    _, defs = load(io_manager_key="pickles")
    pickles = dg.FilesystemIOManager(base_dir=str(tmp_path / "pickles"))
    theirs = dg.Definitions.merge(defs, dg.Definitions(resources={"pickles": pickles}))
    assert run(theirs, asset_selection=[dg.AssetKey(["lungs", "enrolment"])]).success
    assert len(study.table("enrolment")) == 60
    assert (tmp_path / "pickles" / "lungs" / "enrolment").is_file()


def checks_of(defs: dg.Definitions, table: str) -> dict[str, dg.AssetCheckSpec]:
    """Check specs of a table by name."""
    graph = defs.resolve_asset_graph()
    key = dg.AssetKey(["lungs", table])
    specs = [graph.get_check_spec(item) for item in graph.get_check_keys_for_assets({key})]
    return {spec.name: spec for spec in specs}


def test_tables_are_laid_out_as_the_yaml_says(load: Load, study: "Study") -> None:
    _, defs = load(
        table_options={"choices": "labels", "checkboxes": "list", "missing_reasons": True}
    )
    assert run(defs, asset_selection=[dg.AssetKey(["lungs", "demographics"])]).success
    assert {"Female", "Male"} <= {row["sex"] for row in study.table("demographics")}
    assert study.table("missing_reasons")


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
    assert run(defs, asset_selection=[dg.AssetKey(["lungs", "demographics"])]).success
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
    assert run(defs, asset_selection=keys).success
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


def test_dagster_links_each_asset_to_its_yaml(load: Load) -> None:
    _, defs = load(include=["users"])
    (spec,) = defs.resolve_all_asset_specs()
    (reference,) = spec.metadata["dagster/code_references"].code_references
    assert reference.file_path.endswith("defs.yaml")


class OurComponent(RedcapProjectComponent):
    """Overrides both documented points."""

    def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
        return super().get_asset_spec(props).replace_attributes(owners=["team:clinic"])

    def execute(self, context: dg.AssetExecutionContext, redcap: Any) -> Any:
        context.log.info("before the export")
        yield from super().execute(context, redcap)


def test_both_override_points_are_used_and_compose_with_the_yaml(load: Load) -> None:
    _, defs = load(component=OurComponent, translation={"group_name": "clinic"})
    (spec,) = [
        spec
        for spec in defs.resolve_all_asset_specs()
        if spec.key == dg.AssetKey(["lungs", "records"])
    ]
    assert (list(spec.owners), spec.group_name) == (["team:clinic"], "clinic")
    assert run(defs, asset_selection=[dg.AssetKey(["lungs", "users"])]).success


class TestRedcapTranslation(TestTranslation):
    """Dagster's own matrix of what a `translation` can change."""

    def test_translation(
        self, attributes: Any, assertion: Any, key_modifier: Any, load: Load
    ) -> None:
        kinds = ["records", "survey_participants"]
        _, defs = load(translation=attributes, key_prefix=None, include=kinds)
        specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
        keys = [dg.AssetKey([kind]) for kind in kinds]
        if key_modifier:
            keys = [key_modifier(key) for key in keys]
        assert all(assertion(specs[key]) for key in keys)


def dg_command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `dg` as a user does."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("dg")), *words],
        cwd=folder,
        env={**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1", "DAGSTER_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def dg_project(tmp_path: Path, study: "Study", monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dg project with one module, as `create-dagster project` lays it out."""
    monkeypatch.setenv("REDCAP_API_URL", study.emulator.url)
    monkeypatch.setenv("REDCAP_API_TOKEN", study.token)
    # `create-dagster project` makes this shape; that command is a package of its own.
    folder = tmp_path / "clinic"
    defs = folder / "src" / "clinic" / "defs"
    defs.mkdir(parents=True)
    (folder / "src" / "clinic" / "__init__.py").touch()
    (defs / "__init__.py").touch()
    (folder / "src" / "clinic" / "definitions.py").write_text(
        "from pathlib import Path\n\nfrom dagster import definitions, load_from_defs_folder\n\n\n"
        "@definitions\ndef defs():\n"
        "    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "clinic"\nversion = "0"\n'
        '[tool.dg]\ndirectory_type = "project"\n'
        '[tool.dg.project]\nroot_module = "clinic"\npython_environment = "active"\n'
        'registry_modules = ["clinic.components.*"]\n'
    )
    monkeypatch.setenv("PYTHONPATH", f"{folder / 'src'}:{os.environ.get('PYTHONPATH', '')}")
    return folder


def test_dg_scaffolds_checks_lists_and_launches_a_study(dg_project: Path, study: "Study") -> None:
    listed = dg_command(dg_project, "list", "components", "--json")
    assert "redcap_dagster.RedcapProjectComponent" in listed.stdout, listed.stderr

    scaffolded = dg_command(
        dg_project, "scaffold", "defs", "redcap_dagster.RedcapProjectComponent", "my_study"
    )
    assert scaffolded.returncode == 0, scaffolded.stdout + scaffolded.stderr
    yaml = dg_project / "src" / "clinic" / "defs" / "my_study" / "defs.yaml"
    assert "key_prefix: my_study" in yaml.read_text()
    assert dg_command(dg_project, "check", "yaml").returncode == 0

    refreshed = dg_command(dg_project, "utils", "refresh-defs-state")
    assert refreshed.returncode == 0, refreshed.stdout + refreshed.stderr
    defs = dg_command(dg_project, "list", "defs", "--json")
    assert "my_study/enrolment" in defs.stdout, defs.stderr
    assert study.token not in defs.stdout + refreshed.stdout + refreshed.stderr

    launched = dg_command(dg_project, "launch", "--assets", "my_study/enrolment")
    assert launched.returncode == 0, launched.stdout + launched.stderr
    assert list(dg_project.glob("data/my_study/current/enrolment.parquet"))


MISTAKES = """\
type: redcap_dagster.RedcapProjectComponent
attributes:
  api_tokn_env: X
  partitions: evnt
  table_options:
    choices: label
  quality:
    outlier_multiplier: 2.5
    rules:
      - unique_key
      - uniq_key
    severities:
      outliers: fatal
    logic:
      stdev: both
  drift_policy:
    field_removed: stop
  deidentification:
    shift_date: true
"""


def test_dg_check_yaml_points_at_each_mistake(dg_project: Path) -> None:
    folder = dg_project / "src" / "clinic" / "defs" / "my_study"
    folder.mkdir()
    (folder / "defs.yaml").write_text(MISTAKES)
    checked = dg_command(dg_project, "check", "yaml")
    assert checked.returncode != 0
    said = checked.stdout + checked.stderr
    lines = MISTAKES.splitlines()
    pointed_at = {lines[int(number) - 1].strip() for number in re.findall(r"yaml:(\d+)", said)}
    assert pointed_at == {
        "api_tokn_env: X",
        "partitions: evnt",
        "choices: label",
        "- uniq_key",
        "outliers: fatal",
        "stdev: both",
        "field_removed: stop",
        "shift_date: true",
    }
    carets = [line for line in said.splitlines() if line.strip(" |").startswith("^")]
    assert len(carets) == len(pointed_at)


def test_the_pages_yaml_is_right_and_makes_what_it_says(dg_project: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "component.md").read_text()
    (snippet,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    folder = dg_project / "src" / "clinic" / "defs" / "asthma"
    folder.mkdir()
    (folder / "defs.yaml").write_text(snippet)
    checked = dg_command(dg_project, "check", "yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    refreshed = dg_command(dg_project, "utils", "refresh-defs-state")
    assert refreshed.returncode == 0, refreshed.stdout + refreshed.stderr
    listed = dg_command(dg_project, "list", "defs", "--json")
    assert listed.returncode == 0, listed.stderr
    definitions = json.loads(listed.stdout)
    assets = {asset["asset_key"]: asset for asset in definitions["assets"]}
    assert {"asthma/enrolment", "asthma/records", "asthma/metadata"} <= assets.keys()
    assert {"key": "confidential", "value": "yes"} in assets["asthma/users"]["tags"]
    assert assets["asthma/enrolment"]["owners"] == [{"team": "clinic"}]
    assert "asthma/missing_reasons" not in assets  # `include` leaves it out


def test_the_page_names_every_attribute_of_its_own() -> None:
    page = (Path(__file__).parents[2] / "docs" / "component.md").read_text()
    common = {"defs_state", "ca_bundle", "verify_tls"}
    names = RedcapProjectComponent.model_fields.keys() - common
    assert [name for name in names if name not in page] == []


def test_state_holds_the_design_and_no_person(load: Load, tmp_path: Path) -> None:
    component, _ = load()
    component.write_state_to_path(tmp_path / "state")
    state = json.loads((tmp_path / "state").read_text())
    assert {"format", "instruments"} <= set(state) or "instruments" in json.dumps(state)
    assert "api_user" not in json.dumps(state)


def keys_of(defs: dg.Definitions, table: str) -> list[str]:
    """Partition keys of a table."""
    spec = defs.resolve_asset_graph().get(dg.AssetKey(["lungs", table]))
    assert spec.partitions_def is not None
    return [*spec.partitions_def.get_partition_keys()]


def test_which_assets_there_are_comes_from_the_yaml(load: Load) -> None:
    _, defs = load(include=["spirometry", "users"], reports=[1], audit_log_since="2026-11-20")
    names = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert names == {
        "lungs/spirometry",
        "lungs/users",
        "lungs/reports/1",
        "lungs/audit_log",
    }
    assert keys_of(defs, "audit_log")[0] == "2026-11-20"


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


def test_the_sensor_comes_from_the_yaml_and_is_off(load: Load) -> None:
    _, defs = load(change_sensor={"minimum_interval_seconds": 600, "full_every_days": None})
    (sensor,) = defs.sensors or []
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.name == "redcap_lungs_changes"
    assert sensor.minimum_interval_seconds == 600
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    dg.Definitions.validate_loadable(defs)
    _, defs = load(change_sensor=True)
    assert len(list(defs.sensors or [])) == 1
    _, defs = load()
    assert list(defs.sensors or []) == []
