"""The design of a project, its people and its settings, whole bodies at a time."""

from typing import Any

import pytest
import requests

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "record_id", "form_name": "intake", "field_label": "Record ID"},
    {
        "field_name": "height",
        "form_name": "intake",
        "section_header": "Body",
        "field_label": "Height <b>now</b>, in cm/m",
        "field_note": "with shoes",
        "text_validation_type_or_show_slider_number": "number",
        "text_validation_min": "0",
        "text_validation_max": "3",
        "identifier": "y",
        "branching_logic": "[record_id] <> '' and\n[record_id] <> '0'",
        "required_field": "y",
        "custom_alignment": "LH",
        "question_number": "1a",
        "matrix_group_name": "body",
        "matrix_ranking": "y",
        "field_annotation": "@NOW",
    },
    {
        "field_name": "mood",
        "form_name": "diary",
        "field_type": "checkbox",
        "select_choices_or_calculations": "1, Good | B, So, so",
    },
    {"field_name": "photo", "form_name": "diary", "field_type": "file"},
    {"field_name": "hint", "form_name": "diary", "field_type": "descriptive"},
    {
        "field_name": "double",
        "form_name": "diary",
        "field_type": "calc",
        "select_choices_or_calculations": "[height]*2",
    },
]
EVENTS = [
    (1, "Start", "start_arm_1", ["diary", "intake"]),
    (2, "Start day", "start_day_arm_2", ["intake"]),
]
ROLE = (
    '<redcap:UserRoles unique_role_name="U-1" role_name="Reader" design="0" data_logging="1"'
    ' data_entry="[intake,1][diary,2]" data_export_instruments="[intake,1][diary,0]"/>'
)


@pytest.fixture(scope="module")
def token(redcap: Any, project_xml: Any) -> str:
    return str(
        redcap.add_project(
            project_xml(
                FIELDS,
                events=EVENTS,
                arms={1: "Drug", 2: "Drug A"},
                repeats=[("start_arm_1", "diary", "[mood] [photo]"), ("start_day_arm_2", "", "")],
                groups=["dag-a", "dag a"],
                extra=ROLE,
            ),
            project_id=40,
        )
    )


BODIES = {
    ("version", "csv"): "16.1.4",
    ("version", "json"): "16.1.4",
    ("generateNextRecordName", "json"): "1",
    ("instrument", "csv"): "instrument_name,instrument_label\nintake,Intake\ndiary,Diary\n",
    ("instrument", "json"): (
        '[{"instrument_name":"intake","instrument_label":"Intake"},'
        '{"instrument_name":"diary","instrument_label":"Diary"}]'
    ),
    ("arm", "csv"): 'arm_num,name\n1,Drug\n2,"Drug A"\n',
    ("arm", "json"): '[{"arm_num":1,"name":"Drug"},{"arm_num":2,"name":"Drug A"}]',
    ("event", "csv"): (
        "event_name,arm_num,unique_event_name,custom_event_label,event_id\n"
        '"Start",1,start_arm_1,,40001\n"Start day",2,start_day_arm_2,,40002\n'
    ),
    ("event", "json"): (
        '[{"event_name":"Start","arm_num":1,"unique_event_name":"start_arm_1",'
        '"custom_event_label":"","event_id":40001},'
        '{"event_name":"Start day","arm_num":2,"unique_event_name":"start_day_arm_2",'
        '"custom_event_label":"","event_id":40002}]'
    ),
    ("formEventMapping", "csv"): (
        "arm_num,unique_event_name,form\n1,start_arm_1,intake\n1,start_arm_1,diary\n"
        "2,start_day_arm_2,intake\n"
    ),
    ("formEventMapping", "xml"): (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<items>\n'
        "<item><arm_num>1</arm_num><unique_event_name>start_arm_1</unique_event_name>"
        "<form>intake</form></item>\n"
        "<item><arm_num>1</arm_num><unique_event_name>start_arm_1</unique_event_name>"
        "<form>diary</form></item>\n"
        "<item><arm_num>2</arm_num><unique_event_name>start_day_arm_2</unique_event_name>"
        "<form>intake</form></item>\n</items>\n"
    ),
    ("repeatingFormsEvents", "csv"): (
        "event_name,form_name,custom_form_label\nstart_arm_1,diary,[mood] [photo]\n"
        "start_day_arm_2,,\n"
    ),
    ("exportFieldNames", "csv"): (
        "original_field_name,choice_value,export_field_name\nrecord_id,,record_id\n"
        "height,,height\nintake_complete,,intake_complete\nmood,1,mood___1\nmood,B,mood___b\n"
        "double,,double\ndiary_complete,,diary_complete\n"
    ),
    ("dag", "csv"): (
        "data_access_group_name,unique_group_name,data_access_group_id\ndag-a,daga,4001\n"
        '"dag a",dag_a,4002\n'
    ),
    ("userDagMapping", "csv"): "username,redcap_data_access_group\napi_user,\n",
    ("userRoleMapping", "json"): (
        '[{"username":"api_user","unique_role_name":"","data_access_group":""}]'
    ),
    ("metadata", "json"): (
        '[{"field_name":"height","form_name":"intake","section_header":"Body","field_type":"text",'
        '"field_label":"Height <b>now<\\/b>, in cm\\/m","select_choices_or_calculations":"",'
        '"field_note":"with shoes","text_validation_type_or_show_slider_number":"number",'
        '"text_validation_min":"0","text_validation_max":"3","identifier":"y",'
        '"branching_logic":"[record_id] <> \'\' and\\n[record_id] <> \'0\'","required_field":"y",'
        '"custom_alignment":"LH","question_number":"1a","matrix_group_name":"body",'
        '"matrix_ranking":"y","field_annotation":"@NOW"},\n'
        '{"field_name":"mood","form_name":"diary","section_header":"","field_type":"checkbox",'
        '"field_label":"mood","select_choices_or_calculations":"1, Good | B, So, so",'
        '"field_note":"","text_validation_type_or_show_slider_number":"",'
        '"text_validation_min":"","text_validation_max":"","identifier":"",'
        '"branching_logic":"","required_field":"","custom_alignment":"","question_number":"",'
        '"matrix_group_name":"","matrix_ranking":"","field_annotation":""}]'
    ),
    ("metadata", "csv"): (
        "field_name,form_name,section_header,field_type,field_label,"
        "select_choices_or_calculations,field_note,text_validation_type_or_show_slider_number,"
        "text_validation_min,text_validation_max,identifier,branching_logic,required_field,"
        "custom_alignment,question_number,matrix_group_name,matrix_ranking,field_annotation\n"
        'height,intake,Body,text,"Height <b>now</b>, in cm/m",,"with shoes",number,0,3,y,'
        "\"[record_id] <> '' and\n[record_id] <> '0'\",y,LH,1a,body,y,@NOW\n"
        'mood,diary,,checkbox,mood,"1, Good | B, So, so",,,,,,,,,,,,\n'
    ),
    ("project", "json"): (
        '{"project_id":40,"project_title":"A study","creation_time":"2026-01-02 03:04:05",'
        '"production_time":"","in_production":0,"project_language":"English","purpose":0,'
        '"purpose_other":"","project_notes":"","custom_record_label":"",'
        '"secondary_unique_field":"","is_longitudinal":1,'
        '"has_repeating_instruments_or_events":1,"surveys_enabled":0,"scheduling_enabled":0,'
        '"record_autonumbering_enabled":0,"randomization_enabled":0,"ddp_enabled":0,'
        '"project_irb_number":"","project_grant_number":"","project_pi_firstname":"",'
        '"project_pi_lastname":"","project_pi_email":"","display_today_now_button":1,'
        '"missing_data_codes":"","external_modules":"","bypass_branching_erase_field_prompt":0}'
    ),
}


@pytest.mark.parametrize(("content", "body_format"), list(BODIES))
def test_body(token: str, ask: Any, content: str, body_format: str) -> None:
    parameters = {"fields[0]": "height", "fields[1]": "mood"} if content == "metadata" else {}
    answer = ask(token, content, format=body_format, **parameters)
    assert (answer.status_code, answer.text) == (200, BODIES[content, body_format])


def test_users_have_every_right_and_their_csv_no_final_line_break(token: str, ask: Any) -> None:
    """Ids and rights are numbers, form rights objects; in csv they are `form:code` texts."""
    (user,) = ask(token, "user", format="json").json()
    assert user["username"] == "api_user"
    assert (user["api_export"], user["forms"]) == (1, {"intake": 1, "diary": 1})
    body = ask(token, "user").text
    assert body.endswith(',1,1,1,"intake:1,diary:1","intake:1,diary:1"')


def test_roles_have_text_rights(token: str, ask: Any) -> None:
    (role,) = ask(token, "userRole", format="json").json()
    assert (role["unique_role_name"], role["role_label"]) == ("U-1", "Reader")
    assert (role["logging"], role["design"]) == ("1", "0")
    assert (role["forms"], role["forms_export"]) == (
        {"intake": 1, "diary": 2},
        {"intake": 1, "diary": 0},
    )


def test_an_absent_arm_gives_the_header_alone(token: str, ask: Any) -> None:
    answer = ask(token, "formEventMapping", **{"arms[0]": "9"})
    assert answer.text == "arm_num,unique_event_name,form\n"


def test_scheduling_adds_day_offsets_after_the_arm(redcap: Any, project_xml: Any, ask: Any) -> None:
    scheduling = "<redcap:SchedulingEnabled>1</redcap:SchedulingEnabled>"
    token = redcap.add_project(
        project_xml(FIELDS, events=EVENTS[:1], extra=scheduling), project_id=41
    )
    assert ask(token, "event").text == (
        "event_name,arm_num,day_offset,offset_min,offset_max,unique_event_name,"
        'custom_event_label,event_id\n"Start",1,0,0,0,start_arm_1,,41001\n'
    )


def test_one_field_name_can_be_asked(token: str, ask: Any) -> None:
    header = "original_field_name,choice_value,export_field_name\n"
    answer = ask(token, "exportFieldNames", field="mood")
    assert answer.text == header + "mood,1,mood___1\nmood,B,mood___b\n"
    assert ask(token, "exportFieldNames", field="nothing").status_code == 400


def test_a_project_without_groups_or_roles_has_blank_bodies(
    redcap: Any, project_xml: Any, ask: Any
) -> None:
    token = redcap.add_project(project_xml(FIELDS))
    assert [ask(token, content).text for content in ("dag", "userRole")] == ["\n", "\n"]
    assert ask(token, "dag", format="json").text == "[]"


def test_title_time_and_number_can_be_chosen(redcap: Any, project_xml: Any, ask: Any) -> None:
    token = redcap.add_project(
        project_xml(FIELDS), title="Chosen", creation_time="2020-02-02 00:00:00", project_id=7
    )
    info = ask(token, "project", format="json").json()
    chosen = (info["project_id"], info["project_title"], info["creation_time"])
    assert chosen == (7, "Chosen", "2020-02-02 00:00:00")


def test_the_version_can_be_chosen_and_asked_with_a_super_token() -> None:
    with RedcapEmulator(super_token="S" * 64, redcap_version="13.7.0") as redcap:
        data = {"token": "S" * 64, "content": "version"}
        assert requests.post(redcap.url, data=data, timeout=30).text == "13.7.0"
