"""A fresh checkout, no environment variable, no second terminal: `dagster dev` and its page."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 120
SECONDS_TO_RUN = 240


@dataclass
class Page:
    """Dagster's page: what a browser asks of it."""

    url: str
    out_dir: Path

    def ask(self, query: str, **variables: Any) -> Any:
        """Send a GraphQL query and give its data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            content = json.load(answer)
        assert "errors" not in content, content
        return content["data"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """`dagster dev -w workspace.yaml`, until the tests of this module are done."""
    folder = tmp_path_factory.mktemp("dev")
    home = folder / "home"
    home.mkdir()
    home.joinpath("dagster.yaml").write_text(
        "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
    )
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("REDCAP_")
    } | {"DAGSTER_HOME": str(home), "EXAMPLE_OUT_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Its children outlive it otherwise: they are ended as a group.
            start_new_session=True,
        ) as process,
    ):
        page = Page(f"http://127.0.0.1:{port}", folder / "data")
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not is_up(page.url):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.5)
            yield page
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


WORKSPACE = """{workspaceOrError{... on Workspace{locationEntries{name loadStatus
  locationOrLoadError{__typename ... on PythonError{message}}}}}}"""
ASSETS = "{assetNodes{assetKey{path} groupName isExecutable hasMaterializePermission}}"
LAUNCH = """mutation($keys:[AssetKeyInput!]!){launchPipelineExecution(executionParams:{
  selector:{repositoryLocationName:"asthma_cohort",repositoryName:"__repository__",
  pipelineName:"__ASSET_JOB",assetSelection:$keys},runConfigData:"{}",mode:"default"}){
  __typename ... on LaunchRunSuccess{run{runId}} ... on PythonError{message}}}"""
STATUS = "query($id:ID!){runOrError(runId:$id){... on Run{status}}}"
DETAILS = """{assetNodes{assetKey{path} assetMaterializations(limit:1){
  metadataEntries{label ... on IntMetadataEntry{intValue} ... on PathMetadataEntry{path}
  ... on MarkdownMetadataEntry{mdStr}}}}}"""


def test_the_code_location_loads(page: Page) -> None:
    (entry,) = page.ask(WORKSPACE)["workspaceOrError"]["locationEntries"]
    assert entry["name"] == "asthma_cohort"
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry


@pytest.fixture(scope="module")
def materialized(page: Page) -> Page:
    """The page after every asset was materialized from it."""
    keys = [node["assetKey"] for node in page.ask(ASSETS)["assetNodes"]]
    launched = page.ask(LAUNCH, keys=keys)["launchPipelineExecution"]
    run_id = launched["run"]["runId"]
    deadline = time.monotonic() + SECONDS_TO_RUN
    status = "QUEUED"
    while status not in {"SUCCESS", "FAILURE", "CANCELED"} and time.monotonic() < deadline:
        time.sleep(1)
        status = page.ask(STATUS, id=run_id)["runOrError"]["status"]
    assert status == "SUCCESS"
    return page


def test_every_asset_materializes_from_the_page(materialized: Page) -> None:
    nodes = materialized.ask(DETAILS)["assetNodes"]
    assert len(nodes) >= 19
    for node in nodes:
        (materialization,) = node["assetMaterializations"]
        entries = {entry["label"]: entry for entry in materialization["metadataEntries"]}
        if node["assetKey"]["path"][-1] == "study_report":
            assert "data:image/png;base64," in json.dumps(entries)
        else:
            assert entries["dagster/row_count"]["intValue"] is not None
    assert (materialized.out_dir / "asthma" / "current" / "enrolment.parquet").exists()
    assert (materialized.out_dir / "analytics" / "study_report.html").exists()


CHROMIUM = shutil.which("chromium")
PICTURES = {
    "assets": ("/asset-groups/", (1500, 900), ["aspire_asthma_cohort_synthetic", "analytics"]),
    "columns": (
        "/assets/asthma/spirometry",
        (1500, 1300),
        ["fev1_l", "FEV1", "at least", "redcap/form: spirometry"],
    ),
    "check": (
        "/assets/asthma/spirometry?view=checks",
        (1500, 900),
        ["schema", "invalid_data_type", "out_of_range"],
    ),
    "plot": (
        "/assets/analytics/lung_function_trend_by_arm",
        (1500, 1000),
        ["mean_percent_predicted", "DuckDB"],
    ),
}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("name", PICTURES)
def test_the_page_is_seen_in_a_browser(name: str, materialized: Page, tmp_path: Path) -> None:
    """With `SCREENSHOTS=docs/images` it leaves the pictures of the docs there."""
    path, (width, height), words = PICTURES[name]
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path)).absolute()
    dom = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'browser'}",
            "--virtual-time-budget=30000",
            f"--window-size={width},{height}",
            f"--screenshot={folder / name}.png",
            "--dump-dom",
            f"{materialized.url}{path}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    ).stdout
    assert [word for word in words if word not in dom] == []
    assert (folder / f"{name}.png").stat().st_size > 20_000
