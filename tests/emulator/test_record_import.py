"""Records written into the emulator: what is taken, what is refused, what it answers."""

import json
from typing import Any

import pytest

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "id", "form_name": "intake", "field_label": "Record ID"},
    {"field_name": "name", "form_name": "intake"},
    {
        "field_name": "born",
        "form_name": "intake",
        "text_validation_type_or_show_slider_number": "date_dmy",
    },
    {
        "field_name": "seen_at",
        "form_name": "intake",
        "text_validation_type_or_show_slider_number": "datetime_mdy",
    },
    {
        "field_name": "sex",
        "form_name": "intake",
        "field_type": "radio",
        "select_choices_or_calculations": "1, Female | 2, Male",
    },
    {
        "field_name": "race",
        "form_name": "intake",
        "field_type": "checkbox",
        "select_choices_or_calculations": "1, A | -2, B",
    },
    {
        "field_name": "weight",
        "form_name": "intake",
        "text_validation_type_or_show_slider_number": "number_1dp",
    },
    {"field_name": "scan", "form_name": "intake", "field_type": "file"},
    {
        "field_name": "double",
        "form_name": "intake",
        "field_type": "calc",
        "select_choices_or_calculations": "[weight]*2",
    },
    {
        "field_name": "half",
        "form_name": "follow_up",
        "field_type": "calc",
        "select_choices_or_calculations": "[double]/4",
    },
    {"field_name": "note", "form_name": "follow_up", "field_type": "notes"},
]
GROUPS = ["North", "South"]
BAD = (
    "The value you provided could not be validated because it does not follow the expected format."
    " Please try again."
)


@pytest.fixture
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    """A classic project without records."""
    return redcap.add_project(project_xml(FIELDS, groups=GROUPS, missing_codes="UNK, Unknown"))


def stored(ask: Any, token: str, *fields: str) -> list[str]:
    asked = {f"fields[{place}]": name for place, name in enumerate(("id", *fields))}
    return str(ask(token, "record", **asked).text).splitlines()


@pytest.mark.parametrize(
    ("returned", "body_format", "body"),
    [
        ("count", "csv", "2"),
        ("count", "json", '{"count": 2}'),
        ("count", "xml", '<?xml version="1.0" encoding="UTF-8" ?><count>2</count>'),
        ("ids", "csv", "id\n7\n8\n"),
        ("ids", "json", '["7","8"]'),
        ("ids", "xml", '<?xml version="1.0" encoding="UTF-8" ?>\n<ids><id>7</id><id>8</id></ids>'),
        ("nothing", "csv", ""),
        ("nothing", "json", ""),
    ],
)
def test_answer_is_what_return_content_asks_for(
    token: str, send: Any, returned: str, body_format: str, body: str
) -> None:
    sent = {"returnContent": returned, "returnFormat": body_format}
    assert send(token, "id,name\n7,Ann\n8,Bo\n", **sent) == (200, body)


@pytest.mark.parametrize(
    ("body_format", "data"),
    [
        ("csv", "id,name,race___1\n7,Ann,1\n"),
        ("csv", "\n\nid,name,race___1\n\n7,Ann,1\n\n"),
        ("json", '[{"id":7,"name":"Ann","race___1":1}]'),
        (
            "xml",
            (
                '<?xml version="1.0" encoding="UTF-8" ?><records><item><id>7</id>'
                "<name><![CDATA[Ann]]></name><race___1>1</race___1></item></records>"
            ),
        ),
    ],
)
def test_every_format_writes_the_same(token: str, ask: Any, body_format: str, data: str) -> None:
    answer = ask(token, "record", format=body_format, data=data, returnFormat="csv")
    assert (answer.status_code, answer.text) == (200, "1")
    assert stored(ask, token, "name", "race") == [
        "id,name,race___1,race____2,race___unk",
        "7,Ann,1,0,0",
    ]


def test_eav_lines_write_the_same_as_flat_ones(token: str, ask: Any, send: Any) -> None:
    data = "record,field_name,value\n7,id,7\n7,name,Ann\n7,race____2,1\n8,sex,2\n"
    assert send(token, data, type="eav", returnFormat="csv") == (200, "2")
    assert stored(ask, token, "name", "sex", "race") == [
        "id,name,sex,race___1,race____2,race___unk",
        "7,Ann,,0,1,0",
        "8,,2,0,0,0",
    ]


def test_a_lone_json_object_is_no_row(token: str, ask: Any) -> None:
    answer = ask(token, "record", format="json", data='{"id":"7"}')
    assert (answer.status_code, answer.text) == (200, '{"count": 0}')


def test_blanks_are_ignored_or_erase(token: str, ask: Any, send: Any) -> None:
    send(token, "id,name,sex,race___1\n7,Ann,1,1\n")
    assert send(token, "id,name,sex,race___1\n7,,2,\n") == (200, "1")
    assert stored(ask, token, "name", "sex", "race")[1:] == ["7,Ann,2,1,0,0"]
    assert send(token, "id,name,race___1\n7,,\n", overwriteBehavior="overwrite") == (200, "1")
    assert stored(ask, token, "name", "sex", "race")[1:] == ["7,,2,0,0,0"]


@pytest.mark.parametrize(
    ("date_format", "born", "seen"),
    [
        ("YMD", "1980-02-29", "1980-02-29 7:05"),
        ("DMY", "29/02/1980", "29/02/1980 07:05"),
        ("MDY", "02/29/1980", "2/29/1980 07:05"),
    ],
)
def test_dates_are_stored_year_first(
    token: str, ask: Any, send: Any, date_format: str, born: str, seen: str
) -> None:
    sent = send(token, f"id,born,seen_at\n7,{born},{seen}\n", dateFormat=date_format)
    assert sent == (200, "1")
    assert stored(ask, token, "born", "seen_at")[1:] == ['7,1980-02-29,"1980-02-29 07:05"']


def test_a_delimiter_is_honoured(token: str, ask: Any, send: Any) -> None:
    assert send(token, "id\tname\n7\tAnn, B\n", csvDelimiter="tab") == (200, "1")
    assert stored(ask, token, "name")[1:] == ['7,"Ann, B"']


def test_a_missing_data_code_stands_in_any_field(token: str, ask: Any, send: Any) -> None:
    assert send(token, "id,born,sex,weight\n7,UNK,UNK,UNK\n") == (200, "1")
    assert stored(ask, token, "born", "sex", "weight")[1:] == ["7,UNK,UNK,UNK"]


def test_one_line_for_each_value_that_does_not_fit_and_nothing_is_written(
    token: str, ask: Any, send: Any
) -> None:
    header = "id,name,born,sex,race___1,weight,intake_complete"
    data = f'{header}\n6,Ok,,,,,\n7,"a ""b""",31/12/1980,3,x,22,9\n'
    lines = [
        f'"7","born","31/12/1980","{BAD}"',
        '"7","sex","3","The value is not a valid category for sex"',
        '"7","race___1","x","The value is not a valid category for race___1"',
        f'"7","weight","22","{BAD}"',
        '"7","intake_complete","9","The value is not a valid category for intake_complete"',
    ]
    assert send(token, data) == (400, "ERROR: " + "\n".join(lines))
    assert stored(ask, token) == [""]


def test_errors_come_in_the_return_format(token: str, send: Any) -> None:
    status, text = send(token, "id,weight\n7,22\n", returnFormat="json")
    assert (status, json.loads(text)) == (400, {"error": f'"7","weight","22","{BAD}"'})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "id,nose,ear\n7,1,2\n",
            "The following fields were not found in the project as real data fields: nose, ear",
        ),
        (
            "id,race\n7,1\n",
            "The following fields were not found in the project as real data fields: race",
        ),
        ("name\nAnn\n", "The data being imported must hold the record ID field 'id'."),
        ("id,name\n,Ann\n", '"","id","","The record ID field may not be blank."'),
        (
            "id,scan\n7,scan.png\n",
            (
                '"7","scan","scan.png","This field is a File Upload field, whose files cannot be '
                'imported here."'
            ),
        ),
        (
            "id,redcap_data_access_group\n7,west\n",
            (
                '"7","redcap_data_access_group","west","This is not the unique name of a Data '
                'Access Group of the project."'
            ),
        ),
    ],
)
def test_what_does_not_belong_is_refused(token: str, send: Any, data: str, message: str) -> None:
    assert send(token, data) == (400, f"ERROR: {message}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "zz,yy\n",
            "The following fields were not found in the project as real data fields: zz, yy",
        ),
        (
            '{"id":"1"}',
            'The following fields were not found in the project as real data fields: {"id":"1"}',
        ),
        ("name\n", "The data being imported must hold the record ID field 'id'."),
        ("name,id\nAnn,7\n", "The data being imported must begin with the record ID field 'id'."),
    ],
)
def test_a_header_is_judged_without_rows_too(
    token: str, send: Any, data: str, message: str
) -> None:
    assert send(token, data) == (400, f"ERROR: {message}")


def test_a_header_alone_of_known_fields_imports_nothing(token: str, send: Any) -> None:
    assert send(token, "id,name\n") == (200, "0")


def test_rows_of_json_begin_with_the_record_id(token: str, ask: Any) -> None:
    answer = ask(token, "record", format="json", data='[{"name":"Ann","id":"7"}]')
    assert answer.status_code == 400


def test_ids_in_csv_are_quoted_as_phps_are(token: str, ask: Any) -> None:
    data = json.dumps([{"id": 'x,y"z'}, {"id": "a b"}, {"id": "7"}])
    answer = ask(token, "record", format="json", data=data, returnContent="ids", returnFormat="csv")
    assert answer.text == 'id\n"x,y""z"\n"a b"\n7\n'


@pytest.mark.parametrize(
    ("body_format", "data"),
    [
        ("json", "id,name"),
        ("xml", "{}"),
        ("csv", " "),
        ("json", '[{"id":"7","name":"\\ud800"}]'),
        ("json", '[{"id":"7","\\udc00":"x"}]'),
        ("json", '[{"id":"7","weight":NaN}]'),
    ],
)
def test_data_in_another_format_is_refused(
    token: str, ask: Any, body_format: str, data: str
) -> None:
    answer = ask(token, "record", format=body_format, data=data, returnFormat="csv")
    said = (answer.status_code, answer.text)
    assert said == (400, "ERROR: The data is not in the specified format.")


def test_system_columns_and_calculations_are_ignored(token: str, ask: Any, send: Any) -> None:
    data = "id,redcap_survey_identifier,intake_timestamp,double\n7,x,2020-01-01 00:00:00,99\n"
    assert send(token, data) == (200, "1")
    assert stored(ask, token, "double")[1:] == ["7,"]


def test_calculations_follow_what_they_read_through_each_other(
    token: str, ask: Any, send: Any
) -> None:
    send(token, "id,weight\n7,4.5\n")
    assert stored(ask, token, "double", "half")[1:] == ["7,9,2.25"]
    send(token, "id,weight\n7,\n", overwriteBehavior="overwrite")
    assert stored(ask, token, "double", "half")[1:] == ["7,,"]


def test_records_are_numbered_anew(token: str, ask: Any, send: Any) -> None:
    send(token, "id,name\n3,Ann\n")
    sent = {"forceAutoNumber": "true", "returnContent": "auto_ids", "returnFormat": "json"}
    assert send(token, "id,name,sex\nx,Bo,\ny,Cy,\nx,,2\n", **sent) == (200, '["4,x","5,y"]')
    assert stored(ask, token, "name", "sex")[1:] == ["3,Ann,", "4,Bo,2", "5,Cy,"]


def test_auto_ids_need_auto_numbers(token: str, send: Any) -> None:
    refused = send(token, "id\n1\n", returnContent="auto_ids")
    assert refused == (400, "ERROR: returnContent=auto_ids needs forceAutoNumber=true")


def test_a_background_import_says_success_whatever_is_asked(
    token: str, ask: Any, send: Any
) -> None:
    sent = {"backgroundProcess": "1", "returnContent": "ids", "returnFormat": "json"}
    assert send(token, "id\n1\n", **sent) == (200, '{"success":true}')
    assert stored(ask, token) == ["id", "1"]


def test_a_record_is_put_into_a_group(token: str, ask: Any, send: Any) -> None:
    assert send(token, "id,redcap_data_access_group\n7,north\n8,\n") == (200, "2")
    got = ask(token, "record", exportDataAccessGroups="true", **{"fields[0]": "id"}).text
    assert got == "id,redcap_data_access_group\n7,north\n8,\n"


def test_a_user_in_a_group_writes_into_it_alone(
    redcap: RedcapEmulator, token: str, ask: Any, send: Any
) -> None:
    inside = redcap.add_user(token, "inside", data_access_group="south")
    send(token, "id,redcap_data_access_group\n7,north\n")
    assert send(inside, "id,redcap_data_access_group\n9,south\n") == (
        400,
        "ERROR: Illegal use of 'redcap_data_access_group' field!",
    )
    assert send(inside, "id,name\n7,Eve\n")[0] == 400
    assert send(inside, "id,name\n9,Ann\n") == (200, "1")
    assert stored(ask, inside) == ["id", "9"]
    group_id = ask(token, "dag", format="json").json()[1]["data_access_group_id"]
    numbered = {"forceAutoNumber": "true", "returnContent": "ids"}
    assert send(inside, "id\n1\n", **numbered) == (200, f"id\n{group_id}-1\n")


def test_a_user_without_the_right_to_create_may_only_change(
    redcap: RedcapEmulator, token: str, send: Any
) -> None:
    send(token, "id\n7\n")
    editor = redcap.add_user(token, "editor", rights={"record_create": 0})
    assert send(editor, "id,name\n7,Ann\n") == (200, "1")
    assert send(editor, "id,name\n8,Bo\n") == (
        403,
        "ERROR: You do not have Create Records privileges",
    )
