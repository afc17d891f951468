"""Files: of fields, of the repository, PDFs and the project's own; sent and received whole."""

import io
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import FileInfo, RedcapClient
from redcap_dagster.errors import AnswerError, ApiError


def test_a_file_comes_with_its_name_and_type_and_may_hold_anything(
    client: RedcapClient, server: Any
) -> None:
    for content in (b"\xef\xbb\xbf<html>ERROR: no</html>", b"", b'{"error":"x"}'):
        kind = 'text/html; name="../a ä.html";charset=UTF-8'
        server.answers(server.http(content, Content_Type=kind))

        exported = client.export_file("1", "scan", event="e_arm_1", repeat_instance=2)

        assert exported.content == content
        assert exported.info == FileInfo("a ä.html", "text/html", len(content))
    assert server.requests[0][2:] == [
        ("returnFormat", "json"),
        ("action", "export"),
        ("record", "1"),
        ("field", "scan"),
        ("event", "e_arm_1"),
        ("repeat_instance", "2"),
    ]
    assert "html" not in repr(exported.info.name and exported).replace("text/html", "")


def test_a_file_streams_to_where_it_belongs(
    client: RedcapClient, server: Any, tmp_path: Path
) -> None:
    server.answers(server.http(b"\x00" * 300_000, Content_Type="image/png; name='x.png'"))

    with (tmp_path / "x.png").open("wb") as file:
        info = client.stream_file(file, "1", "scan")

    assert info == FileInfo("x.png", "image/png", 300_000)
    assert (tmp_path / "x.png").stat().st_size == 300_000


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ('{"error":"There is no file to download"}', "application/json", "rejected"),
        ("<!DOCTYPE html><html></html>", "text/html", "page_instead_of_data"),
        ("words", "text/plain", "not_as_asked"),
    ],
)
def test_an_answer_that_names_no_file_is_none(
    body: str, kind: str, reason: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(body, Content_Type=kind))

    with pytest.raises(ApiError) as caught:
        client.export_file("1", "scan")
    assert caught.value.reason == reason


def test_a_file_goes_out_with_its_name_type_and_bytes(
    client: RedcapClient, server: Any, tmp_path: Path
) -> None:
    server.answers(server.http(""))
    path = tmp_path / "Ä scan.png"
    path.write_bytes(b"\x89PNG\x00")

    with path.open("rb") as file:
        assert client.import_file("1", "scan", file, repeat_instance=3) is None
    client.import_file("1", "scan", b"x", name="a.bin", content_type="x/y")
    client.delete_file("1", "scan", event="e_arm_1")

    first, second = server.bodies[:2]
    assert 'name="file"; filename="Ä scan.png"\r\nContent-Type: image/png'.encode() in first
    assert b"\r\n\r\n\x89PNG\x00\r\n" in first
    assert b'name="action"\r\n\r\nimport' in first
    assert b'name="repeat_instance"\r\n\r\n3' in first
    assert b'filename="a.bin"\r\nContent-Type: x/y' in second
    assert server.requests[2][3:] == [
        ("action", "delete"),
        ("record", "1"),
        ("field", "scan"),
        ("event", "e_arm_1"),
    ]


def test_the_file_repository_has_folders_and_files(client: RedcapClient, server: Any) -> None:
    server.answers(
        server.http("16.1.4"),
        server.http('[{"folder_id":45}]'),
        server.http(""),
        server.http('[{"doc_id":7,"name":"a.txt"}]'),
        server.http("hello", Content_Type='text/plain; name="a.txt"'),
        server.http(""),
        server.http(""),
    )

    assert client.create_folder_in_repository("New", folder_id=1, dag_id=2, role_id=3) == 45
    assert client.import_file_into_repository(b"hello", name="a.txt", folder_id=45) is None
    assert client.export_file_repository(45) == [{"doc_id": 7, "name": "a.txt"}]
    assert client.export_file_from_repository(7).content == b"hello"
    assert client.delete_file_from_repository(7) is None
    assert client.frames.export_file_repository().columns.tolist() == [
        "folder_id",
        "doc_id",
        "name",
        "role",
        "dag",
    ]
    actions = [dict(request).get("action") for request in server.requests]
    assert [*actions[:2], *actions[3:6]] == [None, "createFolder", "list", "export", "delete"]


def test_a_pdf_is_a_pdf(client: RedcapClient, server: Any) -> None:
    server.answers(server.http(b"%PDF-1.3 \x00", Content_Type="application/pdf"))

    pdf = client.export_pdf(record="1", instrument="visit", compact_display=True)
    assert (pdf.content, pdf.info.content_type) == (b"%PDF-1.3 \x00", "application/pdf")
    assert server.requests[0][3:] == [
        ("record", "1"),
        ("instrument", "visit"),
        ("compactDisplay", "true"),
    ]
    server.answers(server.http("words", Content_Type='application/pdf; name="a.pdf"'))
    with pytest.raises(AnswerError, match="no file came"):
        client.export_pdf(all_records=True)


def test_the_project_xml_comes_whole_or_into_a_file(client: RedcapClient, server: Any) -> None:
    odm = '<?xml version="1.0" encoding="UTF-8" ?>\n<ODM a="b">\n</ODM>'
    server.answers(server.http(odm))
    file = io.BytesIO()

    assert client.export_project_xml(metadata_only=True, records=["1"], fields=["a"]) == odm
    assert client.stream_project_xml(file, export_survey_fields=True) == len(odm)
    assert client.export_records_odm(events=["e_arm_1"]) == odm
    assert client.export_report_odm(7) == odm
    assert file.getvalue() == odm.encode()
    assert server.requests[0][4:] == [
        ("returnMetadataOnly", "true"),
        ("records[0]", "1"),
        ("fields[0]", "a"),
    ]
    assert dict(server.requests[2])["format"] == "odm"
    server.answers(server.http(odm[:-3]))
    with pytest.raises(AnswerError, match="not whole xml"):
        client.export_project_xml()
