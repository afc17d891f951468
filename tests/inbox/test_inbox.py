"""REDCap's data entry trigger: what is taken, what is refused, what is kept."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from redcap_dagster.cli import main
from redcap_dagster.errors import ConfigError
from redcap_dagster.inbox import TriggerInbox, trigger_app

TRIGGER = {
    "project_id": "17",
    "username": "jdoe",
    "instrument": "vitals",
    "record": "zqrecord 5",
    "redcap_event_name": "visit_1_arm_1",
    "vitals_complete": "2",
    "redcap_url": "https://redcap.example.org/",
    "project_url": "https://redcap.example.org/redcap_v15.0.0/index.php?pid=17",
}


def post(url: str, body: Any) -> requests.Response:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return requests.post(url, body, headers=headers, timeout=10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "inbox" / "triggers.sqlite"


@pytest.fixture
def url(file: Path) -> Iterator[str]:
    """Address of the app, mounted in another one, over HTTP."""
    app = Starlette(routes=[Mount("/redcap", trigger_app(TriggerInbox(file), [17]))])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/redcap/"
        server.should_exit = True
        thread.join()


def test_a_trigger_is_taken_and_only_project_form_and_a_digest_are_kept(
    url: str, file: Path
) -> None:
    before = datetime.now(timezone.utc)
    assert TriggerInbox(file).newest(17) is None
    answer = post(url, TRIGGER)
    assert (answer.status_code, answer.content) == (204, b"")
    newest = TriggerInbox(file).newest(17)
    assert newest is not None
    assert before <= newest <= datetime.now(timezone.utc)
    assert TriggerInbox(file).newest(18) is None
    with closing(sqlite3.connect(file)) as database, database:
        ((_, project, record, form),) = database.execute("SELECT * FROM triggers").fetchall()
    assert (project, form, len(record)) == (17, "vitals", 32)
    content = file.read_bytes()
    assert [word for word in (b"zqrecord", b"jdoe", b"visit_1") if word in content] == []
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"project_id": "18"}, 403, "not taken here"),
        ({"project_id": "17 or 18"}, 400, "project_id is no number"),
        ({"record": None}, 400, "one record; this has 0"),
        ({"record": ""}, 400, "one record; this has 0"),
        ({"record": "9" * 101}, 400, "more than 100"),
        ({"record": ["1", "2"]}, 400, "one record; this has 2"),
        ({"instrument": "../vitals"}, 400, "instrument"),
        ({"comment": "x" * 20_000}, 413, "16384 bytes"),
    ],
)
def test_what_is_no_trigger_is_refused_with_its_reason(
    url: str,
    file: Path,
    change: dict[str, str | list[str] | None],
    status: int,
    said: str,
) -> None:
    fields = {name: value for name, value in {**TRIGGER, **change}.items() if value is not None}
    answer = post(url, urlencode(fields, doseq=True))
    assert answer.status_code == status
    assert said in answer.text
    assert "zqrecord" not in answer.text
    assert not file.exists()


def test_bytes_that_are_no_text_are_refused(url: str) -> None:
    assert post(url, b"record=\xff\xfe&project_id=17").status_code == 400


def test_another_method_is_refused(url: str) -> None:
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_entries_go_after_a_week(file: Path) -> None:
    inbox = TriggerInbox(file)
    inbox.add(17, "1", "vitals")
    old = (datetime.now(timezone.utc) - timedelta(days=8)).isoformat(timespec="microseconds")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE triggers SET received_at = ?", [old])
    inbox.add(18, "1", "vitals")
    assert inbox.newest(17) is None


def test_an_inbox_of_no_project_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="number of a project"):
        trigger_app(TriggerInbox(file), [])


def test_the_command_listens_until_it_is_stopped(file: Path) -> None:
    command = [sys.executable, "-m", "redcap_dagster", "trigger-inbox", str(file)]
    with subprocess.Popen(
        [*command, "--project-id", "17"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["url"]
        assert post(address, TRIGGER).status_code == 204
        process.terminate()
    assert TriggerInbox(file).newest(17) is not None


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_there_is_not_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["trigger-inbox", str(file), "--project-id", "17", f"--port={port}"])
    assert ended.value.code == 2
    assert "is no port: they go from 0 to 65535" in capsys.readouterr().err


def test_a_file_that_is_no_inbox_is_refused_at_the_start(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.mkdir()
    file.write_text("something else of this user's")
    for place in (file, file.parent, file / "below"):
        assert main(["trigger-inbox", str(place), "--project-id", "17"]) == 1
        answer = capsys.readouterr()
        assert f"The inbox {place} cannot be used: " in answer.err
        assert not answer.out
    assert file.read_text() == "something else of this user's"


def test_a_trigger_that_cannot_be_written_down_is_answered_so(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_text("something else")
    assert post(url, TRIGGER).status_code == 503
    (message,) = [item for item in caplog.records if item.name.startswith("redcap_dagster")]
    assert "A data entry trigger was lost" in message.getMessage()
    assert TRIGGER["record"] not in message.getMessage().replace(str(file), "")
