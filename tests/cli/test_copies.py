"""Copies of an extract that `redcap-dagster export --format` makes."""

import csv
import errno
import os
import shutil
from pathlib import Path

import duckdb
import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.cli import main
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.errors import TableError
from redcap_dagster.extract import ExtractRequest, copies, extract_study, publish_copy
from redcap_dagster.tables import TableOptions, current_extract, read_published

pytestmark = pytest.mark.usefixtures("study")


def test_csv_holds_what_the_parquet_tables_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment", "--format", "csv"]
    assert main(command) == 0
    assert f"{tmp_path}/csv: " in capsys.readouterr().out
    extract = current_extract(tmp_path)
    files = {path.name for path in (tmp_path / "csv").iterdir()}
    assert files == {"manifest.json", *(f"{name}.csv" for name in extract.tables)}
    with (tmp_path / "csv" / "enrolment.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = read_published(tmp_path, "enrolment")
    assert [row["participant_id"] for row in rows] == table["participant_id"].to_pylist()
    texts = [
        ["" if value is None else str(value) for value in table[name].to_pylist()]
        for name in table.column_names
        if str(table[name].type) in {"string", "int64", "date32[day]"}
    ]
    names = [
        name
        for name in table.column_names
        if str(table[name].type) in {"string", "int64", "date32[day]"}
    ]
    assert [[row[name] for row in rows] for name in names] == texts
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "csv").iterdir())
    (tmp_path / "csv" / "notes.txt").touch()
    assert main(["verify", str(tmp_path)]) == 1
    assert "csv: The file notes.txt does not belong to the copy." in capsys.readouterr().out


def test_duckdb_holds_what_the_parquet_tables_hold(tmp_path: Path) -> None:
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment", "--format", "duckdb"]
    assert main(command) == 0
    assert main(command) == 0  # in place of the first
    table = read_published(tmp_path, "enrolment")
    with duckdb.connect(str(tmp_path / "duckdb" / "study.duckdb"), read_only=True) as database:
        found = database.sql("FROM enrolment").to_arrow_table()
        names = {name for (name,) in database.sql("SHOW TABLES").fetchall()}
    assert found.to_pydict() == table.to_pydict()
    assert names == current_extract(tmp_path).tables.keys()
    assert main(["verify", str(tmp_path)]) == 0


def test_both_copies_are_made_by_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment", "--format"]
    assert main([*command, "duckdb", "csv"]) == 0
    told = capsys.readouterr().out
    assert f"{tmp_path}/csv: {len(current_extract(tmp_path).tables)} files." in told
    assert f"{tmp_path}/duckdb: study.duckdb." in told
    assert main([*command, "csv", "--format", "duckdb"]) == 0
    assert main(["verify", str(tmp_path)]) == 0


def test_a_copy_of_an_older_extract_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment"]
    assert main([*command, "--format", "csv"]) == 0
    assert main(command) == 0
    assert "csv is of an older extract; --format csv renews it." in capsys.readouterr().out
    assert main(["verify", str(tmp_path)]) == 1
    assert "csv: It was made from the extract " in capsys.readouterr().out


def test_lists_are_refused_for_csv_by_the_names_of_their_columns(
    tmp_path: Path, emulator: RedcapEmulator, owner: str
) -> None:
    request = ExtractRequest(
        instruments=("medical_history",), table_options=TableOptions(checkboxes="list")
    )
    with RedcapClient(emulator.url, owner) as client:
        extract = extract_study(client, tmp_path, request)
    schema = read_published(tmp_path, "medical_history").schema
    lists = [field.name for field in schema if str(field.type).startswith("list")]
    with pytest.raises(TableError, match=f"medical_history has lists in {', '.join(lists)}, "):
        publish_copy(tmp_path, "csv")
    assert not (tmp_path / ".csv" / extract.extract_id).exists()
    assert publish_copy(tmp_path, "duckdb").extract_id == extract.extract_id


@pytest.mark.parametrize("left", ["nothing", "{}", '{"extract_id": "a", "files": 1}'])
def test_a_copy_that_cannot_be_read_is_no_failure_of_the_next_extract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], left: str
) -> None:
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment"]
    assert main([*command, "--format", "csv"]) == 0
    folder = (tmp_path / "csv").resolve()
    if left == "nothing":
        shutil.rmtree(folder)
    else:
        (folder / "manifest.json").write_text(left)
    assert main(command) == 0
    assert "is of an older extract; --format csv renews it." in capsys.readouterr().out
    assert main(["verify", str(tmp_path)]) == 1
    assert f"csv: {folder} holds no copy of an extract; make it" in capsys.readouterr().out
    assert main([*command, "--format", "csv"]) == 0
    assert main(["verify", str(tmp_path)]) == 0


@pytest.mark.parametrize("kind", ["csv", "duckdb"])
def test_nothing_is_left_of_a_copy_that_could_not_be_made(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_the_disk(_: object, folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(copies._WRITERS, kind, fill_the_disk)
    command = ["export", "--out", str(tmp_path), "--forms", "enrolment", "--format", kind]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert f"The tables are published; their copy in {tmp_path / kind}" in said
    assert "No space left on device" in said
    assert "MB are free there" in said
    assert not list((tmp_path / f".{kind}").glob("*/*"))
    assert main(["verify", str(tmp_path)]) == 0
