"""Faults on request: each looks to a client as the real one does."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import AskedRequest, Counts, EmulatorError, RedcapEmulator
from redcap_dagster.emulator.command import build_parser, main
from redcap_dagster.emulator.faults.kinds import fault_table
from redcap_dagster.emulator.faults.limits import MinuteWindow

FIELDS = [
    {"field_name": "record_id", "form_name": "people"},
    {"field_name": "name", "form_name": "people"},
]
ROWS = [{"record_id": str(number), "name": f"n{number}"} for number in range(1, 9)]
WHOLE = "record_id,name,people_complete\n" + "".join(f"{n},n{n},0\n" for n in range(1, 9))


@pytest.fixture(scope="module")
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    return redcap.add_project(project_xml(FIELDS, ROWS))


@pytest.fixture(autouse=True)
def _behaving(redcap: RedcapEmulator) -> Any:
    yield
    redcap.faults.clear()


def statuses(ask: Any, token: str, count: int, **parameters: str) -> list[int]:
    return [ask(token, "record", **parameters).status_code for _ in range(count)]


@pytest.mark.parametrize("code", [500, 502, 503, 504, 408, 404])
def test_a_status_is_a_web_servers_page(
    redcap: RedcapEmulator, token: str, ask: Any, code: int
) -> None:
    redcap.faults.add("status", code=code)
    answer = ask(token, "record")
    assert answer.status_code == code
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert f"<title>{code} " in answer.text
    assert redcap.requests[-1] == AskedRequest(
        "record", "", code, body_bytes=len(answer.content), fault="status"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("maintenance", "REDCap is offline"),
        ("database", r"The hostname \(.*\) combination could not connect"),
        ("login", "<title>Log In</title>"),
    ],
)
def test_a_page_comes_with_200(
    redcap: RedcapEmulator, token: str, ask: Any, name: str, words: str
) -> None:
    redcap.faults.add(f"page:name={name}")
    answer = ask(token, "record", format="json")
    assert answer.status_code == 200
    assert re.search(words, answer.text)


@pytest.mark.parametrize("body", ["fatal", "json", "both", "empty"])
def test_memory_runs_out_above_its_cells(
    redcap: RedcapEmulator, token: str, ask: Any, body: str
) -> None:
    redcap.faults.add("memory", cells=23, body=body)
    large = ask(token, "record")
    assert large.status_code == 200
    assert ("Fatal error" in large.text) is (body in {"fatal", "both"})
    assert ("REDCap ran out of server memory" in large.text) is (body in {"json", "both"})
    assert (large.text == "") is (body == "empty")
    assert ask(token, "record", records="1,2,3,4,5,6,7").text == WHOLE.removesuffix("8,n8,0\n")


def test_above_its_rate_an_address_gets_429_and_may_come_back_later(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    before = redcap.counts.early_retries
    redcap.faults.add("rate_limit:requests=2,retry_after=30")
    assert statuses(ask, token, 3) == [200, 200, 429]
    answer = ask(token, "record")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert redcap.counts.early_retries == before + 1
    redcap.faults.clear()
    redcap.faults.add("rate_limit:requests=1")
    assert "retry-after" not in [ask(token, "record") for _ in range(2)][-1].headers


def test_a_window_of_a_minute_forgets_what_is_older() -> None:
    now = 0.0
    window = MinuteWindow(lambda: now)
    assert [window.is_over("a", 2, -1) for _ in range(3)] == [False, False, True]
    assert not window.is_over("b", 2, -1)
    now = 60.0
    assert [window.is_over("a", 2, 5) for _ in range(3)] == [False, False, True]
    now = 64.9
    assert window.is_over("a", 2, 5)
    now = 65.0
    assert not window.is_over("a", 2, 5)


def test_above_its_rate_an_address_is_banned_until_an_administrator_lifts_it(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    before = redcap.counts.banned_requests
    ban = redcap.faults.add("ban:requests=2,status=403")
    ask(token, "record")
    assert statuses(ask, token, 3) == [200, 403, 403]
    redcap.faults.remove(ban)
    assert "Your IP address (127.0.0.1) has been banned due to suspected abuse." in (
        ask(token, "version").text
    )
    assert redcap.counts.banned_requests == before + 3
    redcap.faults.lift_bans()
    assert ask(token, "record").text == WHOLE


@pytest.mark.parametrize("when", ["before", "after", "during"])
def test_a_connection_is_reset(redcap: RedcapEmulator, token: str, ask: Any, when: str) -> None:
    redcap.faults.add("reset", when=when, times=1)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        ask(token, "record")
    assert redcap.requests[-1] == AskedRequest("record", "", 0, fault="reset")
    assert ask(token, "record").text == WHOLE


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_body_is_seen_when_its_end_was_announced(
    redcap: RedcapEmulator, token: str, ask: Any, framing: str
) -> None:
    redcap.faults.add("cut", framing=framing)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        ask(token, "record")


@pytest.mark.parametrize("framing", ["close", "whole"])
def test_a_cut_body_is_not_seen_when_nothing_announced_its_end(
    redcap: RedcapEmulator, token: str, ask: Any, framing: str
) -> None:
    redcap.faults.add("cut", framing=framing, keep=0.25)
    answer = ask(token, "record")
    assert answer.status_code == 200
    assert answer.text == WHOLE[: len(WHOLE) // 4]
    assert ("content-length" in answer.headers) is (framing == "whole")


def test_a_short_answer_is_whole_but_for_its_rows(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    redcap.faults.add("short", rows=2, seed=5)
    lines = ask(token, "record").text.splitlines()
    assert len(lines) == 7
    assert set(lines) < set(WHOLE.splitlines())
    redcap.faults.clear()
    redcap.faults.add("short", rows=-1)
    assert ask(token, "record", format="json").text == "[]"
    redcap.faults.clear()
    redcap.faults.add("short", rows=0, columns=1)
    assert ask(token, "record", records="1").text == "record_id,name\n1,n1\n"


@pytest.mark.parametrize("body_format", ["csv", "json", "xml"])
def test_bytes_that_are_no_utf_8_stand_in_a_value(
    redcap: RedcapEmulator, token: str, ask: Any, body_format: str
) -> None:
    whole = ask(token, "record", format=body_format).content
    redcap.faults.add("encoding")
    odd = ask(token, "record", format=body_format).content
    with pytest.raises(UnicodeDecodeError):
        odd.decode()
    assert odd.replace(b"\xe9", b"") == whole


def test_latency_waits_for_requests_and_for_cells(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    redcap.faults.add("latency", seconds=0.02, per_cell=0.001)
    assert ask(token, "record").elapsed.total_seconds() >= 0.044


def test_few_workers_make_others_wait_or_go(redcap: RedcapEmulator, token: str, ask: Any) -> None:
    redcap.faults.add("workers", count=1)
    redcap.faults.add("latency", seconds=0.02)
    with ThreadPoolExecutor(4) as pool:
        waited = list(pool.map(lambda _: ask(token, "record"), range(4)))
    assert [answer.status_code for answer in waited] == [200] * 4
    assert max(answer.elapsed.total_seconds() for answer in waited) >= 0.08
    redcap.faults.clear()
    redcap.faults.add("workers", count=1, queue=0)
    redcap.faults.add("latency", seconds=0.2)
    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(lambda _: ask(token, "record").status_code, range(4)))
    assert codes[0] == 200
    assert codes[-1] == 503


def test_a_wrong_clock_shows_in_the_header(redcap: RedcapEmulator, token: str, ask: Any) -> None:
    def ahead() -> float:
        told = parsedate_to_datetime(ask(token, "version").headers["date"])
        return told.timestamp() - datetime.now().timestamp()  # noqa: DTZ005 - a time stamp

    assert abs(ahead()) < 60
    skew = redcap.faults.add("clock:seconds=-7200")
    assert abs(ahead() + 7200) < 60
    ask(token, "record", data="record_id\n9")
    (told,) = ask(token, "log", logtype="record_add", format="json").json()
    written = datetime.strptime(told["timestamp"], "%Y-%m-%d %H:%M")  # noqa: DTZ007 - server time
    assert 119 * 60 < (datetime.now() - written).total_seconds() < 122 * 60  # noqa: DTZ005
    redcap.faults.remove(skew)
    assert abs(ahead()) < 60
    ask(token, "record", action="delete", records="9")


def test_away_by_fault_resets_every_connection_meanwhile(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    redcap.faults.add("away:seconds=60,after=1,times=1")
    assert ask(token, "record").text == WHOLE
    for content in ("record", "version"):
        with pytest.raises(requests.ConnectionError):
            ask(token, content)
    redcap.faults.clear()
    assert ask(token, "record").text == WHOLE


def test_away_in_a_block_refuses_connections_and_keeps_its_address(project_xml: Any) -> None:
    with RedcapEmulator() as redcap:
        data = {"token": redcap.add_project(project_xml(FIELDS, ROWS)), "content": "record"}
        with redcap.away(), pytest.raises(requests.ConnectionError):
            requests.post(redcap.url, data=data, timeout=5)
        answer = requests.post(redcap.url, data={**data, "format": "csv"}, timeout=5)
        assert answer.text == WHOLE


def test_faults_choose_by_content_action_and_count(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    fault = redcap.faults.add("status:content=record+event,action=export,after=1,times=2")
    assert statuses(ask, token, 5) == [200, 503, 503, 200, 200]
    assert ask(token, "version").status_code == 200
    assert redcap.faults.struck == {"status": 2}
    redcap.faults.remove(fault)
    assert redcap.faults.struck == {}


def test_a_share_is_chosen_by_the_seed_whatever_the_order(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    def struck(seed: int, order: list[int]) -> set[int]:
        redcap.faults.clear()
        redcap.faults.add("status", share=0.5, seed=seed)
        codes = {n: ask(token, "record", records=str(n)).status_code for n in order}
        return {n for n, code in codes.items() if code == 503}

    forwards, backwards = list(range(40)), list(range(39, -1, -1))
    first = struck(1, forwards)
    assert 8 < len(first) < 32
    assert struck(1, backwards) == first
    assert struck(2, forwards) != first


def test_asking_again_throws_the_dice_again(redcap: RedcapEmulator, token: str, ask: Any) -> None:
    redcap.faults.add("status", share=0.5)
    assert set(statuses(ask, token, 20)) == {200, 503}


def test_what_is_counted(project_xml: Any) -> None:
    with RedcapEmulator() as redcap:
        token = redcap.add_project(project_xml(FIELDS, ROWS))
        redcap.faults.add("workers:count=8")
        redcap.faults.add("latency:seconds=0.1")
        data = {"token": token, "content": "record", "format": "csv"}
        with ThreadPoolExecutor(3) as pool:
            bodies = list(pool.map(lambda _: post(redcap, data), range(3)))
        assert redcap.counts == Counts(
            requests=3,
            answers=3,
            cells=72,
            body_bytes=sum(map(len, bodies)),
            most_at_once=3,
        )


def post(redcap: RedcapEmulator, data: dict[str, str]) -> bytes:
    return requests.post(redcap.url, data=data, timeout=30).content


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("flood", "There is no fault 'flood'; there are latency, workers, "),
        ("status:kode=1", "The fault status has no option 'kode'; it has code, retry_after, "),
        ("status:code=x", "The option code of the fault status is no number: 'x'."),
        ("status:503", "The fault 'status:503' says '503': write option=value."),
        ("memory", "The fault memory needs the option cells."),
        ("reset:when=never", "The option when of the fault reset is one of before, after, during."),
        ("clock:share=0.5", "The fault clock has no option 'share'; it has seconds."),
    ],
)
def test_a_fault_that_is_none_is_named(redcap: RedcapEmulator, spec: str, message: str) -> None:
    with pytest.raises(EmulatorError, match="^" + re.escape(message)):
        redcap.faults.add(spec)


def test_the_page_lists_every_fault() -> None:
    page = Path(__file__).parents[2] / "docs" / "emulator.md"
    assert fault_table() in page.read_text(encoding="utf-8")


def test_the_command_line_takes_faults_and_names_wrong_ones(
    project_xml: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.xml"
    study.write_text(project_xml(FIELDS, ROWS))
    options = build_parser().parse_args([str(study), "--fault", "status:code=502", "--fault", "x"])
    assert options.fault == ["status:code=502", "x"]
    assert main([str(study), "--fault", "memory:cells=1", "--fault", "flood"]) == 1
    assert "There is no fault 'flood'" in capsys.readouterr().err
