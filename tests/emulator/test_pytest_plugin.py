"""The fixture that the package ships, and runs in which it cannot work."""

import subprocess
import sys
from pathlib import Path

import requests

from redcap_dagster.emulator import RedcapEmulator, synthetic_project

WITHOUT_THE_EXTRA = """
import sys
for name in ("starlette", "uvicorn", "multipart", "python_multipart"):
    sys.modules[name] = None
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "--import-mode=importlib", sys.argv[1]]))
"""


def test_the_fixture_is_a_running_emulator(redcap_emulator: RedcapEmulator) -> None:
    token = redcap_emulator.add_project(synthetic_project(2))
    data = {"token": token, "content": "record", "format": "csv", "fields": "record_id"}
    assert requests.post(redcap_emulator.url, data=data, timeout=30).text == "record_id\n1\n2\n"


def test_loading_the_plugin_imports_nothing_of_the_emulator() -> None:
    code = (
        "import sys, redcap_dagster.pytest_plugin\n"
        "print([name for name in ('starlette', 'uvicorn', 'dagster', 'pandas') "
        "if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_runs_without_the_extra_go_on_and_only_the_fixture_fails(tmp_path: Path) -> None:
    file = tmp_path / "test_sample.py"
    file.write_text("def test_plain(): pass\ndef test_with(redcap_emulator): pass\n")
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "1 passed, 1 error" in ran.stdout
    assert "ModuleNotFoundError" in ran.stdout
