"""RedcapLite, unchanged: every method that calls the API, on projects of five shapes."""

import inspect
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from redcaplite import RedcapClient
from redcaplite.http.error import APIException

from redcap_dagster.emulator import RedcapEmulator, SyntheticProject

RECORD_IDS = list(range(1, 13))


@pytest.fixture
def client(server: RedcapEmulator, token: str) -> RedcapClient:
    return RedcapClient(server.url, token)


@pytest.fixture
def first_event(made: SyntheticProject) -> dict[str, str]:
    """Unique name of the first event as a record's column; nothing in a classic project."""
    events = made.design.events
    return {"redcap_event_name": events[0].unique_name} if events else {}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("hello")
    return path


def ids(frame: pd.DataFrame) -> list[int]:
    return [int(each) for each in frame["record_id"].unique()]


def test_records_are_exported(client: RedcapClient, first_event: dict[str, str]) -> None:
    assert ids(client.export_records()) == RECORD_IDS
    assert ids(client.export_records(records=["2", "4"])) == [2, 4]
    some = client.export_records(fields=["record_id", "visit_count_2"], format="json")
    assert set(some[0]) >= {"record_id", "visit_count_2"}
    assert ids(client.export_records(filterLogic="[record_id] = 5")) == [5]
    if first_event:
        rows = client.export_records(events=list(first_event.values()), format="json")
        assert {row["redcap_event_name"] for row in rows} == set(first_event.values())


def test_records_are_written_renamed_and_deleted(
    client: RedcapClient, first_event: dict[str, str]
) -> None:
    assert client.generate_next_record_name() == 13
    new = pd.DataFrame([{"record_id": number, **first_event} for number in (13, 14)])
    assert client.import_records(new) == ["13", "14"]
    assert client.import_records(new, returnContent="count") == '{"count": 2}'
    rows = new.to_dict("records")
    assert client.import_records(rows, format="json", returnContent="count") == {"count": 2}
    assert client.rename_record("14", "15") == 1
    assert client.delete_records(["13", "15"]) == 2
    with pytest.raises(APIException, match="The following records do not exist: 13"):
        client.delete_records(["13"])
    assert ids(client.export_records()) == RECORD_IDS


def test_the_dictionary_goes_out_and_in(client: RedcapClient, made: SyntheticProject) -> None:
    metadata = client.get_metadata(format="json")
    assert [row["field_name"] for row in metadata] == [field.name for field in made.design.fields]
    assert client.import_metadata(metadata[:-1], format="json") == len(metadata) - 1
    assert client.import_metadata(metadata, format="json") == len(metadata)
    frame = client.get_metadata()
    assert len(frame) == len(metadata)
    assert client.get_field_names(field="record_id") == [
        {
            "original_field_name": "record_id",
            "choice_value": "",
            "export_field_name": "record_id",
        }
    ]
    assert [row["instrument_name"] for row in client.get_instruments()] == [
        "enrolment",
        "visit",
        "outcome",
    ]


def test_arms_events_and_mappings(client: RedcapClient, made: SyntheticProject) -> None:
    if not made.design.is_longitudinal:
        for method in (client.get_arms, client.get_events, client.get_form_event_mappings):
            with pytest.raises(APIException, match="for classic projects"):
                method()
        return
    assert [row["name"] for row in client.get_arms()] == ["Treatment", "Control"]
    assert client.import_arms([{"arm_num": 3, "name": "Late"}]) == 1
    assert client.import_events([{"event_name": "New one", "arm_num": 3}]) == 1
    assert client.get_events(arms=[3])[0]["unique_event_name"] == "new_one_arm_3"
    mappings = client.get_form_event_mappings()
    more = {"arm_num": 3, "unique_event_name": "new_one_arm_3", "form": "visit"}
    assert client.import_form_event_mappings([*mappings, more]) == len(mappings) + 1
    assert client.import_form_event_mappings(mappings) == len(mappings)
    assert client.delete_events(["new_one_arm_3"]) == 1
    assert client.delete_arms([3]) == 1
    assert client.get_form_event_mappings() == mappings


def test_what_repeats(client: RedcapClient, made: SyntheticProject) -> None:
    if not made.design.repeats:
        with pytest.raises(APIException, match="does not contain any repeating"):
            client.get_repeating_forms_events()
        return
    repeats = client.get_repeating_forms_events()
    assert [row["form_name"] for row in repeats] == ["visit", "outcome"]
    assert client.import_repeating_forms_events(repeats) == 2


def test_groups_users_and_roles(client: RedcapClient, made: SyntheticProject) -> None:
    names = [group.unique_name for group in made.design.groups]
    assert [row["unique_group_name"] for row in client.get_dags()] == names
    group = {"data_access_group_name": "New DAG", "unique_group_name": ""}
    assert client.import_dags([group]) == 1
    assert client.import_users([{"username": "second"}]) == 1
    mapping = {"username": "second", "redcap_data_access_group": "new_dag"}
    assert client.import_user_dag_mappings([mapping]) == 1
    assert mapping in client.get_user_dag_mappings()
    assert client.import_user_roles([{"role_label": "New role"}]) == 1
    (role,) = client.get_user_roles()
    name = role["unique_role_name"]
    client.import_user_role_mappings([{"username": "second", "unique_role_name": name}])
    mapped = {row["username"]: row for row in client.get_user_role_mappings()}
    assert mapped["second"]["unique_role_name"] == name
    assert client.delete_users(["second"]) == 1
    assert client.delete_user_roles([name]) == 1
    assert client.delete_dags(["new_dag"]) == 1
    assert [row["username"] for row in client.get_users()] == ["api_user"]


def test_a_user_moves_from_group_to_group(
    client: RedcapClient, server: RedcapEmulator, made: SyntheticProject
) -> None:
    if not made.design.groups:
        with pytest.raises(APIException):
            client.switch_dag("nowhere")
        return
    inside = RedcapClient(
        server.url, server.add_user(client.token, "inside", data_access_group="site_south")
    )
    assert ids(inside.export_records()) == [2, 6, 10]
    with pytest.raises(APIException):
        inside.switch_dag("nowhere")


def test_files(client: RedcapClient, server: RedcapEmulator, file: Path, tmp_path: Path) -> None:
    record_id, *others = client.get_metadata(format="json")
    upload = {
        **dict.fromkeys(record_id, ""),
        "field_name": "upload",
        "form_name": "enrolment",
        "field_type": "file",
        "field_label": "Upload",
    }
    client.import_metadata([record_id, upload, *others], format="json")
    place: dict[str, Any] = {"record": "2", "field": "upload"}
    if server.store.design(server.store.user_of(client.token).project_id).is_longitudinal:  # type: ignore[union-attr]
        place["event"] = "enrolment_arm_1"
    client.import_file(str(file), **place)
    client.get_file(**place, file_dictionary=str(tmp_path))
    assert (tmp_path / "a.txt").read_text() == "hello"
    # The body is empty, as on a server; RedcapLite reads JSON there.
    with pytest.raises(requests.exceptions.JSONDecodeError):
        client.delete_file(**place)
    with pytest.raises(APIException, match="Bad Request"):
        client.get_file(**place, file_dictionary=str(tmp_path))


def test_the_file_repository(client: RedcapClient, file: Path, tmp_path: Path) -> None:
    (folder,) = client.create_folder_file_repository("reports")
    client.import_file_repository(str(file), folder_id=folder["folder_id"])
    assert client.list_file_repository() == [{**folder, "name": "reports"}]
    (entry,) = client.list_file_repository(folder_id=folder["folder_id"])
    client.export_file_repository(entry["doc_id"], file_dictionary=str(tmp_path))
    assert (tmp_path / entry["name"]).read_text() == "hello"
    with pytest.raises(requests.exceptions.JSONDecodeError):
        client.delete_file_repository(entry["doc_id"])
    assert client.list_file_repository(folder_id=folder["folder_id"]) == []


def test_a_pdf_is_saved(client: RedcapClient, tmp_path: Path) -> None:
    answer = client.export_pdf(record="2", instrument="enrolment", file_dictionary=str(tmp_path))
    (saved,) = tmp_path.glob("*.pdf")
    assert saved.read_bytes() == answer.content
    assert answer.content.startswith(b"%PDF-")


def test_the_log(client: RedcapClient, first_event: dict[str, str]) -> None:
    client.import_records([{"record_id": "99", **first_event}], format="json")
    (line,) = client.get_logs(format="json", logtype="record_add", record="99")
    assert line["action"].startswith("Create record (API) 99")
    assert len(client.get_logs()) >= 1


def test_the_project_and_its_settings(client: RedcapClient, made: SyntheticProject) -> None:
    info = client.get_project()
    assert info["is_longitudinal"] == int(made.design.is_longitudinal)
    assert client.import_project_settings([{"project_title": "Renamed", "purpose": 0}]) == 2
    assert client.get_project()["project_title"] == "Renamed"
    assert client.get_version() == "16.1.4"
    xml = client.get_project_xml(returnMetadataOnly=False)
    assert xml.startswith('<?xml version="1.0" encoding="UTF-8" ?>')


def test_a_project_that_went_out_comes_in_again(
    client: RedcapClient, server: RedcapEmulator
) -> None:
    copy = server.add_project(client.get_project_xml())
    assert RedcapClient(server.url, copy).export_records(format="json") == client.export_records(
        format="json"
    )


def test_a_super_token_creates_a_project(server: RedcapEmulator, super_token: str) -> None:
    data: dict[str, Any] = {"project_title": "Made by RedcapLite", "purpose": 0}
    # RedcapLite reads the answer as JSON, which a plain token of letters is not.
    with pytest.raises(requests.exceptions.JSONDecodeError):
        RedcapClient(server.url, super_token).create_project([data])
    token = server.store.users()[-1].token
    assert RedcapClient(server.url, token).get_project()["project_title"] == "Made by RedcapLite"


def test_surveys(client: RedcapClient, made: SyntheticProject) -> None:
    place: dict[str, Any] = {"record": "2", "instrument": "enrolment"}
    if made.design.events:
        place["event"] = "enrolment_arm_1"
    if not made.design.survey_forms:
        with pytest.raises(APIException):
            client.get_survey_link(**place)
        return
    assert "/surveys/?s=" in client.get_survey_link(**place)
    assert "/surveys/?sq=" in client.get_survey_queue_link("2")
    assert len(client.get_participant_list("enrolment")) == len(RECORD_IDS)
    assert len(client.get_survey_return_code(**place)) == 8
    with pytest.raises(APIException):
        client.get_survey_return_code(**{**place, "record": "nobody"})


def test_reports(client: RedcapClient, server: RedcapEmulator) -> None:
    user = server.store.user_of(client.token)
    assert user is not None
    (report,) = server.store.design(user.project_id).reports
    frame = client.get_report(report.report_id)
    assert set(report.fields) <= set(frame.columns)
    assert ids(frame) == RECORD_IDS
    with pytest.raises(APIException, match="Bad Request"):
        client.get_report(1)


def test_a_wrong_token_is_told(server: RedcapEmulator) -> None:
    with pytest.raises(APIException, match="You do not have permissions to use the API"):
        RedcapClient(server.url, "0" * 32).export_records()


def test_nothing_of_redcaplite_was_left_out() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    methods = [
        name
        for name, member in inspect.getmembers(RedcapClient, inspect.isfunction)
        # What the methods are made of, not one of them.
        if not name.startswith("_") and not name.endswith("_api") and name != "post"
    ]
    assert len(methods) > 40
    assert [
        name for name in methods if f"client.{name}" not in here and f").{name}(" not in here
    ] == []
