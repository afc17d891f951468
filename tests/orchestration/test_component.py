"""A study in YAML: scaffolded, refreshed, loaded with REDCap down, run."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox
from dagster.components.testing.test_cases import TestTranslation

from redcap_dagster import RedcapProjectComponent, RedcapTableProps

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
            **attributes: Any,
        ) -> tuple[Any, dg.Definitions]:
            path = sandbox.scaffold_component(
                component_cls=component,
                defs_yaml_contents={
                    "type": f"{component.__module__}.{component.__qualname__}",
                    "attributes": {**ATTRIBUTES, "out_dir": str(study.out_dir), **attributes},
                },
            )
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


def test_partitions_pool_and_schedule_come_from_the_yaml(load: Load) -> None:
    _, defs = load(record_buckets=4, pool="redcap", schedule="0 3 * * *")
    spec = defs.resolve_asset_graph().get(dg.AssetKey(["lungs", "records"]))
    assert spec.partitions_def is not None
    assert spec.partitions_def.get_partition_keys()[0] == "bucket-0-of-4"
    assert spec.pools == {"redcap"}
    (schedule,) = defs.schedules or []
    assert (schedule.name, schedule.cron_schedule) == ("redcap_lungs_schedule", "0 3 * * *")


def test_an_io_manager_of_the_users_own_comes_from_the_yaml(
    load: Load, study: "Study", tmp_path: Path
) -> None:
    _, defs = load(io_manager_key="pickles")
    pickles = dg.FilesystemIOManager(base_dir=str(tmp_path / "pickles"))
    theirs = dg.Definitions.merge(defs, dg.Definitions(resources={"pickles": pickles}))
    assert run(theirs, asset_selection=[dg.AssetKey(["lungs", "enrolment"])]).success
    assert len(study.table("enrolment")) == 60
    assert (tmp_path / "pickles" / "lungs" / "enrolment").is_file()


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
        _, defs = load(translation=attributes, key_prefix=None)
        key = dg.AssetKey(["records"])
        if key_modifier:
            key = key_modifier(key)
        (spec,) = [spec for spec in defs.resolve_all_asset_specs() if spec.key == key]
        assert assertion(spec)


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


def test_dg_check_yaml_points_at_a_mistake(dg_project: Path) -> None:
    folder = dg_project / "src" / "clinic" / "defs" / "my_study"
    folder.mkdir()
    (folder / "defs.yaml").write_text(
        "type: redcap_dagster.RedcapProjectComponent\nattributes:\n  api_tokn_env: X\n"
    )
    checked = dg_command(dg_project, "check", "yaml")
    assert checked.returncode != 0
    said = checked.stdout + checked.stderr
    assert "api_tokn_env" in said
    assert "defs.yaml:3" in said


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
