"""What a killed export has left is taken up, and lies for its owner alone."""

import itertools
import multiprocessing
import os
import random
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import (
    StudyExport,
    read_design,
    read_row_list,
)
from redcap_dagster.export.spool import Spool
from tests.export.conftest import Serve, rows_of, small


def test_a_finished_part_is_not_asked_for_again(serve: Serve, tmp_path: Path) -> None:
    study = serve("everything", records=60)
    settings = small(1_500)
    with StudyExport(study.client, study.project, settings=settings, spool=tmp_path) as export:
        next(export.chunks())  # and leave it there
    first = len(study.record_requests())
    changed = read_row_list(study.client, study.project).record_ids[0]
    study.client.import_records(
        [
            {
                "record_id": changed,
                "redcap_event_name": study.project.events[0].unique_name,
                "enrolment_complete": "1",
            }
        ],
        overwrite_behavior="overwrite",
    )
    study.record_requests()
    with StudyExport(study.client, study.project, settings=settings, spool=tmp_path) as export:
        rows = rows_of(export)
        assert export.settle()
        resumed = export.progress.batches_resumed
        export.done()
    assert resumed > 0
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))
    assert len(study.record_requests()) == export.progress.batches_done - resumed
    assert first >= resumed
    assert not list(tmp_path.glob("*/*.answers"))


@pytest.mark.parametrize("lost", ["export.json", "00000.block", "00001.block", "*.answers"])
def test_what_the_disk_lost_when_the_machine_went_down_is_asked_for_again(
    serve: Serve, tmp_path: Path, lost: str
) -> None:
    study = serve("everything", records=30)
    settings = small(1_500)
    with StudyExport(study.client, study.project, settings=settings, spool=tmp_path) as export:
        rows_of(export)  # and leave it there
    for path in tmp_path.glob(f"*/{lost}"):
        os.truncate(path, 10)
    with StudyExport(study.client, study.project, settings=settings, spool=tmp_path) as export:
        rows = rows_of(export)
        assert export.settle()
        export.done()
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))


@pytest.mark.parametrize("spoilt", ["export.json", "00000.block", "00000-000.answers"])
@pytest.mark.parametrize("how", ["a letter", "another file", "nothing of ours"])
def test_what_was_spoilt_on_disk_is_asked_for_again(
    serve: Serve, tmp_path: Path, spoilt: str, how: str
) -> None:
    study = serve("everything", records=30)
    settings = small(1_500)
    with StudyExport(study.client, study.project, settings=settings, spool=tmp_path) as export:
        rows_of(export)  # and leave it there
    (path,) = tmp_path.glob(f"*/{spoilt}")
    (other,) = tmp_path.glob("*/00001-000.answers" if "answers" in spoilt else "*/00001.block")
    path.write_bytes(
        {
            "a letter": path.read_bytes().replace(b"enrol", b"entol").replace(b"20", b"21"),
            "another file": other.read_bytes(),
            "nothing of ours": b"{}",
        }[how]
    )
    with StudyExport(study.client, study.project, settings=settings, spool=tmp_path) as export:
        rows = rows_of(export)
        assert export.settle()
        export.done()
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))


def test_an_answer_that_is_believed_no_more_is_asked_for_again(
    serve: Serve, tmp_path: Path
) -> None:
    study = serve("classic", records=30)
    with StudyExport(study.client, study.project, settings=small(300), spool=tmp_path) as export:
        rows_of(export)  # and leave it there
        parts = export.progress.batches_done
    (folder,) = (path.parent for path in tmp_path.glob("*/export.json"))
    with Spool(tmp_path, folder.name) as spool:  # as another version of the package might have it
        (answer,) = spool.load(0, 0) or ()
        spool.save(0, 0, [replace(answer, body=b"record_id\n1\n")])
    study.record_requests()
    with StudyExport(study.client, study.project, settings=small(300), spool=tmp_path) as export:
        assert rows_of(export) == study.whole_export()
        assert export.settle()
        assert export.progress.batches_resumed == parts - 1
    assert len(study.record_requests()) == 1


def hold_and_let_go(root: Path, times: int) -> None:
    for _ in range(times):
        with Spool(root, "export") as spool:
            spool.begin({})
            spool.clear()


def test_an_export_may_begin_at_the_moment_at_which_another_ends(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=hold_and_let_go, args=(tmp_path, 150)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert not list(tmp_path.iterdir())


def test_an_export_under_way_is_not_removed_when_the_clock_jumps(tmp_path: Path) -> None:
    with Spool(tmp_path, "long") as spool:
        spool.begin({"fence": None})
        os.utime(tmp_path / "long" / "export.json", (0, 0))
        with Spool(tmp_path, "another"):
            assert spool.resume() == {"fence": None}


def test_an_export_that_somebody_went_on_with_is_not_removed_as_old(tmp_path: Path) -> None:
    with Spool(tmp_path, "long") as spool:
        spool.begin({"fence": None})
        os.utime(tmp_path / "long" / "export.json", (0, 0))
        spool.resume()
    with Spool(tmp_path, "another"):
        assert (tmp_path / "long" / "export.json").exists()


def test_what_is_kept_on_disk_is_for_its_owner_alone(serve: Serve, tmp_path: Path) -> None:
    study = serve("classic")
    shelf = tmp_path / "shelf"
    with StudyExport(study.client, study.project, spool=shelf / ".spool") as export:
        rows_of(export)
        paths = [shelf, *shelf.rglob("*")]
        assert any(path.suffix == ".answers" for path in paths)
        for path in paths:
            if path.name != "lock":
                assert path.stat().st_mode & 0o077 == 0, path.name


def test_git_leaves_alone_what_is_kept_on_disk(serve: Serve, tmp_path: Path) -> None:
    """Where a study has partitions, the folder around it need not be a shelf that git ignores."""
    git = ("git", "-C", str(tmp_path))
    subprocess.run((*git, "init", "--quiet"), check=True)
    study = serve("classic")
    spool = tmp_path / "study" / ".spool"
    with StudyExport(study.client, study.project, spool=spool) as export:
        rows_of(export)  # and leave it there
    assert list(spool.glob("*/*.answers"))
    subprocess.run((*git, "add", "."), check=True)
    assert subprocess.check_output((*git, "ls-files")) == b""


def test_the_same_export_twice_at_once_keeps_its_answers_apart(
    serve: Serve, tmp_path: Path
) -> None:
    study = serve("classic")
    with (
        StudyExport(study.client, study.project, spool=tmp_path) as first,
        StudyExport(study.client, study.project, spool=tmp_path) as second,
    ):
        assert rows_of(first) == rows_of(second) == study.whole_export()
        assert first.settle()
        assert second.settle()
        first.done()
        assert len(list(tmp_path.glob("*/*.answers"))) == second.progress.batches_done
    assert not list(tmp_path.iterdir())


def test_another_export_that_ends_meanwhile_does_not_end_this_one(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic")
    found = Path.glob

    def find_then_remove(folder: Path, pattern: str) -> Any:
        for path in found(folder, pattern):
            path.unlink()
            yield path

    (tmp_path / "another").mkdir()
    (tmp_path / "another" / "export.json").touch()
    monkeypatch.setattr(Path, "glob", find_then_remove)
    with StudyExport(study.client, study.project, spool=tmp_path):
        assert not list((tmp_path / "another").iterdir())


def run_and_die(url: str, token: str, spool: Path, out: Path, seconds: float) -> None:
    """One attempt of an export in a process of its own, which is killed after some time."""
    with RedcapClient(url, token, requests_per_minute=60_000) as client:
        project = read_design(client)
        if seconds:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, seconds)
        with StudyExport(client, project, settings=small(2_000), spool=spool) as export:
            text = repr(rows_of(export))
            assert export.settle()
            signal.setitimer(signal.ITIMER_REAL, 0)  # what has written its rows was not killed
            out.write_text(f"{export.progress.batches_resumed}\n{text}", encoding="utf-8")
            export.done()


def test_an_export_that_is_killed_again_and_again_comes_to_the_same(
    serve: Serve, tmp_path: Path
) -> None:
    study = serve("everything", records=150)
    study.emulator.faults.add("latency", seconds=0.02, content="record")
    expected = repr(study.whole_export())
    spawn = multiprocessing.get_context("spawn")
    chance = random.Random(11)  # noqa: S311 - no secret
    out = tmp_path / "rows"
    killed = 0
    for attempt in itertools.count():
        seconds = 0.0 if attempt == 6 else chance.uniform(0.05, 0.5)
        worker = spawn.Process(
            target=run_and_die,
            args=(study.emulator.url, study.token, tmp_path / "spool", out, seconds),
        )
        worker.start()
        worker.join()
        if worker.exitcode == 0:
            break
        assert worker.exitcode == -signal.SIGKILL
        assert not out.exists()
        killed += 1
    resumed, text = out.read_text(encoding="utf-8").split("\n", 1)
    assert killed > 0
    assert int(resumed) > 0
    assert text == expected
