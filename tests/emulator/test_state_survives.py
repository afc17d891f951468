"""Many clients at once lose no write, and a killed server has kept every write it answered."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "id", "form_name": "intake"},
    {"field_name": "name", "form_name": "intake"},
    {"field_name": "pain", "form_name": "diary"},
]
REPEATS = [("", "diary", "")]
CLIENTS = 32
ROUNDS = 3
TOKEN = "AB" * 16


def test_clients_that_read_and_write_at_once_lose_nothing(
    redcap: RedcapEmulator, project_xml: Any
) -> None:
    token = redcap.add_project(project_xml(FIELDS, repeats=REPEATS))

    def client(number: int) -> list[int]:
        with requests.Session() as session:

            def ask(**sent: str) -> int:
                data = {"token": token, "content": "record", "format": "csv", **sent}
                return session.post(redcap.url, data=data, timeout=60).status_code

            statuses = []
            for turn in range(ROUNDS):
                statuses.append(ask(data=f"id,name\n{number}-{turn},Ann\n"))
                shared = "id,redcap_repeat_instrument,redcap_repeat_instance,pain\nall,diary,new,"
                statuses.append(ask(data=f"{shared}{number}-{turn}\n"))
                statuses.append(ask())
            return statuses

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = {status for got in pool.map(client, range(CLIENTS)) for status in got}
    asked = {"token": token, "content": "record", "format": "json"}
    rows = requests.post(redcap.url, data=asked, timeout=60).json()
    written = {f"{number}-{turn}" for number in range(CLIENTS) for turn in range(ROUNDS)}
    assert statuses == {200}
    assert {row["id"] for row in rows} == {*written, "all"}
    instances = [row for row in rows if row["redcap_repeat_instrument"]]
    assert sorted(row["pain"] for row in instances) == sorted(written)
    assert [row["redcap_repeat_instance"] for row in instances] == [*range(1, CLIENTS * ROUNDS + 1)]
    log = requests.post(
        redcap.url, data={**asked, "content": "log", "logtype": "record"}, timeout=60
    ).json()
    assert len(log) == 2 * len(written)


@contextmanager
def server(xml: Path, state: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "redcap_dagster.emulator", str(xml)]
    options = ["--state", str(state), "--token", TOKEN]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


def test_what_was_answered_is_there_after_kill_9(tmp_path: Path, project_xml: Any) -> None:
    xml, state = tmp_path / "study.xml", tmp_path / "state.sqlite"
    xml.write_text(project_xml(FIELDS, repeats=REPEATS), encoding="utf-8")
    answered: list[str] = []

    def write(url: str, number: int) -> None:
        data = {"token": TOKEN, "content": "record", "format": "csv", "data": f"id\n{number}\n"}
        if requests.post(url, data=data, timeout=30).status_code == requests.codes.ok:
            answered.append(str(number))

    with server(xml, state) as (process, url):
        for number in range(20):
            write(url, number)
        with ThreadPoolExecutor(4) as pool:
            pending = [pool.submit(write, url, number) for number in range(20, 200)]
            pending[20].result()
            process.send_signal(signal.SIGKILL)
        lost = [done.exception() for done in pending if done.exception() is not None]
    with server(xml, state) as (_, url):
        asked = {"token": TOKEN, "content": "record", "format": "csv", "fields[0]": "id"}
        kept = requests.post(url, data=asked, timeout=30).text.split()[1:]
    assert all(isinstance(error, requests.RequestException) for error in lost)
    assert {*answered} <= {row.split(",")[0] for row in kept}
    assert len(answered) < 200
