"""A fresh checkout, no environment variable, no second terminal: `dagster dev` and its page."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.dagster_dev import DagsterPage, dagster_dev

SECONDS_TO_RUN = 480


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterPage]:
    """`dagster dev -w workspace.yaml`, until the tests of this module are done."""
    folder = tmp_path_factory.mktemp("dev")
    variables = {"EXAMPLE_OUT_DIR": str(folder / "data")}
    with dagster_dev(folder, "-w", "workspace.yaml", variables=variables) as running:
        yield running


WORKSPACE = """{workspaceOrError{... on Workspace{locationEntries{name loadStatus
  locationOrLoadError{__typename ... on PythonError{message}}}}}}"""
ASSETS = "{assetNodes{assetKey{path} groupName isExecutable hasMaterializePermission}}"
LAUNCH = """mutation($keys:[AssetKeyInput!]!){launchPipelineExecution(executionParams:{
  selector:{repositoryLocationName:"asthma_cohort",repositoryName:"__repository__",
  pipelineName:"__ASSET_JOB",assetSelection:$keys},mode:"default",
  runConfigData:"{\\"execution\\":{\\"config\\":{\\"in_process\\":{}}}}"}){
  __typename ... on LaunchRunSuccess{run{runId}} ... on PythonError{message}}}"""
# In one process: that steps run in processes of their own is seen in the browser's backfill.
STATUS = "query($id:ID!){runOrError(runId:$id){... on Run{status}}}"
DETAILS = """{assetNodes{assetKey{path} assetMaterializations(limit:1){
  metadataEntries{label ... on IntMetadataEntry{intValue} ... on PathMetadataEntry{path}
  ... on MarkdownMetadataEntry{mdStr}}}}}"""


def test_the_code_location_loads(page: DagsterPage) -> None:
    (entry,) = page.ask(WORKSPACE)["workspaceOrError"]["locationEntries"]
    assert entry["name"] == "asthma_cohort"
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry


@pytest.fixture(scope="module")
def materialized(page: DagsterPage) -> DagsterPage:
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


def test_every_asset_materializes_from_the_page(materialized: DagsterPage) -> None:
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


PICTURES = {
    "assets": (
        "/assets/analytics/study_report?view=lineage&lineageScope=upstream&lineageDepth=10",
        1200,
        ["spirometry", "lung_function_trend_by_arm", "study_report", "Materialized"],
    ),
    "columns": (
        "/assets/asthma/spirometry",
        1300,
        ["fev1_l", "FEV1", "at least", "redcap/form: spirometry"],
    ),
    "check": (
        "/assets/asthma/spirometry?view=checks&checkDetail=out_of_range",
        900,
        ["3 findings: fev1_l (3).", "missing_required_values", "Out of range"],
    ),
    "lineage": (
        "/assets/asthma/spirometry?view=lineage",
        900,
        ["lung_function_trend_by_arm", "visit_completeness_by_event", "Materialized"],
    ),
    "plot": (
        "/assets/analytics/lung_function_trend_by_arm",
        1000,
        ["mean_percent_predicted", "DuckDB"],
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_page_is_seen_in_a_browser(
    name: str, materialized: DagsterPage, tab: Page, keep_picture: Callable[[str], None]
) -> None:
    path, height, words = PICTURES[name]
    tab.set_viewport_size({"width": 1500, "height": height})
    tab.goto(f"{materialized.url}{path}")
    for word in words:
        expect(tab.locator("body")).to_contain_text(word, use_inner_text=True)
    expect(tab.locator("body")).not_to_contain_text("Loading", use_inner_text=True)
    keep_picture(name)
