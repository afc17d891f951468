"""Small answers are gathered, a second thread writes: no row changes, no fault is hidden."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import ExtractWriter, gather_chunks, plan_tables
from redcap_dagster.tables.background import WriteQueue
from redcap_dagster.tables.parquet import ParquetSink

MakeChunk = Callable[[RedcapProject, list[dict[str, str]]], pa.Table]


def rows(*ids: int) -> pa.Table:
    texts = {"record_id": [str(number) for number in ids], "age": ["1"] * len(ids)}
    return pa.table({name: pa.array(column, pa.string()) for name, column in texts.items()})


def test_chunks_are_gathered_in_order_until_they_are_big_enough() -> None:
    pieces = list(gather_chunks([rows(1), rows(2, 3), rows(4), rows(), rows(5)], cells=6))
    assert [piece["record_id"].to_pylist() for piece in pieces] == [["1", "2", "3"], ["4", "5"]]


def test_a_file_has_the_same_bytes_however_its_rows_came(tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    texts = [f"{chance.random():.17f}" * 6 for _ in range(20_000)]  # more than a page
    whole = pa.table({"note": texts})
    found = set()
    for step in (20_000, 679, 1_341):
        queue = WriteQueue()
        sink = ParquetSink(tmp_path / f"{step}.parquet", whole.schema, 16_384, queue)
        for start in range(0, whole.num_rows, step):
            sink.append(whole.slice(start, step))
        queue.finish()
        sink.close()
        queue.stop()
        found.add(sink.path.read_bytes())
    assert len(found) == 1


def test_a_chunk_of_many_rows_goes_on_as_it_is() -> None:
    large = rows(1, 2, 3)
    pieces = list(gather_chunks([rows(0), large, large, rows(4)], rows=3))
    assert [piece.num_rows for piece in pieces] == [4, 3, 1]
    assert (
        pieces[1]["age"].chunk(0).buffers()[2].address == large["age"].chunk(0).buffers()[2].address
    )


def test_chunks_of_other_columns_are_never_put_together() -> None:
    other = pa.table({"record_id": ["2"]})
    pieces = list(gather_chunks([rows(1), other, rows(3)]))
    assert [piece.to_pydict() for piece in pieces] == [
        {"record_id": ["1"], "age": ["1"]},
        {"record_id": ["2"]},
        {"record_id": ["3"], "age": ["1"]},
    ]


def test_no_chunk_is_no_piece() -> None:
    assert list(gather_chunks([])) == []


def test_writes_run_in_the_order_given_and_no_more_than_fit_are_waiting() -> None:
    done: list[int] = []
    gate = threading.Event()
    queue = WriteQueue()
    queue.put(3_000_000, gate.wait)
    queue.put(1_000_000, lambda: done.append(1))
    assert done == []
    gate.set()
    # Too much for what is waiting: by the time this one is taken, the first two are written.
    queue.put(4_000_000, lambda: done.append(2))
    assert done[:1] == [1]
    queue.finish()
    assert done == [1, 2]
    queue.stop()


def test_what_waits_when_a_queue_is_stopped_is_not_written() -> None:
    done: list[int] = []
    gate = threading.Event()
    queue = WriteQueue()
    queue.put(1, gate.wait)
    queue.put(1, lambda: done.append(1))
    threading.Timer(0.01, gate.set).start()
    queue.stop()
    assert done == []


def test_a_failed_write_is_told_by_the_writer_and_leaves_nothing(
    tmp_path: Path,
    make_project: Callable[..., RedcapProject],
    make_chunk: MakeChunk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full_disk(_: ParquetSink, __: pa.Table) -> None:
        raise OSError(28, "No space left on device")

    project = make_project({"visit": ["record_id", "note"]})
    chunk = make_chunk(project, [{"record_id": str(number)} for number in range(5)])
    monkeypatch.setattr("redcap_dagster.tables.publish._MOST_ROWS_PER_GROUP", 2)
    monkeypatch.setattr(ParquetSink, "write_group", full_disk)

    def write() -> None:
        with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
            writer.write(chunk)
            writer.publish()

    with pytest.raises(TableError, match="No space left on device; make room and run it again"):
        write()
    assert {path.name for path in tmp_path.iterdir()} <= {".lock", ".gitignore"}


def test_no_thread_is_left_of_a_writer(
    tmp_path: Path, make_project: Callable[..., RedcapProject], make_chunk: MakeChunk
) -> None:
    before = threading.active_count()
    project = make_project({"visit": ["record_id"]})
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write(make_chunk(project, [{"record_id": "1"}]))
        writer.publish()
    assert threading.active_count() == before
