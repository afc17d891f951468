"""The context manager: starts at once, many at a time, counts, and keeps its state on request."""

import gc
from pathlib import Path
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import AskedRequest, EmulatorError, RedcapEmulator

FIELDS = [
    {"field_name": "record_id", "form_name": "people"},
    {"field_name": "name", "form_name": "people"},
]
ROWS = [{"record_id": str(number), "name": f"n{number}"} for number in range(1, 4)]


@pytest.fixture
def xml(project_xml: Any) -> str:
    return str(project_xml(FIELDS, ROWS))


def ids(redcap: RedcapEmulator, token: str) -> str:
    data = {"token": token, "content": "record", "format": "csv", "fields": "record_id"}
    return requests.post(redcap.url, data=data, timeout=30).text


def test_two_run_side_by_side_and_know_nothing_of_each_other(xml: str) -> None:
    with RedcapEmulator() as one, RedcapEmulator() as other:
        token = one.add_project(xml)
        assert one.url != other.url
        assert ids(one, token) == "record_id\n1\n2\n3\n"
        assert ids(other, token) == "ERROR: You do not have permissions to use the API"


def test_requests_are_counted_with_their_cells(xml: str) -> None:
    with RedcapEmulator() as redcap:
        token = redcap.add_project(xml)
        ids(redcap, token)
        ids(redcap, "0" * 32)
        data = {"token": token, "content": "record", "format": "csv", "records": "1,2"}
        requests.post(redcap.url, data=data, timeout=30)
        assert redcap.requests == [
            AskedRequest("record", "", 200, columns=1, rows=3, body_bytes=16),
            AskedRequest("record", "", 403, body_bytes=49),
            AskedRequest("record", "", 200, columns=3, rows=2, records=2, body_bytes=45),
        ]
        assert [request.cells for request in redcap.requests] == [3, 0, 6]


def test_a_long_body_is_streamed_and_whole(project_xml: Any) -> None:
    rows = [{"record_id": str(number), "name": "x" * 500} for number in range(1, 1001)]
    with RedcapEmulator() as redcap:
        token = redcap.add_project(project_xml(FIELDS, rows))
        data = {"token": token, "content": "record", "format": "json"}
        answer = requests.post(redcap.url, data=data, timeout=30)
        assert "content-length" not in answer.headers
        assert [row["record_id"] for row in answer.json()] == [row["record_id"] for row in rows]
        assert redcap.requests[-1].body_bytes == len(answer.content)


def test_state_in_a_file_outlives_the_emulator(xml: str, tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    with RedcapEmulator(state) as redcap:
        token = redcap.add_project(xml)
        inside = redcap.add_user(token, "second")
    with RedcapEmulator(state) as redcap:
        assert ids(redcap, token) == ids(redcap, inside) == "record_id\n1\n2\n3\n"


def test_state_without_a_file_leaves_nothing(xml: str) -> None:
    with RedcapEmulator() as redcap:
        redcap.add_project(xml)
        folder = redcap.store.path.parent
        assert folder.is_dir()
    gc.collect()
    assert not folder.exists()


def test_a_foreign_file_is_no_state(tmp_path: Path) -> None:
    file = tmp_path / "study.xml"
    file.write_text("<ODM/>" * 1000)
    with pytest.raises(EmulatorError, match="is not a state file of the emulator"):
        RedcapEmulator(file).start()
    assert file.read_text() == "<ODM/>" * 1000


def test_a_port_in_use_is_named() -> None:
    with RedcapEmulator() as redcap:
        port = int(redcap.url.split(":")[2].split("/")[0])
        with pytest.raises(EmulatorError, match=f"Cannot listen on 127.0.0.1 port {port}"):
            RedcapEmulator(port=port).start()


def test_a_port_that_there_is_not_is_refused() -> None:
    with (
        pytest.raises(EmulatorError, match="There is no port 65536: they go from 0 to 65535"),
        RedcapEmulator(port=65_536),
    ):
        pass


def test_outside_a_with_statement_there_is_no_state() -> None:
    with pytest.raises(EmulatorError, match="use it in a `with` statement"):
        RedcapEmulator().add_project("<ODM/>")


def test_an_unknown_project_gets_no_user() -> None:
    with RedcapEmulator() as redcap, pytest.raises(EmulatorError, match="No project has this"):
        redcap.add_user("0" * 32, "second")


def test_no_token_in_a_repr(xml: str) -> None:
    with RedcapEmulator() as redcap:
        token = redcap.add_project(xml)
        ids(redcap, token)
        shown = [redcap, redcap.requests, redcap.store, redcap.store.user_of(token)]
        assert token not in repr(shown)
