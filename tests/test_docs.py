"""What the papers say is so: commands exist and run in CI, snippets work, links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.cli import main
from redcap_dagster.emulator import RedcapEmulator

ROOT = Path(__file__).parents[1]
PAPERS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
STUDY = ROOT / "example_pipeline" / "study" / "asthma_cohort.xml"

# A command of the README that CI does not run: a server without end.
NOT_IN_CI = {"make ui"}


def code_blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def make_commands(path: Path) -> set[str]:
    lines = "\n".join(code_blocks(path, "console")).splitlines()
    return {line.strip() for line in lines if line.startswith("make ")}


def test_ci_runs_the_make_commands_of_the_readme_and_no_others() -> None:
    in_ci = set(re.findall(r'"(make [a-z-]+)"', (ROOT / ".ci" / "run").read_text()))
    assert in_ci == make_commands(ROOT / "README.md") - NOT_IN_CI


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_make_command_of_a_paper_is_a_target(paper: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z-]+)", paper.read_text(encoding="utf-8"))
    assert {command.split()[1] for command in make_commands(paper)} | set(named) <= targets


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_link_of_a_paper_leads_to_a_file(paper: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", paper.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (paper.parent / link).exists()]
    assert broken == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if f"({page}" not in readme] == []


def test_make_help_lists_every_target() -> None:
    answer = subprocess.run(
        ["/usr/bin/env", "make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = set(re.findall(r"^ +make ([a-z-]+)", answer.stdout, re.MULTILINE))
    assert listed == set(phony[1].split())


def test_the_readmes_own_study_works_word_by_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = ROOT / "README.md"
    commands = [
        line
        for block in code_blocks(readme, "console")
        for line in block.splitlines()
        if line.startswith("redcap-dagster ")
    ]
    assert commands == ["redcap-dagster check", "redcap-dagster snapshot my_study.json"]
    (snippet,) = code_blocks(readme, "python")
    monkeypatch.chdir(tmp_path)
    with RedcapEmulator() as redcap:
        token = redcap.add_project(STUDY)
        monkeypatch.setenv("REDCAP_API_URL", redcap.url)
        monkeypatch.setenv("REDCAP_API_TOKEN", token)
        for command in commands:
            assert main(command.split()[1:]) == 0
        said = capsys.readouterr()
        assert token not in said.out + said.err
        names: dict[str, Any] = {}
        exec(snippet, names)  # noqa: S102 - the README's own snippet
        job = names["defs"].resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        )
        # In the folder that the snippet has just published in.
        beside = re.findall(r"`redcap-dagster ((?:export|verify) [^`]+)`", readme.read_text())
        assert [main(command.split()) for command in beside] == [0, 0]
    assert result.success
    assert (tmp_path / "data" / "my_study" / "current" / "enrolment.parquet").exists()


@pytest.mark.parametrize(
    "command",
    ["", "check", "export", "snapshot", "verify", "load", "trigger-inbox", "emulator"],
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    usage = f"usage: redcap-dagster{command and ' '}{command}"
    assert capsys.readouterr().out.startswith(usage)


@pytest.mark.parametrize(
    ("command", "defaults"),
    [("load", "[redcap] [add]"), ("trigger-inbox", "[127.0.0.1]"), ("emulator", "[127.0.0.1]")],
)
def test_help_says_what_holds_unless_told_otherwise(
    command: str, defaults: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out
    assert [default for default in defaults.split() if default not in said] == []


@pytest.mark.parametrize("run", ["-m redcap_dagster", "redcap-dagster"])
def test_the_package_runs_as_a_module_and_as_a_command(run: str) -> None:
    words = run.split() if run[0] == "-" else [str(Path(sys.executable).with_name(run))]
    answer = subprocess.run(
        [*([sys.executable] if run[0] == "-" else []), *words, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.startswith("usage: redcap-dagster")


def test_ctrl_c_while_libraries_load_ends_in_one_line() -> None:
    script = (
        "import sys\n"
        "class Stopping:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'redcap_dagster.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stopping())\n"
        "from redcap_dagster.__main__ import main\n"
        "raise SystemExit(main())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (130, "redcap-dagster: Stopped.\n")
