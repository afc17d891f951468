"""A small study in an emulator, and what a Dagster step makes of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest

from example_pipeline.study.generate import make_study
from redcap_dagster import RedcapProject, RedcapResource, build_redcap_assets
from redcap_dagster.api import RedcapClient
from redcap_dagster.api.budget import FOLDER_VARIABLE
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import read_design
from redcap_dagster.tables import read_published
from tests.orchestration.component_sandbox import Load, component_sandbox
from tests.orchestration.watched import Watch, watching

PARTICIPANTS = 60


@dataclass
class Study:
    """A study on an emulator, and the folder its tables go to."""

    emulator: RedcapEmulator
    token: str
    project: RedcapProject
    out_dir: Path

    def resource(self, **settings: Any) -> RedcapResource:
        """A resource that reads its token from the environment, as users do."""
        return RedcapResource(
            api_url=self.emulator.url,
            api_token=dg.EnvVar("REDCAP_API_TOKEN"),
            **({"retries": 0} | settings),
        )

    def materialize(
        self,
        *,
        assets: dg.AssetsDefinition | None = None,
        resource: RedcapResource | None = None,
        **options: Any,
    ) -> dg.ExecuteInProcessResult:
        """Materialize what `selection` names, or everything."""
        assets = assets or build_redcap_assets(self.project, out_dir=self.out_dir)
        with TemporaryDirectory() as budget, pytest.MonkeyPatch.context() as patch:
            # Runs lie minutes apart to the budget of requests; it made some tests twice as long.
            patch.setenv(FOLDER_VARIABLE, budget)
            return dg.materialize(
                [assets],
                resources={"redcap": resource or self.resource()},
                run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
                **options,
            )

    def table(self, name: str, partition: str = "") -> list[dict[str, Any]]:
        """The rows of a published table."""
        rows: list[dict[str, Any]] = read_published(self.out_dir / partition, name).to_pylist()
        return rows

    def asked(self, content: str) -> int:
        """How many requests for a content the emulator answered."""
        return sum(1 for request in self.emulator.requests if request.content == content)


@pytest.fixture(scope="session")
def study_xml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic study of sixty participants, planted mistakes included."""
    path = tmp_path_factory.mktemp("study") / "study.xml"
    path.write_bytes(make_study(seed=3, participants=PARTICIPANTS))
    return path


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Study]]:
    """Serves a project file on an emulator of its own, the token in the environment."""
    with ExitStack() as running:

        def _serve(project_xml: str | Path, **options: Any) -> Study:
            emulator = running.enter_context(RedcapEmulator())
            token = emulator.add_project(project_xml, **options)
            monkeypatch.setenv("REDCAP_API_TOKEN", token)
            with RedcapClient(emulator.url, token) as client:
                project = read_design(client)
            emulator.requests.clear()
            return Study(emulator, token, project, tmp_path / "published")

        yield _serve


@pytest.fixture
def study(study_xml: Path, serve: Callable[..., Study]) -> Study:
    """The synthetic study on an emulator of its own."""
    return serve(study_xml)


@pytest.fixture
def load(study: Study, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Makes the definitions of a component: `component_sandbox`."""
    monkeypatch.setenv("STUDY_URL", study.emulator.url)
    monkeypatch.setenv("STUDY_TOKEN", study.token)
    with component_sandbox(study.out_dir) as load_component:
        yield load_component


@pytest.fixture
def watch(study: Study) -> Iterator[Watch]:
    """Makes a watched study, materialized once."""
    with watching(study) as make_watched:
        yield make_watched


def rows_by_asset(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Rows that each materialization said it has, by the last part of its key."""
    counts = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        metadata = materialization.metadata
        rows = metadata.get("dagster/row_count") or metadata["dagster/partition_row_count"]
        counts[materialization.asset_key.path[-1]] = rows.value
    return counts


@pytest.fixture
def count_rows() -> Any:
    """`rows_by_asset`."""
    return rows_by_asset


@pytest.fixture
def materialize_definitions(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Runs a page's `definitions.py` beside `my_study.json`: the assets with the keys given."""

    def _materialize(definitions: str, *keys: list[str]) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("REDCAP_API_URL", study.emulator.url)
        study.project.snapshot("my_study.json")
        names: dict[str, Any] = {}
        exec(definitions, names)  # noqa: S102 - the page's own snippet
        job = names["defs"].resolve_implicit_global_asset_job_def()
        quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        chosen = [dg.AssetKey(key) for key in keys]
        assert job.execute_in_process(run_config=quiet, asset_selection=chosen).success

    return _materialize
