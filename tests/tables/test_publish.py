"""Readers see a whole extract or the one before, never anything between."""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redcap_dagster.errors import TableError
from redcap_dagster.project import DictionaryField, RedcapProject
from redcap_dagster.quality import plan_findings_table
from redcap_dagster.tables import (
    ExtractWriter,
    current_extract,
    has_extract,
    plan_records_table,
    plan_tables,
    published_path,
    read_published,
    verify_extract,
)
from tests.tables.visits import AGE, USERS, MakeChunk, export, visit_project


@pytest.fixture
def project(make_project: Callable[..., RedcapProject]) -> RedcapProject:
    return visit_project(make_project)


def files(folder: Path) -> set[str]:
    """Everything below a folder but the lock, links as they are."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name != ".lock" and not path.is_dir()
    }


def test_a_published_extract_reads_back_as_it_was_split(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    specs = plan_tables(project)
    with ExtractWriter(tmp_path, project, specs) as writer:
        first = writer.write(export(project, make_chunk, "41", "x", ""))
        published = writer.publish({"redcap_version": "14.7.3"})
    for spec in specs:
        table = read_published(tmp_path, spec.name)
        assert table.equals(first.tables[spec.name])
        assert table.schema.equals(spec.arrow_schema, check_metadata=True)
    assert read_published(tmp_path, "rejected_values")["value"].to_pylist() == ["x"]
    assert read_published(tmp_path, "visit", ["age", "record_id"]).to_pydict() == {
        "age": [41, None],
        "record_id": ["000", "001"],
    }
    assert published == current_extract(tmp_path)
    assert verify_extract(published.path) == ()


def test_the_manifest_says_what_was_published(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project), extract_id="one") as writer:
        writer.write(export(project, make_chunk, "41", "x"))
        writer.publish({"redcap_version": "14.7.3"})
    manifest = json.loads((tmp_path / "current" / "manifest.json").read_text())
    file = published_path(tmp_path, "visit")
    visit = manifest["tables"].pop("visit")
    assert visit == {
        "rows": 2,
        "bytes": file.stat().st_size,
        "sha256": visit["sha256"],
        "extract_id": "one",
        "columns": {
            "record_id": "string",
            "redcap_data_access_group": "string",
            "age": "int64",
            "visit_complete": "int64",
        },
    }
    assert manifest.pop("tables").keys() == {"enrolment", "rejected_values"}
    assert manifest == {
        "format": "redcap-dagster extract",
        "format_version": 1,
        "extract_id": "one",
        "conservation": {
            "rows": 2,
            "rows_without_values": 0,
            "cells_received": 4,
            "cells_in_tables": 3,
            "cells_missing_coded": 0,
            "cells_rejected": 1,
            "structural_cells": {"record_id": 2, "redcap_data_access_group": 0},
            "cells_by_column": {
                "name": [2, 2, 0, 0],
                "enrolment_complete": [0, 0, 0, 0],
                "age": [2, 1, 0, 1],
                "visit_complete": [0, 0, 0, 0],
            },
        },
        "redcap_version": "14.7.3",
    }


def test_the_raw_table_keeps_blank_and_not_sent_apart(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    spec = plan_records_table(project)
    chunk = export(project, make_chunk, " 41", "")
    sent = chunk.drop_columns(["redcap_data_access_group"])
    with ExtractWriter(tmp_path, project, [spec, *plan_tables(project, ["visit"])]) as writer:
        writer.write(chunk)
        writer.write(sent)
        writer.publish()
    records = read_published(tmp_path, "records")
    assert records.slice(0, 2).to_pydict() == chunk.to_pydict()
    assert records["redcap_data_access_group"].to_pylist() == ["", "", None, None]
    assert set(current_extract(tmp_path).tables) == {"records", "visit", "rejected_values"}


def test_the_raw_table_can_be_written_alone(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    with ExtractWriter(tmp_path, project, [plan_records_table(project)]) as writer:
        writer.write(export(project, make_chunk, "x"))
        assert set(writer.publish().tables) == {"records"}


def test_every_table_is_there_when_no_record_is(tmp_path: Path, project: RedcapProject) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        published = writer.publish()
    rows = {name: table.rows for name, table in published.tables.items()}
    assert rows == {"enrolment": 0, "visit": 0, "rejected_values": 0}


def test_equal_rows_make_equal_bytes_however_they_were_chunked(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redcap_dagster.tables.publish._MOST_ROWS_PER_GROUP", 10)
    rows = export(project, make_chunk, *map(str, range(64)))
    hashes = []
    for name, step in (("a", 1), ("b", 7), ("c", 25), ("d", 64)):
        with ExtractWriter(tmp_path / name, project, plan_tables(project)) as writer:
            for start in range(0, 64, step):
                writer.write(rows.slice(start, step))
            published = writer.publish()
        hashes.append({table: entry.sha256 for table, entry in published.tables.items()})
        assert pq.ParquetFile(published.file("visit")).num_row_groups == 7
    assert hashes == [hashes[0]] * 4


def test_only_the_owner_may_read_what_was_published(tmp_path: Path, project: RedcapProject) -> None:
    shelf = tmp_path / "shelf"
    with ExtractWriter(shelf, project, plan_tables(project)) as writer:
        writer.publish()
    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (shelf, *shelf.rglob("*"))
    }
    assert modes == {(True, 0o700), (False, 0o600)}


def test_nothing_is_left_of_an_extract_that_was_not_published(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write(export(project, make_chunk, "1"))
    assert files(tmp_path) == set()
    assert not has_extract(tmp_path)


def test_rows_that_are_said_to_be_all_are_written_before_it_is_published(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    rows = export(project, make_chunk, "1", "2")
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write(rows)
        writer.finish_rows()
        for late in (
            lambda: writer.write(rows),
            lambda: writer.write_table("users", rows),
            lambda: writer.read_back("visit", ["age"]),
        ):
            with pytest.raises(TableError, match="the tables are closed"):
                late()
    assert files(tmp_path) == set()
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write(rows)
        writer.finish_rows()
        published = writer.publish()
    assert published.tables["visit"].rows == 2
    assert read_published(tmp_path, "visit").num_rows == 2


def test_an_exception_leaves_readers_the_extract_before(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write(export(project, make_chunk, "1"))
        writer.publish()
    before = files(tmp_path)
    with (
        pytest.raises(TableError, match=r"1 are lacking \(age\)"),
        ExtractWriter(tmp_path, project, plan_tables(project)) as writer,
    ):
        writer.write(export(project, make_chunk, "2").drop_columns(["age"]))
    assert files(tmp_path) == before
    assert read_published(tmp_path, "visit")["age"].to_pylist() == [1]


def test_a_publication_that_fails_at_its_last_step_changes_nothing_for_readers(
    tmp_path: Path, project: RedcapProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project), extract_id="one") as writer:
        writer.publish()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with (
        pytest.raises(TableError, match=r"No space left on device\. What readers see is unchanged"),
        ExtractWriter(tmp_path, project, plan_tables(project)) as writer,
    ):
        writer.publish()
    monkeypatch.undo()
    assert current_extract(tmp_path).extract_id == "one"
    with ExtractWriter(tmp_path, project, plan_tables(project), extract_id="two") as writer:
        writer.publish()
    assert {path.name for path in (tmp_path / "extracts").iterdir()} == {"one", "two"}
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == {"current", "extracts"}


KILLED = """
import sys, time
from pathlib import Path
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import ExtractWriter, plan_tables
import pyarrow as pa

project = RedcapProject.from_snapshot(sys.argv[1])
with ExtractWriter(sys.argv[2], project, plan_tables(project), extract_id="killed") as writer:
    writer.write_table("users", pa.table({"username": ["ada"]}))
    print("writing", flush=True)
    time.sleep(60)
"""


def test_the_next_extract_clears_away_after_a_process_that_was_killed(
    tmp_path: Path, project: RedcapProject
) -> None:
    snapshot, shelf = tmp_path / "study.json", tmp_path / "shelf"
    project.snapshot(snapshot)
    command = [sys.executable, "-c", KILLED, str(snapshot), str(shelf)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        with ExtractWriter(shelf, project, plan_tables(project), extract_id="beside") as writer:
            assert (shelf / ".staging-killed").is_dir()
            writer.publish()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert set(current_extract(shelf).tables) == {"enrolment", "visit", "rejected_values"}
    with ExtractWriter(shelf, project, plan_tables(project), extract_id="after") as writer:
        assert not (shelf / ".staging-killed").exists()
        writer.publish()
    assert {path.name for path in shelf.iterdir()} - {".lock"} == {"current", "extracts"}


def test_a_part_of_the_study_leaves_the_other_tables_as_they_were(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project), extract_id="all") as writer:
        writer.write(export(project, make_chunk, "1", "x"))
        writer.write_table("users", USERS)
        whole = writer.publish()
    with ExtractWriter(
        tmp_path, project, plan_tables(project, ["enrolment"]), extract_id="part"
    ) as writer:
        writer.write(
            export(project, make_chunk).select(["record_id", "name", "enrolment_complete"])
        )
        part = writer.publish()
    assert part.tables["visit"] == whole.tables["visit"]
    assert part.tables["users"] == whole.tables["users"]
    assert part.tables["enrolment"].extract_id == "part"
    assert read_published(tmp_path, "visit")["age"].to_pylist() == [1, None]
    assert part.file("visit").samefile(whole.file("visit"))
    rejected = read_published(tmp_path, "rejected_values")
    assert rejected.select(["field", "value"]).to_pylist() == [{"field": "age", "value": "x"}]
    assert verify_extract(part.path) == ()


def test_a_table_that_is_written_again_replaces_its_rejected_values(
    tmp_path: Path, project: RedcapProject, make_chunk: MakeChunk
) -> None:
    for age in ("x", "y"):
        with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
            writer.write(export(project, make_chunk, age))
            writer.publish()
    assert read_published(tmp_path, "rejected_values")["value"].to_pylist() == ["y"]


def test_findings_of_whole_records_come_along_with_instruments_and_not_with_reports(
    tmp_path: Path, project: RedcapProject
) -> None:
    columns = plan_findings_table(project).arrow_schema
    found = {"record_id": "1", "rule": "ours", "status": "Wrong", "excluded": False}
    findings = pa.Table.from_pylist([found], columns)

    def publish(*instruments: str) -> int:
        with ExtractWriter(tmp_path, project, plan_tables(project, instruments)) as writer:
            writer.write_table("quality_findings", findings)
            writer.publish()
        return read_published(tmp_path, "quality_findings").num_rows

    with ExtractWriter(tmp_path, project, []) as writer:
        writer.write_table("report-12", USERS)
        writer.publish()
    assert publish("enrolment", "visit") == 1
    assert publish("enrolment", "visit") == 1
    assert publish("enrolment") == 2


def test_tables_are_copied_where_files_cannot_be_linked(
    tmp_path: Path, project: RedcapProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("redcap_dagster.tables.folder_shelf.os.link", refuse)
    for name in ("users", "metadata"):
        with ExtractWriter(tmp_path, project, []) as writer:
            writer.write_table(name, USERS)
            published = writer.publish()
    assert set(published.tables) == {"users", "metadata"}
    assert verify_extract(published.path) == ()


def test_tables_that_the_study_no_longer_has_can_be_let_go(
    tmp_path: Path, project: RedcapProject
) -> None:
    with ExtractWriter(tmp_path, project, []) as writer:
        writer.write_table("gone", USERS)
        writer.write_table("users", USERS)
        writer.publish()
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        published = writer.publish(known_tables={"enrolment", "visit", "users"})
    assert set(published.tables) == {"enrolment", "visit", "rejected_values", "users"}


def test_rejected_values_of_another_record_id_field_are_not_mixed(
    tmp_path: Path, project: RedcapProject, make_project: Callable[..., RedcapProject]
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.publish()
    renamed = make_project({"enrolment": ["study_id", "name"], "visit": [AGE]})
    with (
        pytest.raises(TableError, match="was record_id in the last extract and is study_id now"),
        ExtractWriter(tmp_path, renamed, plan_tables(renamed, ["visit"])) as writer,
    ):
        writer.publish()


def test_publishers_side_by_side_lose_none_of_each_others_tables(
    tmp_path: Path, project: RedcapProject
) -> None:
    def publish(number: int) -> None:
        with ExtractWriter(tmp_path, project, []) as writer:
            writer.write_table(f"table_{number}", USERS)
            writer.publish()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(16)))
    extract = current_extract(tmp_path)
    assert set(extract.tables) == {f"table_{number}" for number in range(16)}
    assert verify_extract(extract.path) == ()
    assert len(list((tmp_path / "extracts").iterdir())) == 2


def test_a_reader_in_the_middle_of_an_extract_can_finish(
    tmp_path: Path, project: RedcapProject
) -> None:
    with ExtractWriter(tmp_path, project, []) as writer:
        writer.write_table("users", USERS)
        writer.publish()
    seen = current_extract(tmp_path)
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.publish()
    assert pq.read_table(seen.file("users")).equals(USERS)


def test_a_changed_missing_or_strange_file_is_found(tmp_path: Path, project: RedcapProject) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        folder = writer.publish().path
    (folder / "visit.parquet").unlink()
    (folder / "notes.txt").write_text("")
    damaged = folder / "enrolment.parquet"
    content = bytearray(damaged.read_bytes())
    content[10] ^= 1
    damaged.write_bytes(content)
    assert verify_extract(folder) == (
        "The file of table enrolment is not the one that was published.",
        "The file of table visit is missing.",
        "The file notes.txt does not belong to the extract.",
    )


def test_what_is_not_there_is_named(tmp_path: Path, project: RedcapProject) -> None:
    with pytest.raises(TableError, match=r"Nothing has been published in .* Materialize"):
        read_published(tmp_path, "visit")
    with pytest.raises(TableError, match=r"holds no extract: it has no manifest\.json"):
        verify_extract(tmp_path)
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.publish()
    with pytest.raises(TableError, match=r"There is no table visits in .* It has: enrolment, rej"):
        published_path(tmp_path, "visits")
    with pytest.raises(TableError, match="Table visit has no column weight"):
        read_published(tmp_path, "visit", ["weight"])
    (tmp_path / "current" / "manifest.json").write_text('{"format"')
    with pytest.raises(TableError, match="cut short or no manifest"):
        current_extract(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(
    tmp_path: Path, project: RedcapProject
) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(TableError, match=r"could not be written in .*: Not a directory"),
        ExtractWriter(tmp_path / "file" / "shelf", project, plan_tables(project)),
    ):
        pass


def test_names_are_taken_once_and_are_names_of_files(
    tmp_path: Path, project: RedcapProject
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        with pytest.raises(TableError, match="has a table visit already"):
            writer.write_table("visit", USERS)
        with pytest.raises(TableError, match="cannot be the name of a file"):
            writer.write_table("../escape", USERS)
        with pytest.raises(TableError, match="entries of its own named tables"):
            writer.publish({"tables": {}})
    with pytest.raises(TableError, match="inside its with block"):
        writer.write_table("users", USERS)
    assert {path.name for path in tmp_path.iterdir()} <= {".lock"}


def test_other_readers_find_the_same_types(
    tmp_path: Path, make_project: Callable[..., RedcapProject], make_chunk: MakeChunk
) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra `example` is not installed")
    fields = [
        "record_id",
        AGE,
        DictionaryField("day", "visit", "text", validation="date_ymd"),
        DictionaryField("moment", "visit", "text", validation="datetime_ymd"),
        DictionaryField("clock", "visit", "text", validation="time"),
        DictionaryField("yes", "visit", "yesno"),
    ]
    project = make_project({"visit": fields})
    row = {"day": "2024-02-29", "moment": "2024-02-29 8:10", "clock": "08:10", "yes": "1"}
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write(make_chunk(project, [{"record_id": "007", "age": "41", **row}]))
        writer.publish()
    found = duckdb.read_parquet(str(published_path(tmp_path, "visit")))
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    # Arrow marks every time in Parquet as UTC; DuckDB before 2 then adds a zone of zero.
    types["clock"] = types["clock"].removesuffix(" WITH TIME ZONE")
    assert types == {
        "record_id": "VARCHAR",
        "redcap_data_access_group": "VARCHAR",
        "age": "BIGINT",
        "day": "DATE",
        "moment": "TIMESTAMP",
        "clock": "TIME",
        "yes": "BOOLEAN",
        "visit_complete": "BIGINT",
    }
    cells = [str(cell).removesuffix("+00:00") for cell in found.fetchall()[0]]
    assert cells == [
        "007",
        "None",
        "41",
        "2024-02-29",
        "2024-02-29 08:10:00",
        "08:10:00",
        "True",
        "None",
    ]


def test_queries_can_skip_row_groups_by_keys_and_numbers_but_not_by_text(
    tmp_path: Path, make_project: Callable[..., RedcapProject], make_chunk: MakeChunk
) -> None:
    project = make_project({"visit": ["record_id", "note"]})
    rows = [{"record_id": n, "note": "fine", "visit_complete": "2"} for n in ("a", "b")]
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write(make_chunk(project, rows))
        writer.publish()
    group = pq.read_metadata(published_path(tmp_path, "visit")).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    extremes = {
        item.path_in_schema: (item.statistics.min, item.statistics.max)
        for item in columns
        if item.is_stats_set
    }
    assert extremes == {"record_id": ("a", "b"), "visit_complete": (2, 2)}
