"""The page on exports says what the commands do."""

import re
import shlex
from pathlib import Path

import pytest

from redcap_dagster.cli import main
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.tables import current_extract

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.usefixtures("study")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_and_snippet_of_the_page_works(
    tmp_path: Path,
    emulator: RedcapEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("01-001\n02-002\n")
    commands = [shlex.split(line)[1:] for block in blocks("console") for line in block.splitlines()]
    assert len(commands) == 5
    snippets = blocks("python")
    assert len(snippets) == 2
    for command in commands:
        assert main(command) == 0, command
    capsys.readouterr()
    for snippet in snippets:
        exec(snippet.replace("https://redcap.example.org/api/", emulator.url), {})  # noqa: S102
    assert capsys.readouterr().out == "1384\n1384 True\n"


def test_every_entry_of_the_manifest_is_on_the_page(tmp_path: Path) -> None:
    assert main(["export", "--out", str(tmp_path), "--no-raw", "--forms", "enrolment"]) == 0
    facts = current_extract(tmp_path).facts
    # `partition` is Dagster's: null in an extract without it.
    assert [name for name in facts if f"`{name}`" not in PAGE] == ["partition"]
