"""The example of a deployment on Kubernetes is one that dagster-k8s would take."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from redcap_dagster import RedcapResource

DEPLOYMENT = Path(__file__).parents[2] / "deploy" / "kubernetes" / "dagster.yaml"


@pytest.fixture
def launcher() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(DEPLOYMENT.read_text())["run_launcher"]
    return settings


def check_config(launcher: dict[str, Any]) -> None:
    """Raise where dagster-k8s would."""
    k8s = pytest.importorskip("dagster_k8s", reason="the group `scaling` is not installed")

    @dg.op(config_schema=getattr(k8s, launcher["class"]).config_type())
    def launch() -> None: ...

    @dg.job
    def launching() -> None:
        launch()

    dg.validate_run_config(launching, {"ops": {"launch": {"config": launcher["config"]}}})


def test_the_run_launcher_takes_its_settings(launcher: dict[str, Any]) -> None:
    assert launcher["module"] == "dagster_k8s"
    check_config(launcher)


def test_the_check_finds_a_wrong_word(launcher: dict[str, Any]) -> None:
    launcher["config"]["job_imag"] = "x"
    with pytest.raises(dg.DagsterInvalidConfigError, match="job_imag"):
        check_config(launcher)


def test_pods_are_described_in_words_of_kubernetes(launcher: dict[str, Any]) -> None:
    job = pytest.importorskip("dagster_k8s.job", reason="the group `scaling` is not installed")

    def pod_of(described: dict[str, Any]) -> Any:
        return job.get_user_defined_k8s_config({"dagster-k8s/config": json.dumps(described)})

    run = launcher["config"]["run_k8s_config"]
    assert pod_of(run).container_config["resources"]["limits"]["memory"] == "2Gi"
    larger = {"container_config": {"resources": {"limits": {"memory": "4Gi"}}}}  # docs/scaling.md
    assert pod_of(larger).container_config["resources"]["limits"] == {"memory": "4Gi"}
    run["container_config"]["resource"] = {}
    with pytest.raises(Exception, match="resource"):
        pod_of(run)


def test_dagster_takes_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = yaml.safe_load(DEPLOYMENT.read_text())
    # Needs a cluster, and a server: both are looked at elsewhere.
    del settings["run_launcher"], settings["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        assert instance.run_monitoring_enabled


def test_the_shares_of_the_pods_make_one_budget() -> None:
    limit = yaml.safe_load(DEPLOYMENT.read_text())["concurrency"]["pools"]["default_limit"]
    assert f"`share: {1 / limit}`" in DEPLOYMENT.read_text()
    default = RedcapResource.model_fields["requests_per_minute"].default
    assert limit * int(default / limit) <= default
