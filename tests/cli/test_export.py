"""`redcap-dagster export` against the emulator."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.cli import main
from redcap_dagster.cli.export import read_ids
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.errors import ApiError
from redcap_dagster.extract import ExtractRequest, extract_study
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import ExtractWriter, current_extract, read_published
from tests.cli.conftest import COHORT

ROOT = Path(__file__).parents[2]
SNAPSHOT = ROOT / "example_pipeline" / "study" / "asthma_cohort.snapshot.json"
CLASSIC = ROOT / "tests" / "orchestration" / "classic.xml"

pytestmark = pytest.mark.usefixtures("study")


@pytest.fixture(scope="module")
def ids(emulator: RedcapEmulator, owner: str) -> list[str]:
    with RedcapClient(emulator.url, owner) as client:
        rows = client.export_records(fields=["participant_id"])
    return list(dict.fromkeys(row["participant_id"] for row in rows))


def test_the_whole_study_is_published_with_what_proves_it(
    tmp_path: Path, ids: list[str], owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    extract = current_extract(tmp_path)
    facts = extract.facts
    assert set(
        read_published(tmp_path, "records", ["participant_id"])["participant_id"].to_pylist()
    ) == {*ids}
    assert extract.tables["enrolment"].rows == len(ids) == 400
    assert extract.tables["metadata"].rows == 83
    assert facts["request"]["is_whole"] is True
    assert facts["export"]["records_asked"] == facts["export"]["records_done"] == 400
    assert facts["rights"] == {"reads_log": "yes", "sees_one_group_only": "no"}
    assert facts["log_read_to"] == facts["change_fence"]["newest"]
    assert facts["requests"] > facts["export"]["batches_done"]
    assert said.out.startswith(f"{tmp_path}/current: {len(extract.tables)} tables of 400 records")
    assert owner not in said.out + said.err
    assert (tmp_path / "current" / "records.parquet").stat().st_mode & 0o777 == 0o600


def test_parts_are_asked_for_by_form_event_record_and_no_raw_table(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = tmp_path / "ids.txt"
    chosen.write_text(f"\ufeff{ids[7]}\r\n\n{ids[2]}\n{ids[7]}\n", encoding="utf-8")
    out = tmp_path / "out"
    parts = ["--forms", "spirometry", "enrolment", "--events", "screening_arm_1", "screening_arm_2"]
    command = ["export", "--out", str(out), *parts, "--records-from", str(chosen), "--no-raw"]
    assert main(command) == 0
    extract = current_extract(out)
    assert {"enrolment", "spirometry"} <= extract.tables.keys()
    assert not {"records", "demographics"} & extract.tables.keys()
    enrolled = read_published(out, "enrolment", ["participant_id"])["participant_id"].to_pylist()
    assert enrolled == [ids[2], ids[7]]
    assert extract.facts["request"] == {
        "is_whole": False,
        "instruments": ["spirometry", "enrolment"],
        "events": ["screening_arm_1", "screening_arm_2"],
        "records_named": 2,
        "changed_since": None,
    }
    assert "change_fence" not in extract.facts
    assert (
        "This is a part of the study: instruments spirometry, enrolment; "
        "events screening_arm_1, screening_arm_2; 2 named records."
    ) in capsys.readouterr().out


def test_a_part_with_its_raw_table_has_the_columns_that_were_asked_for(tmp_path: Path) -> None:
    assert main(["export", "--out", str(tmp_path), "--forms", "spirometry"]) == 0
    columns = current_extract(tmp_path).tables["records"].columns
    assert "spirometry_complete" in columns
    assert "enrolment_complete" not in columns
    assert main(["verify", str(tmp_path)]) == 0


def test_since_takes_only_records_that_changed(
    tmp_path: Path, emulator: RedcapEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    token = emulator.add_project(COHORT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDCAP_API_TOKEN", token)
        command = ["export", "--out", str(tmp_path), "--forms", "enrolment", "--since"]
        assert main([*command, "2999-01-01"]) == 0
        extract = current_extract(tmp_path)
        assert extract.facts["export"]["records_asked"] == extract.tables["records"].rows == 0
        assert extract.facts["request"]["changed_since"] == "2999-01-01 00:00:00"
        days_later = emulator.faults.add("clock", seconds=2 * 86_400)
        with RedcapClient(emulator.url, token) as client:
            row = client.export_records(fields=["participant_id"], forms=["enrolment"])[0]
            event = row["redcap_event_name"]
            changed = {"participant_id": row["participant_id"], "redcap_event_name": event}
            client.import_records([{**changed, "enrolment_complete": "1"}])
        today = emulator.faults.now().date().isoformat()
        assert main([*command, today]) == 0
        emulator.faults.remove(days_later)
    records = read_published(tmp_path, "records")
    assert set(records["participant_id"].to_pylist()) == {row["participant_id"]}
    told = capsys.readouterr().out
    assert f"instruments enrolment; records created or changed after {today} 00:00:00." in told


def test_nothing_of_an_earlier_extract_stays(tmp_path: Path) -> None:
    assert main(["export", "--out", str(tmp_path), "--forms", "enrolment", "spirometry"]) == 0
    assert main(["export", "--out", str(tmp_path), "--forms", "spirometry", "--no-raw"]) == 0
    assert not {"enrolment", "records"} & current_extract(tmp_path).tables.keys()


@pytest.mark.parametrize("partition", [None, "bucket-0-of-2"])
def test_what_dagster_publishes_is_not_taken_the_place_of(
    partition: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(tmp_path / "made"), "--forms", "enrolment"]) == 0
    extract = current_extract(tmp_path / "made")
    table = read_published(tmp_path / "made", "enrolment")
    project = RedcapProject.from_snapshot(SNAPSHOT)
    with ExtractWriter(tmp_path / "dagsters" / (partition or ""), project, []) as writer:
        writer.write_table("users", table)
        writer.publish({"project_id": extract.facts["project_id"], "partition": partition})
    assert main(["export", "--out", str(tmp_path / "dagsters"), "--forms", "enrolment"]) == 1
    assert "Dagster publishes a study in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--forms", "spirometrie"], "Not instruments of this project: spirometrie. It has: enro"),
        (["--events", "month_2"], "Not events of this project: month_2. It has: screening_arm_1, "),
        (
            ["--forms", "study_completion", "--events", "baseline_arm_1"],
            "Nothing is entered there: of study_completion none is designated to baseline_arm_1.",
        ),
        (["--since", "2026-01-01T00:00:00+01:00"], "has a time zone"),
    ],
)
def test_what_the_study_has_not_is_refused(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(tmp_path / "out"), *options]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_events_of_a_classic_project_are_refused(
    tmp_path: Path,
    emulator: RedcapEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REDCAP_API_TOKEN", emulator.add_project(CLASSIC))
    assert main(["export", "--out", str(tmp_path), "--events", "baseline_arm_1"]) == 1
    assert "This is a classic project: it has no events to choose." in capsys.readouterr().err


def test_lines_of_a_list_of_records_end_as_lines_of_a_file_do(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes("\ufeffa\u2028b\r\nc\x85d\n\n e f \nc\x85d".encode())
    assert read_ids(file) == {"a\u2028b": 1, "c\x85d": 2, "e f": 4}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no record ids"),
        (b" \n\n", "holds no record ids"),
        ("fünf".encode("latin-1"), "is not UTF-8"),
        (None, "cannot be read: No such file or directory"),
        (b"nobody-1\n", "1 of the 1 records asked for are not in the study"),
        (b"01-001\n\n01-001\n \nnobody-1\n", "ids.txt, line 5."),
    ],
)
def test_a_list_of_records_that_cannot_be_used_is_refused(
    content: bytes | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ids.txt"
    if content is not None:
        file.write_bytes(content)
    assert main(["export", "--out", str(tmp_path / "out"), "--records-from", str(file)]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "nobody-1" not in said


def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["export", "--out", str(tmp_path / "file" / "out")]) == 1
    assert "The answers cannot be kept in" in capsys.readouterr().err


def test_an_export_that_failed_goes_on_where_it_stood_and_says_so(
    tmp_path: Path,
    emulator: RedcapEmulator,
    owner: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # After the lists of rows, and some answers.
    emulator.faults.add("status", code=403, content="record", after=8)
    request = ExtractRequest(cells_per_request=3_000)
    with RedcapClient(emulator.url, owner, retries=0) as client, pytest.raises(ApiError):
        extract_study(client, tmp_path, request)
    emulator.faults.clear()
    assert "What has come is kept: the same export goes on there" in caplog.text
    assert main(["export", "--out", str(tmp_path), "--cells-per-request", "3000"]) == 0
    assert "answers were there from a run that did not finish." in capsys.readouterr().out
    assert current_extract(tmp_path).facts["export"]["batches_resumed"] > 0


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_export_that_is_stopped_says_so_in_one_line(
    tmp_path: Path, emulator: RedcapEmulator, by: signal.Signals, code: int
) -> None:
    emulator.faults.add("latency", seconds=0.5, content="record")
    command = [sys.executable, "-m", "redcap_dagster", "export", "--out", str(tmp_path)]
    asked = len(emulator.requests)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not any(item.content == "record" for item in emulator.requests[asked:]):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(by)
        assert process.stderr is not None
        said = process.stderr.read()
    emulator.faults.clear()
    assert process.returncode == code
    assert said.splitlines()[-1] == "redcap-dagster: Stopped. What readers see is unchanged."
    assert "Traceback" not in said


def test_where_no_record_is_there_what_the_token_sees_is_not_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(tmp_path), "--since", "2099-01-01", "--no-raw"]) == 0
    assert "data access groups could not be found out" in capsys.readouterr().out


def test_another_projects_folder_is_left_alone(
    tmp_path: Path, emulator: RedcapEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(tmp_path), "--forms", "enrolment"]) == 0
    before = current_extract(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDCAP_API_TOKEN", emulator.add_project(CLASSIC))
        assert main(["export", "--out", str(tmp_path)]) == 1
    assert "Extract into another folder." in capsys.readouterr().err
    assert current_extract(tmp_path) == before


def test_the_same_number_on_another_server_is_another_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path), "--forms", "enrolment"]
    assert main(["export", *out]) == 0
    before = current_extract(tmp_path)
    with RedcapEmulator() as another:
        monkeypatch.setenv("REDCAP_API_URL", another.url)
        monkeypatch.setenv("REDCAP_API_TOKEN", another.add_project(COHORT))
        assert main(["export", *out]) == 1
    assert "Extract into another folder." in capsys.readouterr().err
    assert current_extract(tmp_path) == before


@pytest.mark.parametrize("lost", ["extracts", "current/manifest.json"])
def test_where_the_last_extract_was_removed_by_hand_a_new_one_is_published(
    lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment"]
    assert main(command) == 0
    if lost == "extracts":
        shutil.rmtree(tmp_path / lost)
    else:
        (tmp_path / lost).write_text("{")
        assert main(command) == 1
        assert "Remove its folder, then run the extract again." in capsys.readouterr().err
        shutil.rmtree((tmp_path / lost).parent.resolve())
    assert main(command) == 0
    assert main(["verify", str(tmp_path)]) == 0


def test_what_stands_where_readers_look_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment"]
    (tmp_path / "current").mkdir()
    assert main(command) == 1
    assert "current was not made here" in capsys.readouterr().err
    assert not (tmp_path / "extracts").exists()
    (tmp_path / "current").rmdir()
    (tmp_path / "csv").mkdir()
    assert main([*command, "--format", "csv"]) == 1
    assert "csv was not made here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--out", ""], "The place to publish in is an empty text"),
        (["--out", "S3:/bucket/x"], "neither a folder nor a place in an object store"),
        (["--out", "out", "--url", ""], "REDCAP_API_URL is not set"),
    ],
)
def test_places_that_are_none_are_refused(
    options: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", *options]) == 1
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_too_much_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "0123456789"])
    said = capsys.readouterr().err
    assert "1 arguments too many (not shown: one may be a token)" in said
    assert "0123456789" not in said


def test_who_stops_reading_is_no_error(tmp_path: Path) -> None:
    assert main(["export", "--out", str(tmp_path), "--forms", "enrolment"]) == 0
    shell = f"{sys.executable} -m redcap_dagster verify {tmp_path} | true"
    ended = subprocess.run(["/bin/bash", "-c", shell], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


@pytest.mark.parametrize(
    "options",
    [
        ["--concurrency", "0"],
        ["--cells-per-request", "many"],
        ["--requests-per-minute", "0"],
        ["--since", "yesterday"],
        ["--format", "excel"],
        [],
    ],
)
def test_options_that_cannot_be_read_end_with_the_usage(options: list[str]) -> None:
    out = ["--out", "out"] if options else []
    with pytest.raises(SystemExit) as ended:
        main(["export", *out, *options])
    assert ended.value.code == 2


def test_a_user_who_may_not_read_the_log_is_told_what_that_means(
    tmp_path: Path, emulator: RedcapEmulator, owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = emulator.add_user(owner, "without_log")
    with RedcapClient(emulator.url, owner) as client:
        client.import_users([{"username": "without_log", "logging": 0}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDCAP_API_TOKEN", token)
        assert main(["export", "--out", str(tmp_path), "--forms", "enrolment"]) == 0
    assert "may not read the log" in capsys.readouterr().out
    facts = current_extract(tmp_path).facts
    assert facts["rights"]["reads_log"] == "no"
    assert facts["log_read_to"] is None


def test_a_user_inside_a_group_is_told_that_other_records_are_not_there(
    tmp_path: Path, emulator: RedcapEmulator, owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with RedcapClient(emulator.url, owner) as client:
        group = client.export_data_access_groups()[0]["unique_group_name"]
    token = emulator.add_user(owner, "insider", data_access_group=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDCAP_API_TOKEN", token)
        assert main(["export", "--out", str(tmp_path), "--forms", "enrolment"]) == 0
    assert "records outside its data access group" in capsys.readouterr().out
    assert current_extract(tmp_path).facts["rights"]["sees_one_group_only"] == "yes"


def test_progress_is_a_plain_line_where_nobody_looks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "redcap_dagster", "export", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "400 records" in done.stdout
    assert "\r" not in done.stderr
