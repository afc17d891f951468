"""An extract that fails, or is killed, leaves readers the one before; damage is found and named."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import (
    ExtractWriter,
    current_extract,
    has_extract,
    plan_tables,
    published_path,
    read_published,
    verify_extract,
)
from tests.tables.visits import USERS, MakeChunk, export

STAYS = {".lock", ".gitignore"}


def files(folder: Path) -> set[str]:
    """Everything below a folder but what stays on a shelf, links as they are."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name not in STAYS and not path.is_dir()
    }


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
        pytest.raises(
            TableError, match=r"No space left .*; make room and run it again\. What readers see"
        ),
        ExtractWriter(tmp_path, project, plan_tables(project)) as writer,
    ):
        writer.publish()
    monkeypatch.undo()
    assert current_extract(tmp_path).extract_id == "one"
    # What nobody sees takes no room, which may be what lacks.
    assert {path.name for path in (tmp_path / "extracts").iterdir()} == {"one"}
    with ExtractWriter(tmp_path, project, plan_tables(project), extract_id="two") as writer:
        writer.publish()
    assert {path.name for path in (tmp_path / "extracts").iterdir()} == {"one", "two"}
    assert {path.name for path in tmp_path.iterdir()} - STAYS == {"current", "extracts"}


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
    assert {path.name for path in shelf.iterdir()} - STAYS == {"current", "extracts"}


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
    assert {path.name for path in tmp_path.iterdir()} <= STAYS


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
