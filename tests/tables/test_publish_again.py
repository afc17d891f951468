"""A second extract in the same place: what it replaces, what it carries along, what it lets go."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import plan_findings_table
from redcap_dagster.tables import (
    ExtractWriter,
    current_extract,
    plan_tables,
    read_published,
    verify_extract,
)
from tests.tables.visits import AGE, USERS, MakeChunk, export


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


def test_a_study_that_is_written_whole_may_have_another_record_id_field(
    tmp_path: Path, project: RedcapProject, make_project: Callable[..., RedcapProject]
) -> None:
    with ExtractWriter(tmp_path, project, plan_tables(project)) as writer:
        writer.write_table("users", USERS)
        writer.publish()
    renamed = make_project({"enrolment": ["study_id", "name"], "visit": [AGE]})
    with ExtractWriter(tmp_path, renamed, plan_tables(renamed)) as writer:
        published = writer.publish()
    assert set(published.tables) == {"enrolment", "visit", "rejected_values", "users"}
    assert read_published(tmp_path, "rejected_values").schema.names[0] == "study_id"


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
