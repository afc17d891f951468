"""Files in fields, the file repository, and the PDF of instruments."""

import json
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "record_id", "form_name": "intake", "field_label": "Record ID"},
    {"field_name": "name", "form_name": "intake", "field_label": "Name <b>(first)</b>"},
    {"field_name": "photo", "form_name": "intake", "field_type": "file", "identifier": "y"},
    {"field_name": "scan", "form_name": "visit", "field_type": "file"},
    {
        "field_name": "signed",
        "form_name": "visit",
        "field_type": "file",
        "text_validation_type_or_show_slider_number": "signature",
    },
]
ROWS = [
    {"record_id": "1", "name": "Åsa (one)", "photo": "a.txt", "redcap_data_access_group": "north"},
    {"record_id": "2", "name": "Bo"},
]


@pytest.fixture
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    xml = project_xml(FIELDS, ROWS, groups=["North", "South"], repeats=[("", "visit", "")])
    return redcap.add_project(xml)


@pytest.fixture
def upload(redcap: RedcapEmulator) -> Any:
    """A function that sends a file."""

    def post(
        token: str, content: str, file: tuple[Any, ...], **parameters: Any
    ) -> requests.Response:
        data = {"token": token, "content": content, "action": "import", **parameters}
        sent = {"returnFormat": "csv", **data}
        return requests.post(redcap.url, data=sent, files={"file": file}, timeout=30)

    return post


def test_a_file_comes_back_with_its_type_and_name(token: str, ask: Any, upload: Any) -> None:
    whole = bytes(range(256)) * 4096
    answer = upload(
        token, "file", ("scan 1.bin", whole, "application/x-scan"), record="2", field="scan"
    )
    assert (answer.status_code, answer.content) == (200, b"")
    back = ask(token, "file", action="export", record="2", field="scan")
    assert (back.status_code, back.content) == (200, whole)
    assert back.headers["content-type"] == 'application/x-scan; name="scan 1.bin"'
    # The repeat instance was made by the import.
    assert ask(token, "record", forms="visit", fields="record_id", records="2").text == (
        "record_id,redcap_repeat_instrument,redcap_repeat_instance,scan,signed,visit_complete\n"
        '2,,,,,\n2,visit,1,"scan 1.bin",,0\n'
    )


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        (("import-file.txt", b"x"), 'text/plain; name="import-file.txt";charset=UTF-8'),
        (("C:\\temp\\a.csv", b"x", "text/csv"), 'text/csv; name="a.csv";charset=UTF-8'),
        (("../../etc/passwd", b"x"), 'application/octet-stream; name="passwd"'),
        (('a"b.png', b"x", "image/png\r\nX-Evil: 1"), 'image/png; name="a_b.png"'),
        (("empty", b"", "nonsense"), 'application/octet-stream; name="empty"'),
    ],
)
def test_names_and_types_are_made_harmless(
    token: str, ask: Any, upload: Any, file: tuple[Any, ...], content_type: str
) -> None:
    assert upload(token, "file", file, record="1", field="photo").status_code == 200
    back = ask(token, "file", action="export", record="1", field="photo")
    got = back.headers["content-type"].replace("%22", "_")
    assert (got, back.content, "x-evil" in back.headers) == (content_type, file[1], False)


def test_a_deleted_file_is_gone(token: str, ask: Any) -> None:
    asked = {"record": "1", "field": "photo"}
    assert ask(token, "file", action="export", **asked).text == "foo"
    deleted = ask(token, "file", action="delete", **asked)
    assert (deleted.status_code, deleted.text) == (200, "")
    again = ask(token, "file", action="export", **asked)
    assert (again.status_code, again.text) == (
        400,
        "ERROR: There is no file to download for this record",
    )
    actions = [row["action"] for row in ask(token, "log", format="json", record="1").json()]
    assert actions == ["Deleted Document 1"]


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ({"field": "mugshot"}, 400, "The field 'mugshot' does not exist or is not a 'file' field"),
        ({"field": "name"}, 400, "The field 'name' does not exist or is not a 'file' field"),
        ({"record": "-1"}, 400, 'The record "-1" does not exist'),
        (
            {"repeat_instance": "2"},
            400,
            "The instrument 'intake' is not repeating, so there is no repeat instance 2",
        ),
        (
            {"repeat_instance": "x"},
            400,
            'The value of the parameter "repeat_instance" is not valid',
        ),
        ({"record": "2"}, 400, "There is no file to download for this record"),
    ],
)
def test_what_is_not_there_is_refused(
    token: str, ask: Any, asked: dict[str, str], status: int, message: str
) -> None:
    answer = ask(token, "file", **{"action": "export", "record": "1", "field": "photo", **asked})
    assert (answer.status_code, answer.text) == (status, f"ERROR: {message}")


def test_a_signature_is_not_imported(token: str, upload: Any) -> None:
    answer = upload(token, "file", ("a.png", b"x"), record="1", field="signed")
    assert (answer.status_code, answer.text) == (
        400,
        "ERROR: The field 'signed' is a signature field, into which no file can be imported",
    )


def test_a_file_needs_a_part_called_file(token: str, ask: Any) -> None:
    answer = ask(token, "file", action="import", record="1", field="photo", file="text")
    assert (answer.status_code, answer.text) == (400, "ERROR: No valid file was uploaded")


def test_files_of_identifiers_and_of_other_groups_are_kept_back(
    token: str, redcap: RedcapEmulator, ask: Any
) -> None:
    limited = redcap.add_user(token, "limited", forms_export={"intake": 3})
    south = redcap.add_user(token, "south", data_access_group="South")
    asked = {"action": "export", "record": "1", "field": "photo"}
    assert [ask(user, "file", **asked).status_code for user in (limited, south)] == [403, 400]


def test_the_repository_keeps_files_in_folders(token: str, ask: Any, upload: Any) -> None:
    made = ask(token, "fileRepository", action="createFolder", name="the-state", format="json")
    folder = made.json()[0]["folder_id"]
    assert made.text == f'[{{"folder_id":{folder}}}]'
    assert upload(token, "fileRepository", ("b 1.txt", b"in"), folder_id=folder).content == b""
    assert upload(token, "fileRepository", ("a.txt", b"top")).status_code == 200
    top = ask(token, "fileRepository", action="list", format="json").json()
    assert [sorted(entry) for entry in top] == [["folder_id", "name"], ["doc_id", "name"]]
    document = top[1]["doc_id"]
    assert ask(token, "fileRepository", action="list").text == (
        f"folder_id,doc_id,name,role,dag\n{folder},,the-state,,\n,{document},a.txt,,\n"
    )
    inside = ask(token, "fileRepository", action="list", folder_id=folder, format="json").json()
    back = ask(token, "fileRepository", action="export", doc_id=inside[0]["doc_id"])
    assert (back.content, back.headers["content-type"]) == (
        b"in",
        'text/plain; name="b 1.txt";charset=UTF-8',
    )
    ask(token, "fileRepository", action="delete", doc_id=inside[0]["doc_id"])
    empty = ask(token, "fileRepository", action="list", folder_id=folder)
    assert (empty.status_code, empty.text) == (200, "")


def test_a_folder_of_one_group_is_not_seen_by_another(
    token: str, redcap: RedcapEmulator, ask: Any, upload: Any
) -> None:
    group = ask(token, "dag", format="json").json()[0]["data_access_group_id"]
    asked = {"action": "createFolder", "format": "json", "name": "x", "dag_id": group}
    folder = ask(token, "fileRepository", **asked).json()[0]["folder_id"]
    upload(token, "fileRepository", ("a.txt", b"in"), folder_id=folder)
    listed = ask(token, "fileRepository", action="list", folder_id=folder, format="json").json()
    north, south = (
        redcap.add_user(token, name, data_access_group=name.title()) for name in ("north", "south")
    )
    export = {"action": "export", "doc_id": listed[0]["doc_id"]}
    statuses = [
        (
            ask(user, "fileRepository", action="list", folder_id=folder).status_code,
            ask(user, "fileRepository", **export).status_code,
        )
        for user in (north, south)
    ]
    assert statuses == [(200, 200), (400, 400)]
    refused = ask(south, "fileRepository", action="list", folder_id=folder)
    assert refused.text == (
        f"ERROR: The File Repository folder folder_id={folder} does not exist or else you do not "
        "have permission to that folder because it is DAG-restricted or Role-restricted."
    )


def test_a_field_s_file_is_no_file_of_the_repository(token: str, ask: Any) -> None:
    number = ask(token, "record", type="eav", fields="photo", format="json").json()[0]["value"]
    answer = ask(token, "fileRepository", action="export", doc_id=number)
    assert answer.status_code == 400


def test_a_pdf_shows_labels_and_values(token: str, ask: Any) -> None:
    answer = ask(token, "pdf", record="1")
    assert answer.headers["content-type"].startswith("application/pdf; name=")
    assert (answer.content[:5], answer.content[-6:]) == (b"%PDF-", b"%%EOF\n")
    assert "(Name \\(first\\): Åsa \\(one\\)) Tj".encode("cp1252") in answer.content
    blank = ask(token, "pdf", instrument="intake").content
    assert b"Name \\(first\\): ____" in blank
    everyone = ask(token, "pdf", allRecords="1").content
    assert (b"Record 1" in everyone, b"Record 2" in everyone) == (True, True)


def test_every_object_of_a_pdf_is_where_its_table_says(token: str, ask: Any) -> None:
    rows = [{"record_id": str(number), "name": "x" * 200} for number in range(200)]
    ask(token, "record", format="json", data=json.dumps(rows))
    body = ask(token, "pdf", allRecords="1").content
    start = int(body.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    lines = body[start:].split(b"\n")
    count = int(lines[1].split()[1])
    starts = [int(line.split()[0]) for line in lines[3 : 2 + count]]
    assert lines[0] == b"xref"
    assert all(
        body[position:].startswith(b"%d 0 obj\n" % number)
        for number, position in enumerate(starts, start=1)
    )
    assert body.count(b"/Type /Page ") > 10


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"instrument": "x"}, "The instrument 'x' does not exist in this project"),
        ({"record": "99"}, 'The record "99" does not exist'),
    ],
)
def test_a_pdf_of_what_is_not_there_is_refused(
    token: str, ask: Any, asked: dict[str, str], message: str
) -> None:
    answer = ask(token, "pdf", **asked)
    assert (answer.status_code, answer.text) == (400, f"ERROR: {message}")
