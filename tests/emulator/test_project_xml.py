"""A project exported as XML makes the same project again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.emulator import RedcapEmulator, synthetic_project

SHARED = Path(__file__).parents[3] / "shared" / "projects"
CONTENTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("project", {}),
    ("metadata", {}),
    ("instrument", {}),
    ("exportFieldNames", {}),
    ("arm", {}),
    ("event", {}),
    ("formEventMapping", {}),
    ("repeatingFormsEvents", {}),
    ("dag", {}),
    ("userRole", {}),
    ("record", {"exportSurveyFields": "true", "exportDataAccessGroups": "true"}),
    ("record", {"rawOrLabel": "label", "exportBlankForGrayFormStatus": "true"}),
)
# What a server numbers anew, or dates anew, when it makes a project.
NUMBERED = {"project_id", "creation_time", "event_id", "data_access_group_id"}
WHOLE = {"exportSurveyFields": "true", "exportDataAccessGroups": "true", "exportFiles": "true"}


TEXTUAL: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("metadata", {}),
    ("dag", {}),
    ("record", {"rawOrLabel": "label", "exportCheckboxLabel": "true"}),
)


def answers(ask: Any, token: str, contents: Any = CONTENTS) -> list[tuple[str, int, Any]]:
    """What a project answers, but for what is numbered anew."""
    found = []
    for content, parameters in contents:
        answer = ask(token, content, format="json", **parameters)
        body = answer.json()
        rows = body if isinstance(body, list) else [body]
        kept = [{key: row[key] for key in row if key not in NUMBERED} for row in rows]
        found.append((content, answer.status_code, kept))
    return found


def again(redcap: RedcapEmulator, ask: Any, token: str) -> str:
    """Export a project and load what came."""
    answer = ask(token, "project_xml", **WHOLE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    return redcap.add_project(answer.content)


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(path.parent.name for path in SHARED.glob("*/project.xml")))
def test_a_real_project_survives(redcap: RedcapEmulator, ask: Any, name: str) -> None:
    token = redcap.add_project(SHARED / name / "project.xml")
    assert answers(ask, again(redcap, ask, token)) == answers(ask, token)


@pytest.mark.parametrize("shape", ["survey", "data_access_groups", "everything"])
def test_a_made_up_project_survives(redcap: RedcapEmulator, ask: Any, shape: Any) -> None:
    token = redcap.add_project(synthetic_project(records=7, seed=3, shape=shape))
    assert answers(ask, again(redcap, ask, token)) == answers(ask, token)


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\n\t<>&\"'|,[]"),
    max_size=12,
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(label=TEXT, header=TEXT, note=TEXT, value=TEXT, choice=TEXT, group=TEXT)
def test_every_text_survives(
    redcap: RedcapEmulator,
    ask: Any,
    label: str,
    header: str,
    note: str,
    value: str,
    choice: str,
    group: str,
) -> None:
    """Dictionary and values go in by the API, so that no other writer of XML has a hand in it."""
    token = redcap.add_project(synthetic_project(records=1, seed=1, shape="classic"))
    choices = f"1, {choice.replace('|', '')}x | 2, B"
    dictionary = [
        {"field_name": "record_id", "form_name": "one", "field_type": "text"},
        {
            "field_name": "memo",
            "form_name": "one",
            "field_type": "notes",
            "field_label": label,
            "section_header": header,
            "field_note": note,
        },
        {
            "field_name": "pick",
            "form_name": "two_forms",
            "field_type": "radio",
            "select_choices_or_calculations": choices,
        },
        {
            "field_name": "tick",
            "form_name": "two_forms",
            "field_type": "checkbox",
            "select_choices_or_calculations": choices,
        },
    ]
    assert ask(token, "metadata", format="json", data=json.dumps(dictionary)).text == "4"
    rows = [{"record_id": "a/1", "memo": value, "pick": "1", "tick___2": "1"}, {"record_id": "b"}]
    assert ask(token, "record", format="json", data=json.dumps(rows)).status_code == 200
    groups = [{"data_access_group_name": f"g{group}", "unique_group_name": ""}]
    ask(token, "dag", format="json", action="import", data=json.dumps(groups))
    assert answers(ask, again(redcap, ask, token), TEXTUAL) == answers(ask, token, TEXTUAL)


@pytest.fixture(scope="module")
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    fields = [
        {"field_name": "record_id", "form_name": "intake", "field_label": "Record ID"},
        {"field_name": "age", "form_name": "intake"},
        {"field_name": "photo", "form_name": "intake", "field_type": "file"},
        {"field_name": "weight", "form_name": "visit"},
    ]
    rows = [
        {"record_id": "1", "redcap_event_name": "start_arm_1", "age": "40", "photo": "a.txt"},
        {"record_id": "1", "redcap_event_name": "end_arm_1", "weight": "7"},
        {
            "record_id": "2",
            "redcap_event_name": "start_arm_1",
            "age": "50",
            "redcap_data_access_group": "north",
        },
    ]
    events = [(1, "Start", "start_arm_1", ["intake"]), (1, "End", "end_arm_1", ["visit"])]
    return redcap.add_project(project_xml(fields, rows, events=events, groups=["North"]))


def loaded(redcap: RedcapEmulator, ask: Any, token: str, **parameters: str) -> str:
    """What the records of a project made of an export are."""
    xml = ask(token, "project_xml", **parameters).content
    return str(ask(redcap.add_project(xml), "record", exportDataAccessGroups="true").text)


HEADER = "record_id,redcap_event_name,redcap_data_access_group,age,photo,intake_complete,"
HEADER += "weight,visit_complete\n"


@pytest.mark.parametrize(
    ("parameters", "records"),
    [
        ({"returnMetadataOnly": "true"}, "\n"),
        (
            {"records": "2", "exportDataAccessGroups": "true"},
            f"{HEADER}2,start_arm_1,north,50,,0,,\n",
        ),
        ({"events": "end_arm_1"}, f"{HEADER}1,end_arm_1,,,,,7,0\n"),
        (
            {"fields[0]": "age", "filterLogic": "[age] > 45"},
            f"{HEADER}2,start_arm_1,,50,,0,,\n",
        ),
    ],
)
def test_part_of_the_data_is_exported(
    redcap: RedcapEmulator, ask: Any, token: str, parameters: dict[str, str], records: str
) -> None:
    assert loaded(redcap, ask, token, **parameters) == records


def test_files_go_along_only_when_they_are_asked_for(
    redcap: RedcapEmulator, ask: Any, token: str
) -> None:
    asked = {"record": "1", "field": "photo", "event": "start_arm_1", "action": "export"}
    bare, whole = (
        redcap.add_project(ask(token, "project_xml", exportFiles=files).content)
        for files in ("false", "true")
    )
    assert ask(whole, "file", **asked).text == "foo"
    assert ask(bare, "file", **asked).status_code == 400
    assert ask(bare, "record", fields="photo").text == "photo\na.txt\n"


def test_records_as_odm_are_a_file_of_records_alone(
    redcap: RedcapEmulator, ask: Any, token: str
) -> None:
    definition = ask(token, "project_xml", returnMetadataOnly="true").content
    records = ask(token, "record", format="odm", exportDataAccessGroups="true")
    assert records.headers["content-type"] == "text/xml; charset=utf-8"
    assert b"<Study " not in records.content
    both = redcap.add_project(definition, records=records.content)
    asked = {"exportDataAccessGroups": "true"}
    assert ask(both, "record", **asked).text == ask(token, "record", **asked).text


def test_a_user_in_a_group_exports_its_records(
    redcap: RedcapEmulator, ask: Any, token: str
) -> None:
    north = redcap.add_user(token, "north", data_access_group="North")
    assert loaded(redcap, ask, north) == f"{HEADER}2,start_arm_1,,50,,0,,\n"


@pytest.mark.parametrize("shape", ["classic", "everything"])
def test_records_as_odm_are_imported(redcap: RedcapEmulator, ask: Any, shape: Any) -> None:
    token = redcap.add_project(synthetic_project(records=5, seed=4, shape=shape))
    definition = ask(token, "project_xml", returnMetadataOnly="true").content
    other = redcap.add_project(definition)
    asked = {"exportDataAccessGroups": "true", "fields": ",".join(_written(ask, token))}
    data = ask(token, "record", format="odm", exportDataAccessGroups="true").text
    answer = ask(other, "record", format="odm", returnFormat="csv", data=data)
    assert (answer.status_code, answer.text) == (200, "5")
    assert ask(other, "record", **asked).text == ask(token, "record", **asked).text


def _written(ask: Any, token: str) -> list[str]:
    """The fields that an import sets."""
    rows = ask(token, "metadata", format="json").json()
    return [row["field_name"] for row in rows if row["field_type"] not in {"calc", "descriptive"}]


def test_records_that_are_no_odm_are_refused(ask: Any, token: str) -> None:
    for data in (
        "<ODM",
        "<x/>",
        '<ODM><ClinicalData><ItemData ItemOID="age"/></ClinicalData></ODM>',
    ):
        answer = ask(token, "record", format="odm", returnFormat="csv", data=data)
        assert (answer.status_code, answer.text) == (
            400,
            "ERROR: The data is not in the specified format.",
        )
