"""`redcap-dagster check` against the emulator, as users of different rights see a study."""

import os
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.cli import main
from redcap_dagster.emulator import RedcapEmulator, synthetic_project


def run_check(emulator: RedcapEmulator, token: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("REDCAP_API_URL", emulator.url)
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    return main(["check"])


def add_user(emulator: RedcapEmulator, owner: str, name: str, **rights: Any) -> str:
    group = rights.pop("data_access_group", None)
    token = emulator.add_user(owner, name, data_access_group=group)
    if rights:
        with RedcapClient(emulator.url, owner, retries=0) as client:
            client.import_users([{"username": name, **rights}])
    return token


def facts(printed: str) -> dict[str, str]:
    """What is printed beside each name, and the verdict."""
    found: dict[str, str] = {}
    name = ""
    for line in printed.splitlines():
        if not line.startswith("  "):
            found["verdict"] = line
            continue
        name = line[:12].strip() or name
        found[name] = f"{found.get(name, '')} {line[14:]}".strip()
    return found


def test_a_user_with_every_right_reads_what_an_extract_would_take(
    emulator: RedcapEmulator,
    owner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = run_check(emulator, owner, monkeypatch)

    printed = capsys.readouterr().out
    found = facts(printed)
    host = emulator.url.split("/")[2]
    assert status == 0
    assert found["server"] == f"REDCap 16.1.4 at {host} (plain http on this machine)"
    assert found["shape"] == "longitudinal, 12 events in 2 arms, with repeats"
    assert found["size"] == "400 records, 9 instruments, 83 fields"
    assert found["may"].startswith("export every instrument in full, read the log, list users")
    assert "may not" not in found
    assert "cannot see" not in found
    assert found["plan"] == (
        "3 requests of up to 400 records and 59 columns, 150,101 cells, "
        "41 % of what an export without events would ask for, "
        "beside small ones for the design, the rows and the log"
    )
    assert found["tables"].startswith("enrolment, demographics, medical_history")
    assert found["verdict"] == "An extract would work."
    assert owner not in printed


def test_a_user_inside_a_group_is_told_that_other_records_are_not_seen(
    emulator: RedcapEmulator,
    owner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with RedcapClient(emulator.url, owner, retries=0) as client:
        group = client.export_data_access_groups()[0]["unique_group_name"]
    token = add_user(emulator, owner, "insider", data_access_group=group)

    assert run_check(emulator, token, monkeypatch) == 0
    found = facts(capsys.readouterr().out)
    assert found["cannot see"] == "records outside its data access group"
    assert not found["size"].startswith("400 records")


def test_instruments_and_fields_that_are_not_exported_stand_in_the_way(
    emulator: RedcapEmulator,
    owner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with RedcapClient(emulator.url, owner, retries=0) as client:
        forms = [row["instrument_name"] for row in client.export_instruments()]
    rights = {"forms_export": dict.fromkeys(forms, 1) | {"spirometry": 0, "enrolment": 2}}
    token = add_user(emulator, owner, "limited", api_export=1, logging=0, **rights)

    assert run_check(emulator, token, monkeypatch) == 1
    found = facts(capsys.readouterr().out)
    assert found["verdict"].startswith(
        "An extract would not work: the token's user has no export right for spirometry."
    )
    assert "anything of spirometry" in found["cannot see"]
    assert "of enrolment" in found["cannot see"]
    assert "read the log" in found["may not"]
    assert "which records were deleted or renamed" in found["cannot see"]


def test_of_a_study_without_records_it_is_not_known_what_is_exported_in_full(
    emulator: RedcapEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = emulator.add_project(synthetic_project(0))
    limited = emulator.add_user(owner, "limited", forms_export={"visit": 0})
    assert run_check(emulator, limited, monkeypatch) == 0
    found = facts(capsys.readouterr().out)
    assert found["may"].startswith("export records, read the log")
    assert "whether it may export every instrument in full" in found["unknown"]
    assert found["plan"] == "no records to ask for: the tables would be empty"


def test_who_may_not_export_is_not_told_that_there_are_no_records(
    emulator: RedcapEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = emulator.add_project(synthetic_project(3))
    forms = dict.fromkeys(("enrolment", "visit", "outcome"), 0)
    reader = emulator.add_user(owner, "reader", forms_export=forms)
    assert run_check(emulator, reader, monkeypatch) == 1
    found = facts(capsys.readouterr().out)
    assert found["size"] == "3 instruments, 31 fields"
    assert found["plan"] == "none, as records may not be exported"


def test_a_token_nobody_knows_and_a_server_that_is_not_there_end_in_one_sentence(
    emulator: RedcapEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = "F" * 32

    assert run_check(emulator, unknown, monkeypatch) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "this API token may not use the API" in said.err
    assert unknown not in said.err


@pytest.mark.parametrize("command", [["check"], ["snapshot", "design.json"]])
def test_variables_that_are_not_set_are_named(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("REDCAP_API")]:
        monkeypatch.delenv(name)

    assert main(command) == 1
    assert "REDCAP_API_URL and REDCAP_API_TOKEN are not set" in capsys.readouterr().err


def test_a_token_is_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--token", "0" * 32])

    said = capsys.readouterr().err
    assert "unrecognized arguments: --token" in said
    assert "0" * 32 not in said


def test_a_snapshot_is_written_to_a_file(
    emulator: RedcapEmulator,
    owner: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REDCAP_API_URL", emulator.url)
    monkeypatch.setenv("REDCAP_API_TOKEN", owner)

    assert main(["snapshot", str(tmp_path / "design.json")]) == 0
    assert (tmp_path / "design.json").stat().st_size > 1000
    assert "It holds no data of participants." in capsys.readouterr().out


def test_no_more_requests_a_minute_are_sent_than_were_said(
    emulator: RedcapEmulator,
    owner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made: list[Any] = []

    def make_client(*values: Any, **settings: Any) -> RedcapClient:
        made.append(settings["requests_per_minute"])
        return RedcapClient(*values, **settings)

    monkeypatch.setattr("redcap_dagster.cli.RedcapClient", make_client)
    monkeypatch.setenv("REDCAP_API_URL", emulator.url)
    monkeypatch.setenv("REDCAP_API_TOKEN", owner)
    assert main(["check", "--requests-per-minute", "400"]) == 0
    assert "bans an address" not in capsys.readouterr().err
    assert main(["check", "--requests-per-minute", "6000"]) == 0
    assert "bans an address for good at 600" in capsys.readouterr().err
    assert run_check(emulator, owner, monkeypatch) == 0
    assert made == [400, 6000, 300]
