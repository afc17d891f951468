"""A study in YAML by `dg`'s commands: scaffolded, checked, listed, launched."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from redcap_dagster import RedcapProjectComponent

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study


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
