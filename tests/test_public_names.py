"""The names that stay, and what importing them costs."""

import subprocess
import sys

import pytest

import redcap_dagster


def run_python(code: str) -> str:
    """Run a program in a fresh interpreter that takes warnings for errors."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(redcap_dagster.__all__) == redcap_dagster.__all__
    for name in redcap_dagster.__all__:
        assert getattr(redcap_dagster, name).__name__ == name
        assert name in dir(redcap_dagster)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'RedcapWorkspace'"):
        _ = redcap_dagster.RedcapWorkspace  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "module",
    ["redcap_dagster", "redcap_dagster.api", "redcap_dagster.emulator", "redcap_dagster.cli"],
)
def test_what_needs_no_dagster_does_not_import_it(module: str) -> None:
    code = f"import {module}, sys; print(any(m.split('.')[0] == 'dagster' for m in sys.modules))"
    assert run_python(code) == "False"


def test_importing_everything_warns_of_nothing() -> None:
    assert run_python("from redcap_dagster import *; print(RedcapResource.__name__)") == (
        "RedcapResource"
    )
