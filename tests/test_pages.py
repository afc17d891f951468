"""The snippets of the pages on quality, tables and the emulator work, in their order."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from pyarrow import csv

from example_pipeline.study.generate import make_study
from redcap_dagster import RedcapProject
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import read_design
from redcap_dagster.project import plan_export_columns
from redcap_dagster.quality import read_custom_rules
from redcap_dagster.tables import ExtractWriter, plan_tables, read_published, to_pandas

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RedcapEmulator]:
    with RedcapEmulator() as redcap:
        yield redcap


@pytest.fixture(scope="module")
def project_and_export(emulator: RedcapEmulator) -> tuple[RedcapProject, pa.Table]:
    """A small study's design and its raw flat export."""
    token = emulator.add_project(make_study(seed=3, participants=40))
    with RedcapClient(emulator.url, token) as client:
        project = read_design(client)
        body = client.export_records_csv(export_data_access_groups=True)
    names = [column.name for column in plan_export_columns(project)]
    rows = csv.read_csv(
        pa.BufferReader(body),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    return project, rows


@pytest.fixture
def study(
    project_and_export: tuple[RedcapProject, pa.Table],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[RedcapProject, pa.Table]:
    """The same, in a folder of its own that holds the snapshot."""
    monkeypatch.chdir(tmp_path)
    project, _ = project_and_export
    project.snapshot("my_study.json")
    return project_and_export


def blocks(page: str, language: str = "python") -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(snippet: str, **names: Any) -> dict[str, Any]:
    exec(snippet, names)  # noqa: S102 - the page's own snippet
    return names


def test_the_page_on_quality(study: tuple[RedcapProject, pa.Table]) -> None:
    project, export = study
    Path("quality").mkdir()
    Path("quality/rules.yaml").write_text(*blocks("quality.md", "yaml"))
    Path("quality/excluded.csv").write_text("record_id,rule\n")
    assert [rule.severity for rule in read_custom_rules("quality/rules.yaml")] == ["error"]
    assets, without_blanks, schema, judged = blocks("quality.md")
    run(assets)
    run(without_blanks)
    with ExtractWriter("data", project, plan_tables(project)) as writer:
        writer.write(export)
        writer.publish()
    frame = to_pandas(read_published("data", "demographics"))
    valid = frame[frame["email"].str.fullmatch(r"\S+@\S+\.\S+")].head(1)  # no planted mistake
    assert len(valid) == 1
    run(schema, project=project, frame=valid)
    names = run(judged, project=project, export=export)
    outcome = names["judge"].outcome("out_of_range", "demographics")
    assert outcome.rows == len(frame)


def test_the_page_on_tables(
    study: tuple[RedcapProject, pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    project, export = study
    (snippet,) = blocks("tables.md")
    frame = run(snippet, project=project, chunks=[export])["frame"]
    assert len(frame) > 0
    assert "demographics" in capsys.readouterr().out


def test_the_page_on_the_emulator(
    study: tuple[RedcapProject, pa.Table],  # noqa: ARG001 - a folder of its own
    emulator: RedcapEmulator,
    tmp_path: Path,
) -> None:
    Path("study.xml").write_bytes(make_study(seed=3, participants=40))
    served, faults, fixture = blocks("emulator.md")
    for spec in re.findall(r"--fault (\S+)", "".join(blocks("emulator.md", "console"))):
        emulator.faults.remove(emulator.faults.add(spec))
    run(served)
    run(faults, redcap=emulator)
    assert requests.get(emulator.url.removesuffix("api/"), timeout=30).ok
    assert emulator.faults.struck == {}
    Path("test_mine.py").write_text(fixture)
    tested = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    answer = subprocess.run(tested, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
