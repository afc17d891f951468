"""What the entries of REDCap's log mean."""

from dataclasses import replace

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.export import changes_in, read_design
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
