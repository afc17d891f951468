"""The command line: one line of JSON, a loud warning, a clean end."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from redcap_dagster.emulator.command import main

FIELDS = [{"field_name": "record_id", "form_name": "people"}]


@pytest.fixture
def study(project_xml: Any, tmp_path: Path) -> Path:
    file = tmp_path / "study.xml"
    file.write_text(project_xml(FIELDS, [{"record_id": "1", "people_complete": "0"}], title="Été"))
    return file


@contextmanager
def serving(*arguments: str, end: signal.Signals = signal.SIGTERM) -> Iterator[dict[str, Any]]:
    """Run the command until its JSON line, then end it and look at what it leaves."""
    command = [sys.executable, "-m", "redcap_dagster.emulator", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(end)
        rest, warnings = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")
    assert "NO PLACE FOR REAL DATA" in warnings
    assert "Traceback" not in warnings


def test_one_line_says_where_and_with_which_token(study: Path) -> None:
    with serving(str(study)) as listening:
        (project,) = listening["projects"]
        assert project["title"] == "Été"
        data = {"token": project["token"], "content": "record", "format": "csv"}
        answer = requests.post(listening["url"], data=data, timeout=30)
        assert answer.text == "record_id,people_complete\n1,0\n"


def test_a_state_file_keeps_projects_and_tokens(study: Path, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "state.sqlite"))
    with serving(str(study), *state, "--token", "ab" * 16, end=signal.SIGINT) as first:
        assert first["projects"] == [{"title": "Été", "token": "AB" * 16}]
    with serving(str(study), *state) as second:
        assert second["projects"] == first["projects"]


def test_who_has_a_super_token_begins_without_a_project() -> None:
    with serving("--super-token", "c" * 64) as served:
        assert served["projects"] == []
        new = {"content": "project", "format": "json", "token": "c" * 64}
        new["data"] = json.dumps([{"project_title": "Mine", "purpose": "0"}])
        token = requests.post(served["url"], data=new, timeout=30).text
        asked = {"content": "project", "format": "json", "token": token}
        answer = requests.post(served["url"], data=asked, timeout=30).json()
        assert answer["project_title"] == "Mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            (
                "There is no project to serve: give a REDCap project XML file, or --super-token to "
                "create projects by the API."
            ),
        ),
        (["gone.xml"], "gone.xml cannot be read: No such file or directory."),
        (["--token", "0" * 32], "There are more tokens than project files."),
    ],
)
def test_what_cannot_be_served_is_one_sentence_and_1(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert capsys.readouterr() == ("", f"redcap-dagster emulator: {message}\n")


def test_a_cut_file_is_one_sentence_and_1(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(study.read_text()[:-30])
    assert main([str(study)]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"redcap-dagster emulator: {study} ends in the middle, at line ")
