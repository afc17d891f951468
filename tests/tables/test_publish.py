"""What an extract publishes: tables, manifest, types that other readers find."""

import json
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from redcap_dagster.project import DictionaryField, RedcapProject
from redcap_dagster.tables import (
    ExtractWriter,
    current_extract,
    plan_records_table,
    plan_tables,
    published_path,
    read_published,
    verify_extract,
)
from tests.tables.visits import AGE, MakeChunk, export


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
    assert re.fullmatch("[0-9a-f]{64}", manifest.pop("manifest_sha256"))
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


def test_git_leaves_a_shelf_alone_until_its_owner_says_otherwise(
    tmp_path: Path, project: RedcapProject
) -> None:
    git = ("git", "-C", str(tmp_path))
    subprocess.run((*git, "init", "--quiet"), check=True)
    shelf = tmp_path / "data" / "shelf"
    with ExtractWriter(shelf, project, plan_tables(project)) as writer:
        writer.publish()
    subprocess.run((*git, "add", "."), check=True)
    assert subprocess.check_output((*git, "ls-files")) == b""

    (shelf / ".gitignore").unlink()
    with ExtractWriter(shelf, project, plan_tables(project)) as writer:
        writer.publish()
    assert not (shelf / ".gitignore").exists()


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
