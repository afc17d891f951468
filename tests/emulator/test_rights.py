"""A token may what its user may: methods, instruments, fields, groups."""

from collections.abc import Mapping
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import EmulatorError, RedcapEmulator, ServerOptions

FIELDS = [
    {"field_name": "id", "form_name": "intake", "identifier": "y"},
    {"field_name": "name", "form_name": "intake", "identifier": "y"},
    {"field_name": "nick", "form_name": "intake"},
    {
        "field_name": "mail",
        "form_name": "intake",
        "text_validation_type_or_show_slider_number": "email",
    },
    {
        "field_name": "born",
        "form_name": "intake",
        "text_validation_type_or_show_slider_number": "date_ymd",
    },
    {"field_name": "notes", "form_name": "intake", "field_type": "notes"},
    {"field_name": "file", "form_name": "visit", "field_type": "file"},
    {"field_name": "dose", "form_name": "visit"},
]
ROWS = [
    {
        "id": "1",
        "name": "Ann",
        "nick": "A",
        "mail": "a@b.org",
        "born": "1980-01-02",
        "notes": "n",
        "dose": "5",
        "redcap_survey_identifier": "ann",
    }
]
NO_API = (403, "ERROR: You do not have permissions to use the API")
GROUPS_REFUSED = (
    403,
    (
        "ERROR: Insufficient user privileges: You must have 'API Export' privileges and "
        "'Data Access Groups' privileges in the project."
    ),
)


@pytest.fixture(scope="module")
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    return redcap.add_project(project_xml(FIELDS, ROWS, surveys=["visit"], groups=["North"]))


@pytest.fixture
def limited(redcap: RedcapEmulator, token: str) -> Any:
    """A function that gives a token of a user with the rights named."""

    def make(forms_export: Mapping[str, int] | None = None, **rights: int) -> str:
        name = f"user_{len(redcap.store.users())}"
        return redcap.add_user(token, name, rights=rights, forms_export=forms_export)

    return make


def header(ask: Any, token: str, **asked: str) -> list[str]:
    return str(ask(token, "record", **asked).text).split("\n")[0].split(",")


@pytest.mark.parametrize(
    ("rights", "asked", "answer"),
    [
        ({"api_export": 0, "api_import": 0}, {"content": "metadata"}, NO_API),
        ({"api_export": 0, "api_import": 0}, {"content": "version"}, NO_API),
        (
            {"api_export": 0},
            {"content": "record"},
            (403, "ERROR: You do not have API Export privileges"),
        ),
        (
            {"api_import": 0},
            {"content": "record", "data": "id\n1"},
            (403, "ERROR: You do not have API Import/Update privileges"),
        ),
        (
            {"api_import": 0},
            {"content": "metadata", "data": "x"},
            (403, "ERROR: You do not have API Import/Update privileges"),
        ),
        ({"data_access_groups": 0}, {"content": "dag"}, GROUPS_REFUSED),
        ({"data_access_groups": 0}, {"content": "userDagMapping"}, GROUPS_REFUSED),
        *(
            (
                {right: 0},
                {"content": content},
                (
                    403,
                    (
                        "ERROR: Insufficient user privileges: You must have 'API Export' "
                        f"privileges and '{title}' privileges in the project."
                    ),
                ),
            )
            for right, content, title in (
                ("logging", "log", "Logging"),
                ("user_rights", "user", "User Rights"),
                ("user_rights", "userRole", "User Rights"),
                ("user_rights", "userRoleMapping", "User Rights"),
                ("manage_survey_participants", "surveyLink", "Survey Distribution Tools"),
                ("manage_survey_participants", "participantList", "Survey Distribution Tools"),
            )
        ),
        (
            {"design": 0},
            {"content": "metadata", "data": "x"},
            (
                403,
                (
                    "ERROR: Insufficient user privileges: You must have 'API Import/Update' "
                    "privileges and 'Project Design and Setup' privileges in the project."
                ),
            ),
        ),
    ],
)
def test_a_right_that_is_missing_is_named(
    ask: Any,
    limited: Any,
    rights: dict[str, int],
    asked: dict[str, str],
    answer: tuple[int, str],
) -> None:
    got = ask(limited(**rights), **asked)
    assert (got.status_code, got.text) == answer


def test_a_user_who_may_only_import_may_import_and_no_more(ask: Any, limited: Any) -> None:
    writer = limited(api_export=0)
    assert ask(writer, "record", data="id,dose\n1,5\n").status_code == 200
    assert ask(writer, "record").status_code == 403


def test_an_instrument_without_export_right_has_no_columns(
    ask: Any, token: str, limited: Any
) -> None:
    every = ["id", "name", "nick", "mail", "born", "notes", "intake_complete"]
    assert header(ask, token) == [*every, "file", "dose", "visit_complete"]
    assert header(ask, limited({"visit": 0})) == every
    hidden = ["id", "file", "dose", "visit_complete"]
    assert header(ask, limited({"intake": 0})) == hidden
    stamped = header(ask, limited({"visit": 0}), exportSurveyFields="true")
    assert stamped == every
    assert ask(limited({"visit": 0}), "record", **{"fields[0]": "dose"}).text == "\n"


def test_a_user_without_any_export_right_is_refused(ask: Any, limited: Any) -> None:
    refused = ask(limited({"visit": 0, "intake": 0}), "record")
    assert (refused.status_code, refused.text) == (
        403,
        "ERROR: You do not have Data Export privileges",
    )


def test_identifiers_are_removed_and_an_identifying_record_id_is_hashed(
    ask: Any, limited: Any
) -> None:
    reader = limited({"intake": 3})
    got = ask(reader, "record", format="json", exportSurveyFields="true").json()
    (row,) = got
    assert list(row) == [
        "id",
        "nick",
        "mail",
        "born",
        "notes",
        "intake_complete",
        "visit_timestamp",
        "file",
        "dose",
        "visit_complete",
    ]
    assert len(row["id"]) == 32
    assert ask(reader, "record", format="json", type="eav").json()[0]["record"] == row["id"]
    assert (row["nick"], row["notes"], row["dose"]) == ("A", "n", "5")


def test_deidentified_data_lack_free_text_and_keep_dates(ask: Any, limited: Any) -> None:
    reader = limited({"intake": 2, "visit": 2})
    columns = ["id", "mail", "born", "intake_complete", "file", "visit_complete"]
    assert header(ask, reader) == columns


def test_options_decide_what_nobody_knows(project_xml: Any) -> None:
    options = ServerOptions(deidentified_drops_dates=True, hashes_record_ids="never")
    with RedcapEmulator(options=options) as redcap:
        token = redcap.add_project(project_xml(FIELDS, ROWS))
        reader = redcap.add_user(token, "reader", forms_export={"intake": 2})
        got = export(redcap.url, reader)
    assert got == [
        {
            "id": "1",
            "mail": "a@b.org",
            "intake_complete": "0",
            "file": "",
            "dose": "5",
            "visit_complete": "0",
        }
    ]


def export(url: str, token: str) -> Any:
    data = {"token": token, "content": "record", "format": "json"}
    return requests.post(url, data=data, timeout=30).json()


def test_rights_that_do_not_exist_are_refused(redcap: RedcapEmulator, token: str) -> None:
    with pytest.raises(EmulatorError, match="called flying, nowhere"):
        redcap.add_user(token, "x", rights={"flying": 1}, forms_export={"nowhere": 0})
