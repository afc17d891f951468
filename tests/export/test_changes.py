"""What the entries of REDCap's log mean."""

from dataclasses import replace
from datetime import date
from traceback import format_exception
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.errors import AnswerError
from redcap_dagster.export import (
    ChangeFence,
    changes_in,
    read_changes,
    read_design,
    read_log_day,
)
from redcap_dagster.export.changes import read_fence
from redcap_dagster.project import RedcapProject

ID = "record_id = "


@pytest.fixture(scope="module")
def study() -> tuple[RedcapClient, RedcapProject]:
    with RedcapEmulator() as emulator:
        client = RedcapClient(emulator.url, emulator.add_project(synthetic_project(records=1)))
        project = read_design(client)
    form, *forms = project.instruments
    record_id = replace(form.fields[0], name="record_id")
    form = replace(form, fields=(record_id, *form.fields[1:]))
    return client, replace(project, instruments=(form, *forms))


@pytest.mark.parametrize(
    ("action", "details", "kind"),
    [
        ("Create record (API) 1", f"{ID}'1', weight = '80'", "created"),
        ("Create Response 1", "weight = '80'", "created"),
        ("Update record 1", "weight = '80'", "updated"),
        ("Update record 1", f"{ID}'1'", "renamed"),
        ("Update record 1", f"{ID}'O'Brien = 1'", "renamed"),
        ("Update record 1 (Visit 2 (Arm 1: Arm 1))", f"{ID}'1', weight = '80'", "updated"),
        ("Update record 1", f"{ID}'1', box(1) = checked", "updated"),
        ("Update record 1", f"{ID}'1',  weight = '80'", "updated"),  # a line break made two blanks
        # Of a record that was deleted with its log nobody can say any more.
        ("Update record 1", "[*DATA REMOVED*]", "renamed"),
        ("Create record 1", "[*DATA REMOVED*]", "created"),
        ("Delete record 1", f"{ID}'1'", "deleted"),
        ("Deleted Document 1", "consent = '17'", "updated"),
        (
            "Update record 1",
            "Assign record to Data Access Group (redcap_data_access_group = 'north')",
            "moved",
        ),
        ("Manage/Design ", "Edit project field", "design"),
        ("Manage/Design ", "Erase all data", "design"),
        ("Manage/Design ", "Delete event (Event: Visit 2)", "design"),
        ("Manage/Design ", "Download instrument from Shared Library", "design"),
        ("Manage/Design ", "Set up survey", "design"),
        ("Manage/Design ", "Export instruments (API)", None),
        ("Manage/Design ", "Download data dictionary", None),
        ("Manage/Design ", "Upload file to File Repository", None),
        ("Manage/Design ", 'Automatically schedule survey invitation (Record: "1")', None),
        ("Manage/Design ", "Send survey invitation to participants", None),
        ("Manage/Design Send alert ", "From: 'study@example.org', To: 'somebody'", None),
        ("User removed from user role nurse", "user = 'nurse'", None),
        ("Manage/Design ", "Edit report (Report: Enrolment)", None),
        ("Manage/Design ", "Add field comment (Record: 1, Field: weight)", None),
        ("Manage/Design ", "Open data query (Record: 1, Field: weight)", None),
        ("Manage/Design ", "Execute data quality rule(s)", None),
        ("Download uploaded document 1", "consent", None),
        ("Data export (API) ", "export_format: CSV", None),
        ("Lock/Unlock Record 1", "Action: Lock instrument", None),
    ],
)
def test_an_entry_says_what_happened(
    study: tuple[RedcapClient, RedcapProject], action: str, details: str, kind: str | None
) -> None:
    client, project = study
    entry = {
        "timestamp": "2026-11-21 23:59",
        "username": "somebody",
        "action": action,
        "details": details,
        "record": "1" if " 1" in action else "",
    }
    assert [item.kind for item in changes_in([entry], client, project)] == ([kind] if kind else [])


@pytest.mark.parametrize("said", ["zq-secret 23:59", "", "2026-13-01 10:00", "2026-1-1 1:00", None])
@pytest.mark.parametrize(
    "read",
    [
        lambda client, project: read_changes(client, project, None),
        lambda client, project: read_changes(client, project, ChangeFence("2026-11-20 10:00")),
        read_fence,
        lambda client, _: read_log_day(client, date(2026, 11, 21)),
    ],
)
def test_an_entry_without_a_time_is_no_answer_and_is_not_quoted(
    study: tuple[RedcapClient, RedcapProject],
    monkeypatch: pytest.MonkeyPatch,
    read: Any,
    said: str | None,
) -> None:
    client, project = study
    entry = {"username": "", "action": "Create record 1", "details": "", "record": "1"}
    rows = [{**entry, "timestamp": "2026-11-21 23:59"}, {**entry, "timestamp": said}]
    monkeypatch.setattr(client, "export_logging", lambda **_: rows)
    with pytest.raises(AnswerError, match="1 entries of the log without a time") as caught:
        read(client, project)
    assert caught.value.content == "log"
    assert "zq-secret" not in "".join(format_exception(caught.value))
