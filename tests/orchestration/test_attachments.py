"""Files in fields: fetched when new or changed, kept once, linked to their place."""

import subprocess
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from redcap_dagster import build_redcap_assets
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import read_design
from redcap_dagster.orchestration.attachment_contents import AttachmentContents
from redcap_dagster.orchestration.attachments import AttachmentStore, plan_attachments_table
from redcap_dagster.project import DictionaryField, Instrument, ProjectInfo, RedcapProject

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

EVENT = "screening_arm_1"
PDF, OTHER = b"%PDF one", b"%PDF two"
RUN_LASTS_AT_MOST = "redcap_dagster.orchestration.attachment_contents._RUN_LASTS_AT_MOST"


@pytest.fixture
def client(study: "Study") -> RedcapClient:
    return RedcapClient(study.emulator.url, study.token, retries=0)


@pytest.fixture
def ids(study: "Study", client: RedcapClient) -> list[str]:
    """Three new records, in a study whose own files were exported before."""
    names = ["F-1", "F-2", "F-3"]
    rows = [{"participant_id": name, "redcap_event_name": EVENT} for name in names]
    client.import_records(rows)
    materialize(study)
    return names


FILES_XML = """<?xml version="1.0" encoding="UTF-8" ?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:redcap="https://projectredcap.org"
 FileType="Snapshot" SourceSystem="REDCap" SourceSystemVersion="14.7.3">
<Study OID="Project.Files"><GlobalVariables><StudyName>Files</StudyName>
<redcap:MissingDataCodes>{codes}</redcap:MissingDataCodes></GlobalVariables>
<MetaDataVersion OID="Metadata.Files" Name="Files" redcap:RecordIdField="record_id">
<FormDef OID="Form.visit" Name="Visit" Repeating="No" redcap:FormName="visit">
<ItemGroupRef ItemGroupOID="visit.record_id" Mandatory="No"/></FormDef>
<ItemGroupDef OID="visit.record_id" Name="Visit" Repeating="No">
<ItemRef ItemOID="record_id" Mandatory="No" redcap:Variable="record_id"/>
<ItemRef ItemOID="scan" Mandatory="No" redcap:Variable="scan"/></ItemGroupDef>
<ItemDef OID="record_id" Name="record_id" DataType="text" Length="999"
 redcap:Variable="record_id" redcap:FieldType="text"/>
<ItemDef OID="scan" Name="scan" DataType="text" Length="999"
 redcap:Variable="scan" redcap:FieldType="file"/>
</MetaDataVersion></Study>
<ClinicalData StudyOID="Project.Files" MetaDataVersionOID="Metadata.Files">
<SubjectData SubjectKey="1"><FormData FormOID="Form.visit" FormRepeatKey="1">
<ItemGroupData ItemGroupOID="visit.record_id" ItemGroupRepeatKey="1">
<ItemData ItemOID="scan" Value="{first}"/></ItemGroupData></FormData></SubjectData>
<SubjectData SubjectKey="2"><FormData FormOID="Form.visit" FormRepeatKey="1">
<ItemGroupData ItemGroupOID="visit.record_id" ItemGroupRepeatKey="1">
<ItemData ItemOID="scan" Value="{second}"/></ItemGroupData></FormData></SubjectData>
</ClinicalData></ODM>"""


def small_project(record_id_field: str = "record_id") -> RedcapProject:
    fields = (
        DictionaryField(record_id_field, "visit", "text"),
        DictionaryField("scan", "visit", "file"),
    )
    return RedcapProject(
        info=ProjectInfo(project_id=7, title="Study"),
        redcap_version="14.7.3",
        instruments=(Instrument("visit", "Visit", fields),),
    )


SMALL = small_project()


def materialize(
    study: "Study", id_column: str = "participant_id", **options: Any
) -> dict[str, dict[str, Any]]:
    """The rows of the new records."""
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, include=["attachments"], **options
    )
    study.emulator.requests.clear()
    assert study.materialize(assets=assets).success
    return {
        row[id_column]: row for row in study.table("attachments") if row[id_column].startswith("F-")
    }


def fetched(study: "Study") -> int:
    """How many files were fetched with success."""
    return sum(r.content == "file" and r.status == 200 for r in study.emulator.requests)


def put(client: RedcapClient, record_id: str, content: bytes, name: str = "c.pdf") -> None:
    client.import_file(record_id, "consent_form", content, name=name, event=EVENT)


def test_each_file_is_linked_to_its_place_and_kept_once(
    study: "Study", client: RedcapClient, ids: list[str]
) -> None:
    put(client, ids[0], PDF, "consent.pdf")
    put(client, ids[1], PDF)
    put(client, ids[2], OTHER)
    rows = materialize(study)
    assert set(rows) == set(ids[:3])
    row = rows[ids[0]]
    assert (row["redcap_event_name"], row["field"]) == (EVENT, "consent_form")
    assert (row["file_name"], row["content_type"]) == ("consent.pdf", "application/pdf")
    assert (row["size_bytes"], row["sha256"]) == (len(PDF), sha256(PDF).hexdigest())
    path = study.out_dir / row["path"]
    assert path.read_bytes() == PDF
    assert path.stat().st_mode & 0o077 == 0
    assert rows[ids[1]]["path"] == row["path"]
    kept = {path.name for path in (study.out_dir / "attachments").glob("*/*")}
    assert kept == {row["sha256"] for row in study.table("attachments")} - {""}
    assert list((study.out_dir / "attachments").glob(".part*")) == []


def test_git_leaves_files_alone_that_a_first_run_has_fetched_before_it_failed(
    study: "Study", client: RedcapClient
) -> None:
    put(client, client.export_records(fields=["participant_id"])[0]["participant_id"], PDF)
    git = ("git", "-C", str(study.out_dir.parent))
    subprocess.run((*git, "init", "--quiet"), check=True)
    study.emulator.faults.add("status", code=500, content="file", after=1)
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, include=["attachments"])
    assert not study.materialize(assets=assets, raise_on_error=False).success
    assert [*(study.out_dir / "attachments").glob("*/*")]
    subprocess.run((*git, "add", "published"), check=True)
    assert subprocess.check_output((*git, "ls-files")) == b""


def test_only_new_and_changed_files_are_fetched(
    study: "Study", client: RedcapClient, ids: list[str]
) -> None:
    put(client, ids[0], PDF)
    put(client, ids[1], OTHER)
    first = materialize(study)
    assert fetched(study) == 2
    assert materialize(study) == first
    assert fetched(study) == 0
    put(client, ids[0], b"%PDF three")
    put(client, ids[2], PDF)
    rows = materialize(study)
    assert fetched(study) == 2
    assert rows[ids[1]] == first[ids[1]]
    assert (study.out_dir / rows[ids[0]]["path"]).read_bytes() == b"%PDF three"


OWN_COLUMNS = [column.name for column in plan_attachments_table(SMALL).columns][1:]


@pytest.mark.parametrize("name", OWN_COLUMNS)
def test_a_record_id_field_takes_no_column_of_the_table(name: str) -> None:
    assert [column.name for column in plan_attachments_table(small_project(name)).columns] == [
        "record_id",
        *OWN_COLUMNS,
    ]


def test_files_are_known_when_the_record_id_field_has_another_name(
    study: "Study", client: RedcapClient, ids: list[str]
) -> None:
    put(client, ids[0], PDF)
    before = materialize(study)[ids[0]]
    metadata = client.export_metadata()
    client.import_metadata([{**metadata[0], "field_name": "status"}, *metadata[1:]])
    study.project = read_design(client)
    assert study.project.record_id_field == "status"
    rows = materialize(study, id_column="record_id")
    del before["participant_id"]
    assert rows[ids[0]] == {"record_id": ids[0], **before}
    assert fetched(study) == 0


def test_a_file_that_is_gone_is_removed_a_day_later(
    study: "Study", client: RedcapClient, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, ids[0], PDF)
    path = study.out_dir / materialize(study)[ids[0]]["path"]
    client.delete_file(ids[0], "consent_form", event=EVENT)
    assert ids[0] not in materialize(study)
    materialize(study)
    assert path.exists()  # readers may be looking at it, or a run that has not published yet
    monkeypatch.setattr(RUN_LASTS_AT_MOST, timedelta(0))
    materialize(study)
    assert list(path.parent.glob(f"{path.name}*")) == []


def test_what_another_run_has_kept_and_not_published_stays(
    study: "Study", client: RedcapClient, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AttachmentStore(study.out_dir, client, study.project, 1_000)
    put(client, ids[0], PDF)
    other = store.update(dg.build_asset_context())
    paths = [study.out_dir / path for path in other["path"].to_pylist() if path]
    monkeypatch.setattr(client, "export_records", lambda **_: [])  # it was asked before
    for _ in range(2):
        store.update(dg.build_asset_context())
        assert all(path.is_file() for path in paths)


def test_a_missing_data_code_is_no_file(tmp_path: Path) -> None:
    with RedcapEmulator() as emulator:
        xml = FILES_XML.format(codes="UNK, Unknown | 98, Refused", first="UNK", second="98")
        client = RedcapClient(emulator.url, emulator.add_project(xml.encode()), retries=0)
        assert [row["scan"] for row in client.export_records()] == ["UNK", "98"]
        store = AttachmentStore(tmp_path, client, read_design(client), 1_000)
        emulator.requests.clear()
        table = store.update(dg.build_asset_context())
        asked = sum(request.content == "file" for request in emulator.requests)
    # A number may be that of a file, as far as the export tells.
    assert table.select(["record_id", "document_id", "status"]).to_pylist() == [
        {"record_id": "2", "document_id": "98", "status": "refused"}
    ]
    assert asked == 1


@pytest.mark.parametrize("again", ["kept", "named"])
def test_a_content_that_is_needed_again_is_new_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    contents = AttachmentContents(tmp_path)
    digest, _ = contents.keep(lambda file: file.write(PDF), 100)
    contents.clear_away([])
    monkeypatch.setattr(RUN_LASTS_AT_MOST, timedelta(0))
    if again == "kept":
        contents.keep(lambda file: file.write(PDF), 100)
    else:
        contents.clear_away([digest])
    contents.clear_away([])
    assert contents.place(digest).read_bytes() == PDF
    contents.clear_away([])
    assert list(tmp_path.glob("*/*")) == []


def test_a_file_above_the_cap_is_listed_and_not_kept(
    study: "Study", client: RedcapClient, ids: list[str]
) -> None:
    put(client, ids[0], b"x" * 1_000)
    put(client, ids[1], b"x" * 100)
    rows = materialize(study, largest_attachment_bytes=100)
    assert (rows[ids[0]]["status"], rows[ids[0]]["path"], rows[ids[0]]["size_bytes"]) == (
        "larger than 100 bytes",
        "",
        None,
    )
    assert rows[ids[1]]["status"] == "stored"
    assert materialize(study, largest_attachment_bytes=100) == rows
    assert fetched(study) == 0
    assert materialize(study, largest_attachment_bytes=1_000)[ids[0]]["status"] == "stored"
