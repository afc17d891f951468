"""docs/scaling.md: its sums are right, and its code works."""

import math
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from example_pipeline.study.generate import make_study
from redcap_dagster import RedcapProject, RedcapResource, build_redcap_assets
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import DEFAULT_CELLS_PER_REQUEST, read_design

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
OF_A_RUN, OWN_TABLES = 12, 13


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("study") / "study.xml"
    path.write_bytes(make_study(seed=3, participants=30))
    with RedcapEmulator() as redcap:
        redcap.add_project(path, token="A" * 32)
        yield redcap


@pytest.fixture(scope="module")
def project(emulator: RedcapEmulator) -> RedcapProject:
    with RedcapClient(emulator.url, "A" * 32) as client:
        return read_design(client)


def test_the_sums_are_right() -> None:
    rows = re.findall(r"^\| [a-z ]+ \|((?: [0-9.]+ \|){7})$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for row in rows:
        studies, records, columns, depth, buckets, requests, minutes = map(
            float, row.strip(" |").split(" | ")
        )
        in_an_answer = min(5_000, DEFAULT_CELLS_PER_REQUEST // int(columns * depth))
        batches = math.ceil(math.ceil(records / buckets) / in_an_answer)
        sent = studies * (buckets * (OF_A_RUN + batches) + OWN_TABLES)
        assert sent == requests
        assert f"{sent / 300:.1f}" == f"{minutes:.1f}"


def test_a_run_sends_what_the_page_says(
    emulator: RedcapEmulator,
    project: RedcapProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDCAP_API_TOKEN", "A" * 32)
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}

    def sent(**options: Any) -> int:
        emulator.requests.clear()
        dg.materialize(
            [build_redcap_assets(project, out_dir=tmp_path, quality=None, **options)],
            resources={
                "redcap": RedcapResource(
                    api_url=emulator.url, api_token=dg.EnvVar("REDCAP_API_TOKEN")
                )
            },
            run_config=quiet,
        )
        return len(emulator.requests)

    assert sent(include=["records"]) == OF_A_RUN + 1
    assert sent() == OF_A_RUN + 1 + OWN_TABLES
    assert f"up to {OF_A_RUN} |" in PAGE
    assert f"up to {OWN_TABLES} |" in PAGE


def test_the_code_works(
    project: RedcapProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions, tags = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    project.snapshot(tmp_path / "my_study.json")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"project": project, "build_redcap_assets": build_redcap_assets}
    exec(definitions, names)  # noqa: S102 - the page's own snippet
    dg.Definitions.validate_loadable(names["defs"])
    assets = names["defs"].resolve_assets_def(["my_study", "records"])
    assert assets.op.tags["dagster-celery/queue"] == "redcap"
    made = eval(tags, names)  # noqa: S307 - the page's own snippet
    assert "4Gi" in made.op.tags["dagster-k8s/config"]
