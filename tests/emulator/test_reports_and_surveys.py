"""Reports of the project XML, checkbox options in one column, and surveys."""

import re
from typing import Any

import pytest

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "record_id", "form_name": "intake", "field_label": "Record ID"},
    {"field_name": "email", "form_name": "intake", "field_label": "Mail"},
    {
        "field_name": "age",
        "form_name": "intake",
        "text_validation_type_or_show_slider_number": "integer",
    },
    {"field_name": "memo", "form_name": "intake", "field_type": "notes"},
    {
        "field_name": "mood",
        "form_name": "intake",
        "field_type": "checkbox",
        "field_label": "Mood",
        "select_choices_or_calculations": "1, Good | 2, Bad",
    },
    {"field_name": "answer", "form_name": "poll"},
]
ROWS = [
    {
        "record_id": "1",
        "age": "9",
        "memo": "a\nb\r\nc",
        "mood___1": "1",
        "mood___2": "1",
        "email": "a@b.org",
        "answer": "x",
        "poll_timestamp": "2026-01-02 03:04:05",
    },
    {"record_id": "2", "age": "10", "mood___2": "1", "poll_timestamp": "[not completed]"},
    {"record_id": "10", "redcap_data_access_group": "north", "email": "a@b.org"},
]


def report(name: str, fields: str, **settings: str) -> str:
    attributes = "".join(f' {key}="{value}"' for key, value in settings.items())
    return (
        f'<redcap:Reports title="{name}" unique_report_name="{name}"'
        f' redcap_reports_fields="{fields}"{attributes}/>'
    )


REPORTS = "".join(
    [
        "<redcap:SurveyInvitationEmailField>email</redcap:SurveyInvitationEmailField>",
        report("R-PLAIN", "record_id,memo,age,intake_complete", remove_line_breaks_in_values="1"),
        report("R-AGE", "record_id,age", orderby_field1="age", orderby_sort1="DESC"),
        report("R-LOGIC", "record_id,age", advanced_logic="[age] &gt; 9", filter_type="EVENT"),
        report("R-BOX", "record_id,mood", combine_checkbox_values="1", output_dags="1"),
        report("R-GROUP", "record_id,memo", redcap_reports_filter_dags="north"),
        report("R-SURVEY", "record_id,answer", output_survey_fields="1"),
    ]
)


@pytest.fixture(scope="module")
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    xml = project_xml(FIELDS, ROWS, groups=["North"], surveys=["poll"], extra=REPORTS)
    return redcap.add_project(xml, project_id=70)


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        (
            {"report_id": "7001"},
            'record_id,memo,age,intake_complete\n1,"a  b  c",9,0\n2,,10,0\n10,,,0\n',
        ),
        ({"report_id": "R-AGE"}, "record_id,age\n2,10\n1,9\n10,\n"),
        ({"report_id": "R-LOGIC"}, "record_id,age\n2,10\n"),
        (
            {"report_id": "R-BOX"},
            'record_id,redcap_data_access_group,mood\n1,,"1,2"\n2,,2\n10,north,\n',
        ),
        (
            {"report_id": "R-BOX", "rawOrLabel": "label", "rawOrLabelHeaders": "label"},
            '"Record ID","Data Access Group",Mood\n1,,"Good,Bad"\n2,,Bad\n10,North,\n',
        ),
        ({"report_id": "R-GROUP"}, "record_id,memo\n10,\n"),
        (
            {"report_id": "R-SURVEY"},
            (
                "record_id,redcap_survey_identifier,poll_timestamp,answer\n"
                '1,,"2026-01-02 03:04:05",x\n2,,"[not completed]",\n10,,,\n'
            ),
        ),
    ],
)
def test_a_report_is_as_its_settings_say(
    token: str, ask: Any, asked: dict[str, str], body: str
) -> None:
    assert ask(token, "report", **asked).text == body


def test_rights_and_groups_apply_to_reports(token: str, redcap: RedcapEmulator, ask: Any) -> None:
    north = redcap.add_user(token, "north", data_access_group="North")
    blind = redcap.add_user(token, "blind", forms_export={"poll": 0})
    assert ask(north, "report", report_id="R-BOX").text == "record_id,mood\n10,\n"
    assert ask(blind, "report", report_id="R-SURVEY").text.startswith("record_id\n")


def test_an_unknown_report_is_refused(token: str, ask: Any) -> None:
    answer = ask(token, "report", report_id="1")
    assert (answer.status_code, answer.text) == (
        400,
        'ERROR: The value of the parameter "report_id" is not valid',
    )


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, 'record_id,mood\n1,"1,2"\n2,2\n10,\n'),
        ({"rawOrLabel": "label"}, 'record_id,mood\n1,"Good,Bad"\n2,Bad\n10,\n'),
    ],
)
def test_checkbox_options_can_share_a_column(
    token: str, ask: Any, asked: dict[str, str], body: str
) -> None:
    asked = {"fields": "record_id,mood", "combineCheckboxOptions": "true", **asked}
    assert ask(token, "record", **asked).text == body


def test_combined_options_change_nothing_where_each_value_has_a_line(token: str, ask: Any) -> None:
    asked = {"type": "eav", "fields": "mood"}
    assert (
        ask(token, "record", combineCheckboxOptions="true", **asked).text
        == ask(token, "record", **asked).text
        == "record,field_name,value\n1,mood,1\n1,mood,2\n2,mood,2\n"
    )


def test_links_and_codes_stay_and_differ_by_record(token: str, ask: Any) -> None:
    place = {"record": "1", "instrument": "poll"}
    link = ask(token, "surveyLink", **place).text
    assert re.fullmatch(r"https://[^/]+/surveys/\?s=[A-Z0-9]{8}", link)
    assert ask(token, "surveyLink", **place).text == link
    assert ask(token, "surveyLink", **{**place, "record": "2"}).text != link
    queue = ask(token, "surveyQueueLink", record="1").text
    assert re.fullmatch(r"https://[^/]+/surveys/\?sq=[A-Z0-9]{8}", queue)
    assert re.fullmatch(r"[A-Z0-9]{9}", ask(token, "surveyAccessCode", **place).text)


def test_a_return_code_needs_a_survey_that_can_be_saved(
    redcap: RedcapEmulator, project_xml: Any, ask: Any, token: str
) -> None:
    place = {"record": "1", "instrument": "poll"}
    refused = ask(token, "surveyReturnCode", **place)
    assert (refused.status_code, refused.text) == (
        400,
        "ERROR: The survey 'poll' does not have the 'Save & Return Later' option enabled",
    )
    saved = '<redcap:Surveys form_name="poll" save_and_return="1"/>'
    other = redcap.add_project(project_xml(FIELDS, ROWS, extra=saved))
    assert re.fullmatch(r"[A-Z0-9]{8}", ask(other, "surveyReturnCode", **place).text)


@pytest.mark.parametrize(
    ("content", "asked", "message"),
    [
        ("surveyLink", {"record": "-1"}, 'The record "-1" does not exist'),
        (
            "surveyLink",
            {"instrument": "intake"},
            "The instrument 'intake' has not been enabled as a survey",
        ),
        (
            "participantList",
            {"instrument": "x"},
            "The instrument 'x' does not exist in this project",
        ),
        ("surveyQueueLink", {"record": ""}, 'The record "" does not exist'),
    ],
)
def test_what_is_no_survey_is_refused(
    token: str, ask: Any, content: str, asked: dict[str, str], message: str
) -> None:
    answer = ask(token, content, **{"record": "1", "instrument": "poll", **asked})
    assert (answer.status_code, answer.text) == (400, f"ERROR: {message}")


def test_participants_are_listed_with_what_became_of_them(token: str, ask: Any) -> None:
    listed = ask(token, "participantList", instrument="poll", format="json").json()
    link = ask(token, "surveyLink", record="1", instrument="poll").text
    code = ask(token, "surveyAccessCode", record="1", instrument="poll").text
    assert listed[0] == {
        "email": "a@b.org",
        "email_occurrence": 1,
        "identifier": "",
        "record": "1",
        "invitation_sent_status": 0,
        "invitation_send_time": "",
        "response_status": 2,
        "survey_access_code": code,
        "survey_link": link,
    }
    found = [(row["email_occurrence"], row["record"], row["response_status"]) for row in listed]
    assert found == [(1, "1", 2), ("", "2", 1), (2, "10", 0)]
