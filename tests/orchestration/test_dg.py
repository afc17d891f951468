"""A study in YAML by `dg`'s commands: scaffolded, checked, listed, launched."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster import RedcapProjectComponent
from redcap_dagster.emulator import RedcapEmulator

PAGE = (Path(__file__).parents[2] / "docs" / "component.md").read_text(encoding="utf-8")


@dataclass
class DgProject:
    """A dg project with one module, as `create-dagster project` lays it out.

    That command is a package of its own.
    """

    folder: Path
    environment: dict[str, str]

    def __post_init__(self) -> None:
        self.defs.mkdir(parents=True)
        (self.defs.parent / "__init__.py").touch()
        (self.defs / "__init__.py").touch()
        (self.defs.parent / "definitions.py").write_text(
            "from pathlib import Path\n\nfrom dagster import definitions, load_from_defs_folder\n\n"
            "\n@definitions\ndef defs():\n"
            "    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
        )
        (self.folder / "pyproject.toml").write_text(
            '[project]\nname = "clinic"\nversion = "0"\n'
            '[tool.dg]\ndirectory_type = "project"\n'
            '[tool.dg.project]\nroot_module = "clinic"\npython_environment = "active"\n'
            'registry_modules = ["clinic.components.*"]\n'
        )

    @property
    def defs(self) -> Path:
        """Where definitions are put."""
        return self.folder / "src" / "clinic" / "defs"

    def add(self, name: str, content: str) -> None:
        """Write a component by hand."""
        (self.defs / name).mkdir()
        (self.defs / name / "defs.yaml").write_text(content)

    def dg(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `dg` as a user does."""
        path = [str(self.folder / "src"), os.environ.get("PYTHONPATH", "")]
        return subprocess.run(
            [str(Path(sys.executable).with_name("dg")), *words],
            cwd=self.folder,
            env={
                **os.environ,
                **self.environment,
                "DAGSTER_DISABLE_TELEMETRY": "1",
                "DAGSTER_HOME": str(self.folder),
                "PYTHONPATH": os.pathsep.join(path),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, *words: str) -> str:
        """Run `dg` and give what it prints."""
        done = self.dg(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.environment.get("REDCAP_API_TOKEN", "-") not in done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(study_xml: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DgProject]:
    """Two studies with their state: `my_study` as `dg` scaffolds it, `asthma` as the docs say."""
    with RedcapEmulator() as redcap:
        token = redcap.add_project(study_xml)
        project = DgProject(
            tmp_path_factory.mktemp("dg") / "clinic",
            {"REDCAP_API_URL": redcap.url, "REDCAP_API_TOKEN": token},
        )
        project.succeed("scaffold", "defs", "redcap_dagster.RedcapProjectComponent", "my_study")
        (snippet,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
        project.add("asthma", snippet)
        project.succeed("utils", "refresh-defs-state")
        yield project


def test_what_dg_scaffolds_and_what_the_page_says_is_right(project: DgProject) -> None:
    assert "key_prefix: my_study" in (project.defs / "my_study" / "defs.yaml").read_text()
    project.succeed("check", "yaml")


def test_dg_lists_what_the_yaml_says(project: DgProject) -> None:
    definitions: Any = json.loads(project.succeed("list", "defs", "--json"))
    assets = {asset["asset_key"]: asset for asset in definitions["assets"]}
    assert {"my_study/enrolment", "asthma/enrolment", "asthma/records"} <= assets.keys()
    assert {"key": "confidential", "value": "yes"} in assets["asthma/users"]["tags"]
    assert assets["asthma/enrolment"]["owners"] == [{"team": "clinic"}]
    assert "asthma/missing_reasons" not in assets  # `include` leaves it out


def test_dg_launches_a_table(project: DgProject) -> None:
    project.succeed("launch", "--assets", "my_study/enrolment")
    assert list(project.folder.glob("data/my_study/current/enrolment.parquet"))


MISTAKES = """\
type: redcap_dagster.RedcapProjectComponent
attributes:
  api_tokn_env: X
  partitions: evnt
  schedule: 0 3 * *
  record_changes_since: 01.02.2026
  record_buckets: 0
  concurrency: "{{ 2 + 2 }}"
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


def test_dg_check_yaml_points_at_each_mistake(tmp_path: Path) -> None:
    project = DgProject(tmp_path / "clinic", {})
    project.add("my_study", MISTAKES)
    checked = project.dg("check", "yaml")
    assert checked.returncode != 0
    said = checked.stdout + checked.stderr
    lines = MISTAKES.splitlines()
    pointed_at = {lines[int(number) - 1].strip() for number in re.findall(r"yaml:(\d+)", said)}
    assert pointed_at == {
        "api_tokn_env: X",
        "partitions: evnt",
        "schedule: 0 3 * *",
        "record_changes_since: 01.02.2026",
        "record_buckets: 0",
        "choices: label",
        "- uniq_key",
        "outliers: fatal",
        "stdev: both",
        "field_removed: stop",
        "shift_date: true",
    }
    carets = [line for line in said.splitlines() if line.strip(" |").startswith("^")]
    assert len(carets) == len(pointed_at)


def test_the_page_names_every_attribute_of_its_own() -> None:
    common = {"defs_state", "ca_bundle", "verify_tls"}
    names = RedcapProjectComponent.model_fields.keys() - common
    assert [name for name in names if name not in PAGE] == []
