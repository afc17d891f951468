"""Worked examples through both evaluators, and the command that runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from redcap_dagster.errors import ConfigError
from redcap_dagster.logic.__main__ import main
from redcap_dagster.logic.vectors import Vector, read_vectors, run_vector

OWN = Path(__file__).with_name("vectors.json")
SHARED = Path(__file__).parents[3] / "shared" / "redcap" / "logic_vectors.json"


def named(path: Path) -> list[ParameterSet]:
    return [pytest.param(item, id=item.vector_id) for item in read_vectors(path)]


@pytest.mark.parametrize("vector", named(OWN))
def test_own_examples_pass(vector: Vector) -> None:
    assert list(run_vector(vector)) == []


@pytest.mark.shared
def test_shared_examples_pass() -> None:
    if not SHARED.exists():
        pytest.skip("../shared/redcap/logic_vectors.json is not here")
    failed = {item.vector_id: list(run_vector(item)) for item in read_vectors(SHARED)}
    assert {name: found for name, found in failed.items() if found} == {}


def write(path: Path, *vectors: object) -> Path:
    path.write_text(json.dumps({"vectors": vectors}), encoding="utf-8")
    return path


RIGHT = {"id": "A", "kind": "calc", "expr": "[x]+1", "row": {"x": "1"}, "expected": 2}


def test_command_counts_what_passed_and_lists_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {**RIGHT, "id": "B", "expected": 3}
    reason = "REDCap compares with one equals sign: write = instead of ==. (line 1, column 4)"
    refused = {**RIGHT, "id": "C", "expr": "[x]=="}
    assert main([str(write(tmp_path / "v.json", RIGHT, wrong, refused))]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "B [x]+1",
        "  row: 2.0 instead of 3",
        "  table: 2.0 instead of 3",
        "C [x]==",
        f"  row: LogicSyntaxError: {reason}",
        "    [x]==",
        "       ^^",
        f"  table: LogicSyntaxError: {reason}",
        "    [x]==",
        "       ^^",
        "1 passed, 2 failed",
    ]


def test_command_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "redcap_dagster.logic", str(write(tmp_path / "v.json", RIGHT))]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == "1 passed, 0 failed\n"


def test_command_says_what_an_expression_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--expr", "[a] * 2", "--row", '{"a": "1.5"}']) == 0
    assert capsys.readouterr().out == "condition: true\nnumber: 3\ntext: 3\n"


def test_command_points_at_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--expr", "[a] && [b]"]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == ["    [a] && [b]", "        ^^"]


def test_command_needs_a_date_for_today(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--expr", "year('today')"]) == 1
    assert "pass as_of" in capsys.readouterr().err
    assert main(["--expr", "year('today')", "--as-of", "2024-03-01"]) == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", 'has no list "vectors"'),
        ('{"vectors": [{"kind": "calc"}]}', "Vector 1 is not of the format: KeyError 'expr'"),
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence.replace("[", r"\[")):
        read_vectors(path)


def test_a_missing_file_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.endswith("cannot be read: No such file or directory.\n")
