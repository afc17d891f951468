"""Record export says what REDCap would say, whole bodies at a time."""

from typing import Any

import pytest

CLASSIC = [
    {"field_name": "record_id", "form_name": "people", "field_label": "Record ID"},
    {"field_name": "name", "form_name": "people", "field_label": "First name"},
    {"field_name": "notes", "form_name": "people", "field_type": "notes"},
    {
        "field_name": "sex",
        "form_name": "people",
        "field_type": "radio",
        "select_choices_or_calculations": "1, Female | 2, Male",
    },
    {
        "field_name": "meds",
        "form_name": "health",
        "field_type": "checkbox",
        "field_label": "Medication",
        "select_choices_or_calculations": "-2, None | ABC, Tablets, daily | k>=9, Drops",
    },
    {"field_name": "smoker", "form_name": "health", "field_type": "yesno"},
    {
        "field_name": "weight",
        "form_name": "health",
        "text_validation_type_or_show_slider_number": "number",
    },
    {"field_name": "hint", "form_name": "health", "field_type": "descriptive"},
    {"field_name": "photo", "form_name": "health", "field_type": "file"},
]
CLASSIC_ROWS = [
    {
        "record_id": "10",
        "name": 'Anna "Ann" de Vries',
        "notes": "one\r\ntwo",
        "sex": "1",
        "people_complete": "2",
        "meds____2": "1",
        "meds___k__9": "1",
        "smoker": "0",
        "weight": "70.5",
        "photo": "me.txt",
        "health_complete": "0",
    },
    {"record_id": "2", "name": "Bo/b", "people_complete": "0"},
]
HEADER = (
    "record_id,name,notes,sex,people_complete,meds____2,meds___abc,meds___k__9,smoker,weight,photo,"
    "health_complete\n"
)


@pytest.fixture(scope="module")
def classic(redcap: Any, project_xml: Any) -> str:
    return str(redcap.add_project(project_xml(CLASSIC, CLASSIC_ROWS)))


def test_csv_is_ordered_by_number_and_quoted_like_php(classic: str, ask: Any) -> None:
    answer = ask(classic, "record")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.decode() == (
        HEADER + "2,Bo/b,,,0,0,0,0,,,,0\n"
        '10,"Anna ""Ann"" de Vries","one\r\ntwo",1,2,1,0,1,0,70.5,me.txt,0\n'
    )


def test_an_array_goes_on_after_its_greatest_index(classic: str, ask: Any) -> None:
    sent = {"records[1]": "2", "records[]": "10", "fields[]": "record_id"}
    assert ask(classic, "record", **sent).text == "record_id\n2\n10\n"


def test_json_holds_texts_with_php_slashes(classic: str, ask: Any) -> None:
    answer = ask(classic, "record", format="json", records="2")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.text == (
        '[{"record_id":"2","name":"Bo\\/b","notes":"","sex":"","people_complete":"0",'
        '"meds____2":"0","meds___abc":"0","meds___k__9":"0","smoker":"","weight":"","photo":"",'
        '"health_complete":"0"}]'
    )


def test_xml_is_the_default_format(classic: str, ask: Any) -> None:
    answer = ask(classic, "record", format="", fields="record_id,name", records="2")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<records>\n'
        "<item><record_id><![CDATA[2]]></record_id><name><![CDATA[Bo/b]]></name></item>\n"
        "</records>\n"
    )


def test_labels_stand_for_codes(classic: str, ask: Any) -> None:
    answer = ask(classic, "record", rawOrLabel="label", records="10")
    assert answer.text == (
        HEADER + '10,"Anna ""Ann"" de Vries","one\r\ntwo",Female,Complete,'
        "Checked,Unchecked,Checked,No,70.5,me.txt,Incomplete\n"
    )


def test_checkbox_labels_and_label_headers(classic: str, ask: Any) -> None:
    answer = ask(
        classic,
        "record",
        rawOrLabel="label",
        exportCheckboxLabel="true",
        rawOrLabelHeaders="label",
        fields="record_id,meds",
        records="10",
    )
    assert answer.text == (
        '"Record ID","Medication (choice=None)","Medication (choice=Tablets, daily)",'
        '"Medication (choice=Drops)"\n10,None,,Drops\n'
    )


def test_gray_status_is_blank_only_on_request_and_only_where_nothing_was_saved(
    classic: str, ask: Any
) -> None:
    answer = ask(
        classic, "record", fields="record_id,health_complete", exportBlankForGrayFormStatus="TRUE"
    )
    assert answer.text == "record_id,health_complete\n2,\n10,0\n"


def test_fields_alone_bring_no_status_and_no_record_id(classic: str, ask: Any) -> None:
    assert ask(classic, "record", fields="smoker").text == "smoker\n0\n"


def test_forms_and_fields_are_joined_in_dictionary_order(classic: str, ask: Any) -> None:
    answer = ask(
        classic,
        "record",
        **{"fields[1]": "weight", "fields[2]": "record_id", "forms[]": "people", "records[7]": "2"},
    )
    assert answer.text == "record_id,name,notes,sex,people_complete,weight\n2,Bo/b,,,0,\n"


def test_decimal_character_changes_numbers_only(classic: str, ask: Any) -> None:
    answer = ask(
        classic,
        "record",
        fields="record_id,weight,photo",
        records="10",
        decimalCharacter=",",
        csvDelimiter="tab",
    )
    assert answer.text == "record_id\tweight\tphoto\n10\t70,5\tme.txt\n"


def test_no_match_is_a_blank_body(classic: str, ask: Any) -> None:
    assert ask(classic, "record", records="99").text == "\n"
    assert ask(classic, "record", records="99", format="json").text == "[]"
    assert ask(classic, "record", records="99", format="xml").text == (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<records>\n</records>\n'
    )


def test_eav_has_stored_values_only(classic: str, ask: Any) -> None:
    assert ask(classic, "record", type="eav").text == (
        "record,field_name,value\n"
        "2,record_id,2\n2,name,Bo/b\n2,people_complete,0\n"
        '10,record_id,10\n10,name,"Anna ""Ann"" de Vries"\n10,notes,"one\r\ntwo"\n10,sex,1\n'
        "10,people_complete,2\n10,meds,-2\n10,meds,k>=9\n10,smoker,0\n10,weight,70.5\n"
        "10,photo,1\n10,health_complete,0\n"
    )


def test_date_range_selects_by_the_time_of_loading(classic: str, ask: Any) -> None:
    wide = {"dateRangeBegin": "2020-01-01 00:00:00", "dateRangeEnd": "2999-01-01 00:00:00"}
    assert ask(classic, "record", fields="record_id", **wide).text == "record_id\n2\n10\n"
    late = ask(classic, "record", fields="record_id", dateRangeBegin="2999-01-01 00:00:00")
    assert late.text == "\n"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"fields": "name,x,y"},
            "The following values in the parameter \"fields\" are not valid: 'x', 'y'",
        ),
        (
            {"fields": "redcap_event_name"},
            "The following values in the parameter \"fields\" are not valid: 'redcap_event_name'",
        ),
        (
            {"forms": "nothing"},
            "The following values in the parameter \"forms\" are not valid: 'nothing'",
        ),
        ({"format": "xlsx"}, 'The value of the parameter "format" is not valid'),
        ({"type": "wide"}, 'The value of the parameter "type" is not valid'),
        ({"csvDelimiter": "x"}, 'The value of the parameter "csvDelimiter" is not valid'),
        ({"decimalCharacter": "x"}, 'The value of the parameter "decimalCharacter" is not valid'),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    classic: str, ask: Any, parameters: dict[str, str], message: str
) -> None:
    answer = ask(classic, "record", **{"returnFormat": "csv", **parameters})
    assert (answer.status_code, answer.text) == (400, f"ERROR: {message}")


VISITS = [
    {"field_name": "id", "form_name": "intake", "field_label": "Record ID"},
    {"field_name": "dob", "form_name": "intake"},
    {"field_name": "seen", "form_name": "visit"},
    {
        "field_name": "pain",
        "form_name": "visit",
        "field_type": "checkbox",
        "select_choices_or_calculations": "1, Head | 2, Back",
    },
    {"field_name": "event_text", "form_name": "adverse_event"},
]
VISIT_SETTINGS = {
    "events": [
        (1, "Start", "start_arm_1", ["intake", "adverse_event"]),
        (1, "Visit", "visit_arm_1", ["visit"]),
        (2, "Start", "start_arm_2", ["intake", "adverse_event"]),
    ],
    "arms": {1: "Drug A", 2: "Placebo"},
    "repeats": [
        ("start_arm_1", "adverse_event", "[event_text]"),
        ("visit_arm_1", "", ""),
        ("start_arm_2", "adverse_event", ""),
    ],
}
VISIT_ROWS = [
    {"id": "7", "redcap_event_name": "start_arm_1", "dob": "2000-01-01", "intake_complete": "2"},
    {
        "id": "7",
        "redcap_event_name": "start_arm_1",
        "redcap_repeat_instrument": "adverse_event",
        "redcap_repeat_instance": "1",
        "event_text": "rash",
        "adverse_event_complete": "1",
    },
    {
        "id": "7",
        "redcap_event_name": "visit_arm_1",
        "redcap_repeat_instance": "2",
        "seen": "yes",
        "visit_complete": "0",
    },
    {
        "id": "7",
        "redcap_event_name": "visit_arm_1",
        "redcap_repeat_instance": "1",
        "seen": "no",
        "pain___2": "1",
        "visit_complete": "2",
    },
    {
        "id": "8",
        "redcap_event_name": "start_arm_2",
        "redcap_repeat_instrument": "adverse_event",
        "redcap_repeat_instance": "3",
        "event_text": "fall",
        "adverse_event_complete": "2",
    },
]
VISIT_HEADER = (
    "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,dob,intake_complete,seen,"
    "pain___1,pain___2,visit_complete,event_text,adverse_event_complete\n"
)


@pytest.fixture(scope="module")
def visits(redcap: Any, project_xml: Any) -> str:
    return str(redcap.add_project(project_xml(VISITS, VISIT_ROWS, **VISIT_SETTINGS)))


def test_base_rows_come_before_repeating_rows_and_blank_what_does_not_apply(
    visits: str, ask: Any
) -> None:
    assert ask(visits, "record").text == (
        VISIT_HEADER + "7,start_arm_1,,,2000-01-01,2,,,,,,\n"
        "7,start_arm_1,adverse_event,1,,,,,,,rash,1\n"
        "7,visit_arm_1,,1,,,no,0,1,2,,\n"
        "7,visit_arm_1,,2,,,yes,0,0,0,,\n"
        "8,start_arm_2,adverse_event,3,,,,,,,fall,2\n"
    )


def test_repeat_instance_is_a_number_in_json_and_a_blank_text_on_base_rows(
    visits: str, ask: Any
) -> None:
    rows = ask(visits, "record", format="json", records="7").json()
    assert [row["redcap_repeat_instance"] for row in rows] == ["", 1, 1, 2]


def test_labels_name_event_arm_and_instrument(visits: str, ask: Any) -> None:
    answer = ask(visits, "record", rawOrLabel="label", forms="adverse_event", fields="id")
    assert answer.text == (
        "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,event_text,"
        "adverse_event_complete\n"
        '7,"Start (Arm 1: Drug A)",,,,\n'
        '7,"Start (Arm 1: Drug A)","Adverse Event",1,rash,Unverified\n'
        '7,"Visit (Arm 1: Drug A)",,1,,\n'
        '7,"Visit (Arm 1: Drug A)",,2,,\n'
        '8,"Start (Arm 2: Placebo)","Adverse Event",3,fall,Complete\n'
    )


def test_repeating_rows_need_a_column_of_their_form(visits: str, ask: Any) -> None:
    assert ask(visits, "record", forms="adverse_event").text == (
        "event_text,adverse_event_complete\nrash,1\nfall,2\n"
    )


def test_no_record_is_lost_when_only_ids_are_asked(visits: str, ask: Any) -> None:
    """Record 8 has no base row; a client that plans by ids must still learn of it."""
    assert ask(visits, "record", fields="id").text == (
        "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance\n"
        "7,start_arm_1,,\n7,visit_arm_1,,1\n7,visit_arm_1,,2\n8,start_arm_2,,\n"
    )


def test_events_filter_rows(visits: str, ask: Any) -> None:
    assert ask(visits, "record", events="visit_arm_1", fields="id,seen").text == (
        "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,seen\n"
        "7,visit_arm_1,,1,no\n7,visit_arm_1,,2,yes\n"
    )
    unknown = ask(visits, "record", events="never_arm_1")
    assert unknown.text == (
        "ERROR: The following values in the parameter \"events\" are not valid: 'never_arm_1'"
    )


def test_eav_says_where_each_value_stands(visits: str, ask: Any) -> None:
    assert ask(visits, "record", type="eav", records="7", forms="visit").text == (
        "record,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,field_name,value\n"
        "7,visit_arm_1,,1,seen,no\n7,visit_arm_1,,1,pain,2\n7,visit_arm_1,,1,visit_complete,2\n"
        "7,visit_arm_1,,2,seen,yes\n7,visit_arm_1,,2,visit_complete,0\n"
    )


def test_missing_data_codes_are_values_and_checkbox_columns(
    redcap: Any, project_xml: Any, ask: Any
) -> None:
    """A ticked missing data code blanks the ordinary choices of its field."""
    token = redcap.add_project(
        project_xml(
            CLASSIC[:5],
            [
                {"record_id": "1", "name": "UNK", "sex": "UNK", "meds___unk": "1"},
                {"record_id": "2", "meds___abc": "1", "health_complete": "2"},
            ],
            missing_codes="UNK, Unknown\nNI, No information",
        )
    )
    header = (
        "record_id,name,sex,meds____2,meds___abc,meds___k__9,meds___unk,meds___ni,health_complete\n"
    )
    asked = {"fields": "record_id,name,sex", "forms": "health"}
    assert ask(token, "record", **asked).text == (header + "1,UNK,UNK,,,,1,0,0\n2,,,0,1,0,0,0,2\n")
    labels = ask(token, "record", **asked, rawOrLabel="label", records="1")
    assert labels.text == header + "1,Unknown,Unknown,,,,Checked,Unchecked,Incomplete\n"
    assert ask(token, "project", format="json").json()["missing_data_codes"] == (
        "UNK, Unknown | NI, No information"
    )


SURVEY_ROWS = [
    {
        "record_id": "1",
        "redcap_data_access_group": "north_side",
        "people_timestamp": "2026-01-01 10:11:12",
        "name": "Ada",
        "people_complete": "2",
    },
    {
        "record_id": "2",
        "redcap_data_access_group": "south",
        "people_timestamp": "[not completed]",
        "name": "Bob",
        "people_complete": "0",
    },
    {"record_id": "3", "name": "Cleo", "people_complete": "0"},
]


@pytest.fixture(scope="module")
def survey_xml(project_xml: Any) -> str:
    return str(
        project_xml(CLASSIC[:2], SURVEY_ROWS, groups=["North Side!", "South"], surveys=["people"])
    )


def test_survey_fields_and_groups_come_after_the_record_id(
    redcap: Any, survey_xml: str, ask: Any
) -> None:
    token = redcap.add_project(survey_xml)
    wanted = {"exportSurveyFields": "true", "exportDataAccessGroups": "true"}
    assert ask(token, "record", **wanted).text == (
        "record_id,redcap_data_access_group,redcap_survey_identifier,people_timestamp,name,"
        "people_complete\n"
        '1,north_side,,"2026-01-01 10:11:12",Ada,2\n2,south,,"[not completed]",Bob,0\n'
        "3,,,,Cleo,0\n"
    )
    labels = ask(token, "record", **wanted, rawOrLabel="label", fields="record_id", records="1")
    assert labels.text == (
        'record_id,redcap_data_access_group,redcap_survey_identifier\n1,"North Side!",\n'
    )


def test_a_user_in_a_group_sees_only_its_records_without_the_group_column(
    redcap: Any, survey_xml: str, ask: Any
) -> None:
    token = redcap.add_project(survey_xml, data_access_group="South")
    answer = ask(token, "record", exportDataAccessGroups="true")
    assert answer.text == "record_id,name,people_complete\n2,Bob,0\n"
    group_id = ask(token, "dag", format="json").json()[1]["data_access_group_id"]
    assert ask(token, "generateNextRecordName").text == f"{group_id}-1"
