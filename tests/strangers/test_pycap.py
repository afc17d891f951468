"""PyCap, unchanged: every method that calls the API, on projects of five shapes."""

import inspect
import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redcap
import semantic_version

from redcap_dagster.emulator import RedcapEmulator, SyntheticProject

RECORD_IDS = [str(number) for number in range(1, 13)]


@pytest.fixture
def project(server: RedcapEmulator, token: str) -> redcap.Project:
    return redcap.Project(server.url, token)


@pytest.fixture
def is_longitudinal(made: SyntheticProject) -> bool:
    return made.design.is_longitudinal


@pytest.fixture
def first_event(made: SyntheticProject) -> str | None:
    """Unique name of the event all records of arm 1 have, None in a classic project."""
    return made.design.events[0].unique_name if made.design.events else None


def in_arm(made: SyntheticProject) -> str:
    """A record that lives in arm 1."""
    return "2" if made.design.events else "1"


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["record_id"] for row in rows))


def test_the_project_is_known_from_its_design(
    project: redcap.Project, made: SyntheticProject, is_longitudinal: bool
) -> None:
    assert project.def_field == "record_id"
    assert project.is_longitudinal is is_longitudinal
    assert set(project.forms) == {"enrolment", "outcome", "visit"}
    assert project.field_names == [field.name for field in made.design.fields]
    assert project.redcap_version == semantic_version.Version("16.1.4")
    assert project.export_version() == project.redcap_version


@pytest.mark.parametrize("format_type", ["json", "csv", "xml", "df"])
def test_records_come_in_every_format(project: redcap.Project, format_type: Any) -> None:
    exported = project.export_records(format_type=format_type)
    if format_type == "json":
        assert ids(exported) == RECORD_IDS
    elif format_type == "df":
        assert list(exported.reset_index()["record_id"].astype(str).unique()) == RECORD_IDS
    else:
        assert len(exported) > 1000


def test_records_are_selected(
    project: redcap.Project, made: SyntheticProject, first_event: str | None
) -> None:
    assert ids(project.export_records(records=["2", "4"])) == ["2", "4"]
    some = project.export_records(fields=["visit_count_2"], records=["2"])
    assert {"record_id", "visit_count_2"} <= set(some[0])
    assert "visit_score_3" not in some[0]
    of_form = project.export_records(forms=["outcome"], records=["2"], format_type="df")
    assert [name for name in of_form.columns if name.endswith("_complete")] == ["outcome_complete"]
    if first_event:
        rows = project.export_records(events=[first_event])
        assert {row["redcap_event_name"] for row in rows} == {first_event}
    number = project.export_records(filter_logic="[record_id] = 5")
    assert ids(number) == ["5"]
    eav = project.export_records(record_type="eav", records=["2"])
    assert eav[0]["record"] == "2"
    assert next(row["value"] for row in eav if row["field_name"] == "record_id") == "2"
    labelled = project.export_records(format_type="csv", raw_or_label_headers="label")
    assert labelled.startswith('"Record ID"')
    if made.design.groups:
        grouped = project.export_records(export_data_access_groups=True)
        assert grouped[0]["redcap_data_access_group"] == "site_north"
    if made.design.survey_forms:
        surveyed = project.export_records(export_survey_fields=True)
        assert surveyed[0]["redcap_survey_identifier"] == "person 1"


def test_records_are_written_named_and_deleted(
    project: redcap.Project, first_event: str | None
) -> None:
    event = {"redcap_event_name": first_event} if first_event else {}
    assert project.generate_next_record_name() == "13"
    new = [{"record_id": number, **event, "enrolment_text_1": "x"} for number in (13, 14)]
    assert project.import_records(new) == {"count": 2}
    assert project.import_records(new, return_content="ids") == ["13", "14"]
    assert project.import_records(new, return_content="nothing") == [{}]
    assert project.import_records(new[:1], force_auto_number=True, return_content="auto_ids") == [
        "15,13"
    ]
    assert project.import_records(pd.DataFrame(new), import_format="df") == {"count": 2}
    assert project.import_records(new, return_format_type="xml") == (
        '<?xml version="1.0" encoding="UTF-8" ?><count>2</count>'
    )
    assert project.delete_records(["13", "14"]) == 2
    assert project.delete_records(["15"], return_format_type="csv") == "1"
    with pytest.raises(redcap.RedcapError, match="The following records do not exist: 13"):
        project.delete_records(["13"])
    with pytest.raises(redcap.RedcapError, match="is not an integer"):
        project.import_records([{"record_id": 1, **event, "enrolment_count_2": "x"}])
    assert ids(project.export_records()) == RECORD_IDS


def test_the_dictionary_goes_out_and_in(project: redcap.Project, made: SyntheticProject) -> None:
    metadata = project.export_metadata()
    assert len(metadata) == len(made.design.fields)
    assert len(project.export_metadata(fields=["record_id"], format_type="df")) == 1
    assert project.import_metadata(metadata[:-1]) == len(metadata) - 1
    assert project.import_metadata(metadata) == len(metadata)
    text = project.export_metadata(format_type="csv")
    assert project.import_metadata(text, import_format="csv") == len(metadata)
    names = project.export_field_names()
    assert names[0] == {
        "original_field_name": "record_id",
        "choice_value": "",
        "export_field_name": "record_id",
    }
    assert len(project.export_field_names(field="visit_ticks_6")) in {0, 3}


def test_instruments_are_listed_and_printed(project: redcap.Project) -> None:
    assert [row["instrument_name"] for row in project.export_instruments()] == [
        "enrolment",
        "visit",
        "outcome",
    ]
    content, _ = project.export_pdf()
    assert content.startswith(b"%PDF-")
    content, _ = project.export_pdf(record="2", instrument="enrolment")
    assert content.startswith(b"%PDF-")


def test_arms_events_and_mappings(project: redcap.Project, is_longitudinal: bool) -> None:
    if not is_longitudinal:
        with pytest.raises(redcap.RedcapError, match="You cannot export arms for classic"):
            project.export_arms()
        with pytest.raises(redcap.RedcapError, match="You cannot export events for classic"):
            project.export_events()
        with pytest.raises(redcap.RedcapError, match="You cannot export form/event mappings"):
            project.export_instrument_event_mappings()
        return
    arms = [{"arm_num": 1, "name": "Treatment"}, {"arm_num": 2, "name": "Control"}]
    assert project.export_arms() == arms
    assert project.import_arms([{"arm_num": 3, "name": "Late"}]) == 1
    assert project.export_arms() == arms
    assert project.import_events([{"event_name": "New one", "arm_num": "3"}]) == 1
    assert project.export_arms() == [*arms, {"arm_num": 3, "name": "Late"}]
    assert [row["unique_event_name"] for row in project.export_events(arms=["3"])] == [
        "new_one_arm_3"
    ]
    mappings = project.export_instrument_event_mappings()
    more = {"arm_num": 3, "unique_event_name": "new_one_arm_3", "form": "visit"}
    assert project.import_instrument_event_mappings([*mappings, more]) == len(mappings) + 1
    assert project.export_instrument_event_mappings(arms=["3"]) == [more]
    assert project.import_instrument_event_mappings(mappings) == len(mappings)
    assert project.delete_events(["new_one_arm_3"]) == 1
    assert project.delete_arms(["3"]) == 1
    assert project.export_instrument_event_mappings() == mappings


@pytest.mark.parametrize("format_type", ["json", "csv", "xml", "df"])
def test_what_repeats_goes_out_and_in(
    project: redcap.Project, made: SyntheticProject, format_type: Any
) -> None:
    if not made.design.repeats:
        with pytest.raises(redcap.RedcapError, match="does not contain any repeating"):
            project.export_repeating_instruments_events()
        return
    repeats = project.export_repeating_instruments_events(format_type=format_type)
    assert project.import_repeating_instruments_events(repeats, import_format=format_type) == 2


def test_groups_and_who_is_in_them(project: redcap.Project, made: SyntheticProject) -> None:
    names = [group.unique_name for group in made.design.groups]
    assert [row["unique_group_name"] for row in project.export_dags()] == names
    group = {"data_access_group_name": "New DAG", "unique_group_name": ""}
    assert project.import_dags([group]) == 1
    assert project.import_users([{"username": "second"}]) == 1
    mapping = {"username": "second", "redcap_data_access_group": "new_dag"}
    assert project.import_user_dag_assignment([mapping]) == 1
    assert mapping in project.export_user_dag_assignment()
    assert project.delete_users(["second"]) == 1
    assert project.delete_dags(["new_dag"]) == 1
    assert [row["unique_group_name"] for row in project.export_dags()] == names


def test_a_user_in_a_group_sees_its_records(
    project: redcap.Project, server: RedcapEmulator, made: SyntheticProject
) -> None:
    if not made.design.groups:
        with pytest.raises(redcap.RedcapError):
            project.switch_dag("nowhere")
        return
    inside = redcap.Project(
        server.url, server.add_user(project.token, "inside", data_access_group="site_south")
    )
    assert ids(inside.export_records()) == ["2", "6", "10"]


def test_users_and_roles(project: redcap.Project) -> None:
    (owner,) = project.export_users()
    assert (owner["username"], owner["api_export"]) == ("api_user", 1)
    assert project.export_users(format_type="df", df_kwargs={"index_col": "email"}).shape[0] == 1
    assert project.import_user_roles([{"role_label": "New role"}]) == 1
    (role,) = project.export_user_roles()
    assert (role["role_label"], role["design"]) == ("New role", "0")
    name = role["unique_role_name"]
    project.import_users([{"username": "second"}])
    assert project.import_user_role_assignment([{"username": "second", "unique_role_name": name}])
    assert {"username": "second", "unique_role_name": name, "data_access_group": ""} in (
        project.export_user_role_assignment()
    )
    assert project.delete_users(["second"]) == 1
    assert project.delete_user_roles([name]) == 1
    assert project.export_user_roles() == []


def test_files_go_in_and_out(
    server: RedcapEmulator, made: SyntheticProject, first_event: str | None
) -> None:
    project = redcap.Project(server.url, server.add_project(made))
    upload = {
        **dict.fromkeys(project.metadata[0], ""),
        "field_name": "upload",
        "form_name": "enrolment",
        "field_type": "file",
        "field_label": "Upload",
    }
    record_id, *others = project.export_metadata()
    project.import_metadata([record_id, upload, *others])
    project = redcap.Project(server.url, project.token)
    place: dict[str, Any] = {"record": in_arm(made), "field": "upload"}
    if first_event:
        place["event"] = first_event
    assert project.import_file(**place, file_name="a.txt", file_object=io.BytesIO(b"hi")) == [{}]
    content, headers = project.export_file(**place)
    assert (content, headers["name"]) == (b"hi", "a.txt")
    assert project.delete_file(**place) == [{}]
    with pytest.raises(redcap.RedcapError):
        project.export_file(**place)


def test_the_file_repository(project: redcap.Project) -> None:
    ((folder,),) = [project.create_folder_in_repository("reports")]
    assert project.import_file_into_repository(
        "a.txt", io.BytesIO(b"hello"), folder_id=folder["folder_id"]
    ) == [{}]
    assert project.export_file_repository() == [{**folder, "name": "reports"}]
    (file,) = project.export_file_repository(folder_id=folder["folder_id"])
    assert file["name"] == "a.txt"
    content, headers = project.export_file_from_repository(doc_id=file["doc_id"])
    assert (content, headers["name"]) == (b"hello", "a.txt")
    assert project.delete_file_from_repository(doc_id=file["doc_id"]) == [{}]
    assert project.export_file_repository(folder_id=folder["folder_id"]) == []


def test_the_log_tells_what_was_done(project: redcap.Project, first_event: str | None) -> None:
    event = {"redcap_event_name": first_event} if first_event else {}
    project.import_records([{"record_id": 99, **event}])
    (line,) = project.export_logging(log_type="record_add", record="99")
    assert line["action"].startswith("Create record (API) 99")
    assert len(project.export_logging(format_type="df")) >= 1
    assert project.export_logging(user="nobody") == []


def test_project_information(project: redcap.Project, is_longitudinal: bool) -> None:
    info = project.export_project_info()
    assert info["is_longitudinal"] == int(is_longitudinal)
    assert project.export_project_info(format_type="df").shape[0] == 1


def test_surveys(project: redcap.Project, made: SyntheticProject, first_event: str | None) -> None:
    place: dict[str, Any] = {"record": in_arm(made), "instrument": "enrolment"}
    if first_event:
        place["event"] = first_event
    if not made.design.survey_forms:
        with pytest.raises(redcap.RedcapError):
            project.export_survey_link(**place)
        return
    assert re.fullmatch(r"https?://.+/surveys/\?s=\w+", project.export_survey_link(**place))
    queue = project.export_survey_queue_link(record="1")
    assert re.fullmatch(r"https?://.+/surveys/\?sq=\w+", queue)
    assert len(project.export_survey_access_code(**place)) == 9
    assert len(project.export_survey_return_code(**place)) == 8
    with pytest.raises(redcap.RedcapError):
        project.export_survey_return_code(**{**place, "record": "nobody"})
    people = project.export_survey_participant_list(instrument="enrolment")
    assert len(people) == len(RECORD_IDS)
    frame = project.export_survey_participant_list(instrument="enrolment", format_type="df")
    assert "email" in frame.columns


def test_reports(project: redcap.Project, made: SyntheticProject, server: RedcapEmulator) -> None:
    user = server.store.user_of(project.token)
    assert user is not None
    (report,) = server.store.design(user.project_id).reports
    rows = project.export_report(report_id=str(report.report_id))
    asked = project.export_records(
        fields=list(report.fields),
        events=[made.design.events[0].unique_name] if made.design.events else None,
    )
    named = [{name: row[name] for name in report.fields} for row in asked]
    shown = [{name: row[name] for name in report.fields} for row in rows]
    assert [row for row in shown if row in named] == named
    with pytest.raises(redcap.RedcapError):
        project.export_report(report_id="1")


def test_a_wrong_token_is_told(server: RedcapEmulator) -> None:
    with pytest.raises(redcap.RedcapError, match="You do not have permissions to use the API"):
        redcap.Project(server.url, "0" * 32).export_records()


def test_nothing_of_pycap_was_left_out() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    methods = [
        name
        for name, member in inspect.getmembers(redcap.Project, inspect.isfunction)
        if not name.startswith("_")
    ]
    assert len(methods) > 40
    assert [name for name in methods if f".{name}(" not in here] == []
