"""What the writing methods send, what they make of answers, and when they send again."""

import datetime as dt
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from redcap_dagster.api import FileInfo, ImportedRecords, ImportFinding, RedcapClient
from redcap_dagster.errors import (
    AnswerError,
    ApiError,
    ConfigError,
    ImportRejectedError,
    RequestRejectedError,
)

ARM = [{"arm_num": 1, "name": "A"}]
ROW = [{"record_id": "1", "age": 7}]
Sent = list[tuple[str, str]]
Method = Callable[[Any], Any]


def data(rows: list[dict[str, Any]]) -> tuple[str, str]:
    return ("data", json.dumps(rows))


COUNTED: list[tuple[str, Method, Sent]] = [
    ("metadata", lambda r: r.import_metadata([{"field_name": "a"}]), [data([{"field_name": "a"}])]),
    (
        "arm",
        lambda r: r.import_arms(ARM),
        [("action", "import"), ("override", "0"), data(ARM)],
    ),
    (
        "arm",
        lambda r: r.import_arms(ARM, override=True),
        [("action", "import"), ("override", "1"), data(ARM)],
    ),
    ("arm", lambda r: r.delete_arms([2]), [("action", "delete"), ("arms[0]", "2")]),
    (
        "event",
        lambda r: r.import_events([{"event_name": "E", "arm_num": 1}]),
        [("action", "import"), ("override", "0"), data([{"event_name": "E", "arm_num": 1}])],
    ),
    (
        "event",
        lambda r: r.delete_events(["e_arm_1"]),
        [("action", "delete"), ("events[0]", "e_arm_1")],
    ),
    (
        "formEventMapping",
        lambda r: r.import_form_event_mappings(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "repeatingFormsEvents",
        lambda r: r.import_repeating_instruments_events(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "project_settings",
        lambda r: r.import_project_settings([{"project_title": "T"}]),
        [data([{"project_title": "T"}])],
    ),
    (
        "dag",
        lambda r: r.import_data_access_groups(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "dag",
        lambda r: r.delete_data_access_groups(["g"]),
        [("action", "delete"), ("dags[0]", "g")],
    ),
    (
        "userDagMapping",
        lambda r: r.import_user_data_access_group_mappings(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "user",
        lambda r: r.import_users([{"username": "u", "forms": {"f": 1}}]),
        [data([{"username": "u", "forms": {"f": 1}}])],
    ),
    ("user", lambda r: r.delete_users(["u"]), [("action", "delete"), ("users[0]", "u")]),
    ("userRole", lambda r: r.import_user_roles(ARM), [data(ARM)]),
    (
        "userRole",
        lambda r: r.delete_user_roles(["U-1"]),
        [("action", "delete"), ("roles[0]", "U-1")],
    ),
    (
        "userRoleMapping",
        lambda r: r.import_user_role_mappings(ARM),
        [("action", "import"), data(ARM)],
    ),
    (
        "record",
        lambda r: r.delete_records(
            ["1", "2"],
            arm=1,
            instrument="visit",
            event="e_arm_1",
            repeat_instance=2,
            delete_logging=False,
        ),
        [
            ("action", "delete"),
            ("records[0]", "1"),
            ("records[1]", "2"),
            ("arm", "1"),
            ("instrument", "visit"),
            ("event", "e_arm_1"),
            ("repeat_instance", "2"),
            ("delete_logging", "0"),
        ],
    ),
]


@pytest.mark.parametrize(("content", "method", "parameters"), COUNTED)
@pytest.mark.parametrize("body", ["3", '"3"', '{"count": 3}', "<count>3</count>"])
def test_a_change_is_sent_under_redcaps_names_and_its_count_is_read(
    content: str, method: Method, parameters: Sent, body: str, client: RedcapClient, server: Any
) -> None:
    if body.startswith("<"):
        body = '"<count>3</count>"'
    server.answers(server.http(body))

    assert method(client) == 3
    sent = server.requests[0]
    assert dict(sent)["content"] == content
    assert sent[3 if "format" not in dict(sent) else 4 :] == parameters
    assert dict(sent).get("format") == ("json" if "data" in dict(sent) else None)


@pytest.mark.parametrize(("content", "method", "parameters"), COUNTED)
def test_a_change_that_answers_something_else_is_in_doubt_and_not_sent_again(
    content: str, method: Method, parameters: Sent, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("done"))

    with pytest.raises(AnswerError, match="look before sending it again") as caught:
        method(client)

    assert (caught.value.content, caught.value.retryable) == (content, False)
    assert len(server.requests) == 1
    assert parameters


def test_every_parameter_of_a_record_import_goes_out_under_redcaps_name(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("14.7.3"), server.http('{"success": true}'))

    imported = client.import_records(
        "record_id;age\n1;7\n",
        "csv",
        overwrite_behavior="overwrite",
        date_format="DMY",
        return_content="auto_ids",
        force_auto_number=True,
        background_process=True,
        csv_delimiter=";",
        record_type="eav",
    )

    assert imported == ImportedRecords(in_background=True)
    assert server.requests[1][1:] == [
        ("content", "record"),
        ("format", "csv"),
        ("returnFormat", "json"),
        ("type", "eav"),
        ("overwriteBehavior", "overwrite"),
        ("forceAutoNumber", "true"),
        ("backgroundProcess", "1"),
        ("dateFormat", "DMY"),
        ("csvDelimiter", ";"),
        ("returnContent", "auto_ids"),
        ("data", "record_id;age\n1;7\n"),
    ]


@pytest.mark.parametrize(
    ("return_content", "body", "imported"),
    [
        ("count", '{"count": 2}', ImportedRecords(2)),
        ("ids", '["1","2"]', ImportedRecords(2, ("1", "2"))),
        (
            "auto_ids",
            '["11,1","12,2"]',
            ImportedRecords(2, ("11", "12"), {"1": "11", "2": "12"}),
        ),
        ("nothing", "", ImportedRecords()),
    ],
)
def test_what_comes_back_of_an_import_is_what_was_asked_for(
    return_content: Any,
    body: str,
    imported: ImportedRecords,
    client: RedcapClient,
    server: Any,
) -> None:
    server.answers(server.http(body))

    assert (
        client.import_records(
            ROW,
            return_content=return_content,
            force_auto_number=return_content == "auto_ids",
        )
        == imported
    )
    assert "11" not in repr(imported)


def test_dicts_go_out_as_json_and_frames_as_csv(client: RedcapClient, server: Any) -> None:
    server.answers(server.http('{"count": 1}'))
    rows = [
        {
            "record_id": "001",
            "age": np.int64(7),
            "born": dt.date(2020, 1, 2),
            "seen": pd.Timestamp(2020, 1, 2, 3, 4, 5),
            "at": dt.time(3, 4),
            "ok": True,
            "gone": None,
            "nan": float("nan"),
            "note": "a\nb, ü",
        }
    ]

    client.import_records(rows)
    client.import_records(pd.DataFrame(rows).set_index("record_id"))

    plain = {
        "record_id": "001",
        "age": 7,
        "born": "2020-01-02",
        "seen": "2020-01-02 03:04:05",
        "at": "03:04:00",
        "ok": 1,
        "gone": "",
        "nan": "",
        "note": "a\nb, ü",
    }
    assert json.loads(dict(server.requests[0])["data"]) == [plain]
    assert dict(server.requests[1])["format"] == "csv"
    assert dict(server.requests[1])["data"] == (
        "record_id,age,born,seen,at,ok,gone,nan,note\n"
        '001,7,2020-01-02,2020-01-02 03:04:05,03:04:00,1,,,"a\nb, ü"\n'
    )


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (lambda r: r.import_records({"record_id": "1"}), "put it into a list"),
        (lambda r: r.import_records([]), "no rows to import"),
        (lambda r: r.import_records(pd.DataFrame()), "no rows to import"),
        (lambda r: r.import_records("record_id\n1\n"), "need their `data_format`"),
        (lambda r: r.import_records(" \n", "csv"), "blank"),
        (lambda r: r.import_records("x", "yaml"), "`data_format` must be one of"),
        (lambda r: r.import_records(ROW, "json"), "leave it out"),
        (lambda r: r.import_records([{"a": object()}]), "of type object"),
        (
            lambda r: r.import_records([{"a": dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)}]),
            "has a time zone",
        ),
        (lambda r: r.import_records(ROW, return_content="auto_ids"), "force_auto_number=True"),
        (lambda r: r.import_records(ROW, overwrite_behavior="always"), "`overwrite_behavior`"),
        (lambda r: r.delete_records(None), "must name the records"),
        (lambda r: r.delete_records([]), "empty list"),
        (lambda r: r.delete_records("12"), "takes a list"),
        (lambda r: r.delete_events(None), "empty list"),
        (lambda r: r.create_project({"project_title": "T", "purpose": 0}), "super tokens"),
        (lambda r: r.import_file("1", "f", io.StringIO("x")), "binary mode"),
        (lambda r: r.import_file("1", "f", b"x"), "`name` must say"),
        (lambda r: r.export_logging(log_type="all"), "`log_type` must be one of"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    method: Method, sentence: str, client: RedcapClient, server: Any
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        method(client)
    assert server.requests == []


@pytest.mark.parametrize(
    ("method", "version", "sentence"),
    [
        (
            lambda r: r.export_records(combine_checkbox_options=True),
            "16.0.9",
            "REDCap record: `combine_checkbox_options` needs REDCap 16.1.0 or later; this",
        ),
        (lambda r: r.randomize_record("1", 1), "14.6.9", "needs REDCap 14.7.0"),
        (lambda r: r.export_file_repository(), "12.5.0", "the file repository needs"),
        (lambda r: r.import_records(ROW, background_process=True), "13.9.9", "needs REDCap 14.0.0"),
        (lambda r: r.call_external_module("p", "a"), "13.1.0", "needs REDCap 14.0.0"),
        (lambda r: r.export_records(date_range_begin="2024-01-01 00:00:00"), "9.1.3", "10.0.0"),
    ],
)
def test_what_a_server_is_too_old_for_is_not_sent_and_its_version_is_asked_once(
    method: Method, version: str, sentence: str, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(version))

    for _ in range(2):
        with pytest.raises(ConfigError, match=sentence):
            method(client)

    assert [dict(request)["content"] for request in server.requests] == ["version"]


FINDINGS = (
    '"Sentinel-1","weight","22","The value 22 does not follow the format."\n'
    '"Sentinel-2","weight","23","The value 23 does not follow the format."\n'
    '"Sentinel-2","note","two\nlines","Illegal: two\nlines."\n'
    '"3","sex","9","Not a choice."\n'
    '"3","visit","x","This field (\'visit\') exists elsewhere."'
)


def test_a_refused_import_says_what_is_wrong_where_and_how_often_without_values(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(json.dumps({"error": FINDINGS}), 400))

    with pytest.raises(ImportRejectedError) as caught:
        client.import_records(ROW)

    error = caught.value
    assert error.findings == (
        ImportFinding("weight", "The value … does not follow the format.", 2),
        ImportFinding("note", "Illegal: ….", 1),
        ImportFinding("sex", "Not a choice.", 1),
        ImportFinding("visit", "This field ('visit') exists elsewhere.", 1),
    )
    assert str(error) == (
        "REDCap record: the data were refused (HTTP 400), and nothing of them was taken. weight "
        "in 2 records: The value … does not follow the format. note in 1 record: Illegal: …. sex "
        "in 1 record: Not a choice. And 1 more in `.findings`."
    )
    assert error.server_message == FINDINGS
    assert "Sentinel" not in repr(error.findings)


def test_another_refusal_of_an_import_shows_none_of_its_data(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http('{"error":"Jones of Berlin has no field age"}', 400))

    with pytest.raises(RequestRejectedError) as caught:
        client.import_records([{"record_id": "Jones", "age": "Berlin"}])

    assert not isinstance(caught.value, ImportRejectedError)
    assert "REDCap says: … of … has no field age." in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "tries", "retryable"),
    [
        (500, {}, 1, False),
        (502, {}, 1, False),
        (503, {"Retry_After": "1"}, 1, False),
        (504, {}, 1, False),
        (429, {}, 3, True),
        (400, {}, 1, False),
    ],
)
def test_a_change_is_sent_again_only_when_redcap_has_certainly_not_seen_it(
    status: int,
    headers: dict[str, str],
    tries: int,
    retryable: bool,
    client: RedcapClient,
    server: Any,
) -> None:
    server.answers(server.http("<html>", status, **headers))

    with pytest.raises(ApiError) as caught:
        client.import_records(ROW)

    assert (len(server.requests), caught.value.retryable) == (tries, retryable)
    in_doubt = status >= 500
    assert ("look before sending it again" in str(caught.value)) is in_doubt


def test_a_change_to_a_server_that_cannot_be_reached_is_tried_again(
    make_client: Any, waits: list[float]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = make_client(api_url=f"http://127.0.0.1:{port}/api/")

    with pytest.raises(ApiError) as caught:
        client.import_records(ROW)

    assert (caught.value.reason, caught.value.retryable) == ("connection_refused", True)
    assert len(waits) == 2


def test_a_connection_lost_while_changing_leaves_doubt(client: RedcapClient, server: Any) -> None:
    server.answers(b"<reset>")

    with pytest.raises(ApiError, match="could not be found out") as caught:
        client.delete_records(["1"])

    assert (caught.value.reason, caught.value.retryable) == ("connection_lost", False)
    assert len(server.requests) == 1


def test_a_record_is_renamed_randomized_and_a_group_is_switched(
    client: RedcapClient, server: Any
) -> None:
    row = {"randomization_id": 5, "record": "2", "target_field": "1", "target_field_alt": "*"}
    server.answers(
        server.http("1"), server.http("1"), server.http("14.7.0"), server.http(json.dumps([row]))
    )

    assert client.rename_record("1", "2", arm=1) is True
    assert client.switch_data_access_group("north") is True
    assert client.randomize_record("2", 5, return_alternative=True) == row
    assert server.requests[0][3:] == [
        ("action", "rename"),
        ("record", "1"),
        ("new_record_name", "2"),
        ("arm", "1"),
    ]
    assert server.requests[1][3:] == [("action", "switch"), ("dag", "north")]
    assert server.requests[3][4:] == [
        ("action", "randomize"),
        ("record", "2"),
        ("randomization_id", "5"),
        ("returnAlt", "true"),
    ]


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


@pytest.mark.parametrize(
    ("method", "content", "parameters"),
    [
        (
            lambda r: r.export_survey_link("1", "visit", "e_arm_1", 2),
            "surveyLink",
            [
                ("record", "1"),
                ("instrument", "visit"),
                ("event", "e_arm_1"),
                ("repeat_instance", "2"),
            ],
        ),
        (lambda r: r.export_survey_queue_link("1"), "surveyQueueLink", [("record", "1")]),
        (
            lambda r: r.export_survey_return_code("1", "visit"),
            "surveyReturnCode",
            [("record", "1"), ("instrument", "visit"), ("repeat_instance", "1")],
        ),
        (
            lambda r: r.export_survey_access_code("1", "visit"),
            "surveyAccessCode",
            [("record", "1"), ("instrument", "visit"), ("repeat_instance", "1")],
        ),
    ],
)
def test_a_survey_link_or_code_is_one_word(
    method: Method, content: str, parameters: Sent, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("https://h/surveys/?s=AB"), server.http("two words"))

    assert method(client) == "https://h/surveys/?s=AB"
    assert server.requests[0][1] == ("content", content)
    assert server.requests[0][3:] == parameters
    with pytest.raises(AnswerError, match="not one link or code"):
        method(client)


def test_the_other_lists_send_their_parameters(client: RedcapClient, server: Any) -> None:
    server.answers(server.http('[{"a":1}]'))

    client.export_logging(
        log_type="record_delete",
        user="u",
        record="1",
        data_access_group="g",
        begin_time=dt.datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - the server's local time
        end_time="2024-01-03 00:00",
    )
    client.export_survey_participants("visit", "e_arm_1")
    client.export_report(
        42, raw_or_label="label", export_checkbox_label=True, decimal_character=","
    )

    assert [request[1:2] + request[4:] for request in server.requests] == [
        [
            ("content", "log"),
            ("logtype", "record_delete"),
            ("user", "u"),
            ("record", "1"),
            ("dag", "g"),
            ("beginTime", "2024-01-02 03:04"),
            ("endTime", "2024-01-03 00:00"),
        ],
        [("content", "participantList"), ("instrument", "visit"), ("event", "e_arm_1")],
        [
            ("content", "report"),
            ("report_id", "42"),
            ("rawOrLabel", "label"),
            ("rawOrLabelHeaders", "raw"),
            ("exportCheckboxLabel", "true"),
            ("decimalCharacter", ","),
        ],
    ]


def test_a_project_is_made_with_a_super_token(make_client: Any, server: Any) -> None:
    new = "AB" * 16
    server.answers(server.http(f"select 1\n{new}"), server.http("no token"))
    client = make_client(api_token="S" * 64)

    assert client.create_project({"project_title": "T", "purpose": 0}, odm="<ODM/>") == new
    assert server.requests[0][1:] == [
        ("content", "project"),
        ("format", "json"),
        ("returnFormat", "json"),
        ("odm", "<ODM/>"),
        ("data", '[{"project_title": "T", "purpose": 0}]'),
    ]
    with pytest.raises(AnswerError, match="not the token of a new project"):
        client.create_project({"project_title": "T", "purpose": 0})
    with pytest.raises(ConfigError, match="need purpose"):
        client.create_project({"project_title": "T"})


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


def test_an_external_module_answers_as_it_likes(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("16.1.4"), server.http('{"a": 1}'))

    assert client.call_external_module("prefix", "__info", {"x": "y"}) == '{"a": 1}'
    assert server.requests[1][1:] == [
        ("content", "externalModule"),
        ("format", "json"),
        ("returnFormat", "json"),
        ("prefix", "prefix"),
        ("action", "__info"),
        ("x", "y"),
    ]


def test_attributes_show_a_study_at_a_glance(client: RedcapClient, server: Any) -> None:
    server.answers(
        server.http('[{"field_name":"id","field_label":"Id","field_type":"text"}]'),
        server.http('[{"instrument_name":"visit","instrument_label":"V"}]'),
        server.http('[{"unique_event_name":"e_arm_1"}]'),
        server.http('[{"arm_num":1,"name":"A"}]'),
    )

    attributes = client.read_attributes()

    assert attributes.first_field == "id"
    assert attributes.forms == ("visit",)
    assert attributes.events == ("e_arm_1",)
    assert attributes.arms == {1: "A"}
    assert attributes.field_names == ("id",)
    assert attributes.field_labels == ("Id",)
    assert attributes.field_types == {"id": "text"}
    assert attributes.is_longitudinal
