"""Users, roles and data access groups: import, delete, switch."""

from typing import Any

import pytest

from redcap_dagster.emulator import RedcapEmulator

FIELDS = [
    {"field_name": "record_id", "form_name": "intake", "field_label": "Record ID"},
    {"field_name": "age", "form_name": "intake"},
    {"field_name": "weight", "form_name": "visit"},
]
ROWS = [
    {"record_id": "1", "age": "40", "redcap_data_access_group": "north"},
    {"record_id": "2", "age": "50"},
]
ROLE = (
    '<redcap:UserRoles unique_role_name="U-1" role_name="Reader" design="0" data_logging="1"'
    ' api_export="1" data_entry="[intake,2][visit,0]"'
    ' data_export_instruments="[intake,1][visit,0]"/>'
)


@pytest.fixture
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    return redcap.add_project(project_xml(FIELDS, ROWS, groups=["North", "South"], extra=ROLE))


def rows_of(ask: Any, token: str, content: str, key: str) -> dict[str, Any]:
    return {row[key]: row for row in ask(token, content, format="json").json()}


def test_a_new_user_has_the_rights_that_are_given_and_no_other(
    token: str, ask: Any, change: Any
) -> None:
    user = {"username": "ann", "design": 1, "forms": {"intake": 1}, "expiration": "2030-01-31"}
    assert change(token, "user", [user]) == (200, "1")
    ann = rows_of(ask, token, "user", "username")["ann"]
    given = {name: value for name, value in ann.items() if value == 1}
    assert (given, ann["forms"], ann["forms_export"], ann["expiration"]) == (
        {"design": 1},
        {"intake": 1, "visit": 0},
        {"intake": 0, "visit": 0},
        "2030-01-31",
    )


def test_what_a_row_leaves_out_stays_as_it_was(token: str, ask: Any, change: Any) -> None:
    change(token, "user", [{"username": "ann", "design": 1, "data_access_group": "north"}])
    body = 'username,forms,logging\nann,"intake:1,visit:2",1\n'
    answer = ask(token, "user", data=body)
    assert (answer.status_code, answer.text) == (200, "1")
    ann = rows_of(ask, token, "user", "username")["ann"]
    assert (ann["design"], ann["logging"], ann["forms"], ann["data_access_group"]) == (
        1,
        1,
        {"intake": 1, "visit": 2},
        "north",
    )


def test_users_as_they_are_exported_can_be_imported(token: str, ask: Any) -> None:
    for body_format in ("json", "csv", "xml"):
        before = ask(token, "user", format=body_format).text
        answer = ask(token, "user", format=body_format, data=before)
        assert (answer.status_code, answer.text) == (200, "1")
        assert ask(token, "user", format=body_format).text == before


def test_a_deleted_user_has_a_token_for_nothing(
    token: str, redcap: RedcapEmulator, ask: Any
) -> None:
    gone = redcap.add_user(token, "gone")
    assert ask(gone, "version").status_code == 200
    assert ask(token, "user", action="delete", **{"users[0]": "gone"}).text == "1"
    assert ask(gone, "version").status_code == 403
    again = ask(token, "user", action="delete", **{"users[0]": "gone"})
    assert (again.status_code, again.text) == (
        400,
        "ERROR: The user 'gone' does not exist in this project",
    )


def test_a_role_is_created_changed_and_deleted(token: str, ask: Any, change: Any) -> None:
    assert change(token, "userRole", [{"role_label": "Nurse", "reports": "1"}]) == (200, "1")
    role = rows_of(ask, token, "userRole", "role_label")["Nurse"]
    name = role["unique_role_name"]
    assert (name[:2], len(name), role["reports"], role["design"]) == ("U-", 12, "1", "0")
    changed = {"unique_role_name": name, "role_label": "Head nurse", "design": "1"}
    assert change(token, "userRole", [changed]) == (200, "1")
    role = rows_of(ask, token, "userRole", "unique_role_name")[name]
    assert (role["role_label"], role["reports"], role["design"]) == ("Head nurse", "1", "1")
    answer = ask(token, "userRole", action="delete", **{"roles[0]": name})
    assert (answer.status_code, answer.text) == (200, "1")
    assert list(rows_of(ask, token, "userRole", "unique_role_name")) == ["U-1"]


def test_roles_as_they_are_exported_can_be_imported(token: str, ask: Any) -> None:
    for body_format in ("json", "csv", "xml"):
        before = ask(token, "userRole", format=body_format).text
        answer = ask(token, "userRole", format=body_format, data=before)
        assert (answer.status_code, answer.text) == (200, "1")
        assert ask(token, "userRole", format=body_format).text == before


def test_a_user_in_a_role_has_the_rights_of_the_role(
    token: str, redcap: RedcapEmulator, ask: Any, change: Any
) -> None:
    reader = redcap.add_user(token, "reader")
    mapping = [{"username": "reader", "unique_role_name": "U-1", "data_access_group": "north"}]
    assert change(token, "userRoleMapping", mapping) == (200, "1")
    assert ask(token, "userRoleMapping").text == (
        "username,unique_role_name,data_access_group\napi_user,,\nreader,U-1,north\n"
    )
    assert ask(reader, "record").text == "record_id,age,intake_complete\n1,40,0\n"
    assert ask(reader, "metadata", data="x").status_code == 403
    assert change(token, "user", [{"username": "reader", "design": 1}]) == (
        400,
        (
            "ERROR: Users in roles cannot have their privileges modified via the 'Import User' "
            "API method."
        ),
    )
    ask(token, "userRole", action="delete", **{"roles[0]": "U-1"})
    assert rows_of(ask, token, "user", "username")["reader"]["design"] == 1


def test_a_group_is_created_renamed_and_deleted(token: str, ask: Any, change: Any) -> None:
    rows = [
        {"data_access_group_name": "Far East!", "unique_group_name": ""},
        {"data_access_group_name": "Far north", "unique_group_name": "north"},
    ]
    assert change(token, "dag", rows, action="import") == (200, "2")
    names = [row["unique_group_name"] for row in ask(token, "dag", format="json").json()]
    assert names == ["far_north", "south", "far_east"]
    asked = {"fields": "record_id", "exportDataAccessGroups": "true"}
    header = "record_id,redcap_data_access_group\n"
    assert ask(token, "record", **asked).text == f"{header}1,far_north\n2,\n"
    answer = ask(token, "dag", action="delete", **{"dags[0]": "far_north", "dags[1]": "south"})
    assert (answer.status_code, answer.text) == (200, "2")
    assert ask(token, "record", **asked).text == f"{header}1,\n2,\n"


def test_a_user_is_put_into_a_group_and_switches(
    token: str, redcap: RedcapEmulator, ask: Any, change: Any
) -> None:
    site = redcap.add_user(token, "site")
    mapping = [{"username": "site", "redcap_data_access_group": "north"}]
    assert change(token, "userDagMapping", mapping, action="import") == (200, "1")
    assert ask(site, "record", fields="record_id").text == "record_id\n1\n"
    assert ask(site, "dag", action="switch", dag="south").text == "1"
    assert ask(site, "record", fields="record_id").text == "\n"
    assert ask(site, "dag", action="switch", dag="").text == "1"
    assert ask(site, "record", fields="record_id").text == "record_id\n1\n2\n"


@pytest.mark.parametrize(
    ("content", "row", "message"),
    [
        ("user", {"design": 1}, "The following required values are missing: 'username'"),
        (
            "user",
            {"username": "ann", "forms": {"x": 1}},
            (
                'The form named "x" is incorrect for the user "ann" '
                "The form does not exist in this project."
            ),
        ),
        (
            "user",
            {"username": "ann", "data_access_group": "x"},
            "The data access group 'x' does not exist",
        ),
        (
            "user",
            {"username": "ann", "design": "yes"},
            "The value of 'design' is not a valid right",
        ),
        (
            "userRole",
            {"unique_role_name": "U-1", "role_label": "Reader", "forms": "demographics:1"},
            (
                'The form named "demographics" is incorrect for the user role "U-1" '
                "The form does not exist in this project."
            ),
        ),
        (
            "userRole",
            {"unique_role_name": "U-2", "role_label": "x"},
            "Invalid Unique Role Names: U-2",
        ),
        (
            "userRoleMapping",
            {"username": "api_user", "unique_role_name": "U-2"},
            "Invalid Unique Role Names: U-2",
        ),
        (
            "userRoleMapping",
            {"username": "nobody"},
            "The user 'nobody' does not exist in this project",
        ),
        (
            "userDagMapping",
            {"username": "nobody", "redcap_data_access_group": ""},
            "The user 'nobody' does not exist in this project",
        ),
        (
            "dag",
            {"data_access_group_name": "x", "unique_group_name": "y"},
            "The data access group 'y' does not exist",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    token: str, ask: Any, change: Any, content: str, row: dict[str, Any], message: str
) -> None:
    before = ask(token, content).text
    assert change(token, content, [row], action="import") == (400, f"ERROR: {message}")
    assert ask(token, content).text == before


def test_the_log_tells_who_was_changed(token: str, ask: Any, change: Any) -> None:
    change(token, "user", [{"username": "ann"}])
    change(token, "user", [{"username": "ann", "design": 1}])
    ask(token, "user", action="delete", users="ann")
    found = [
        (row["action"].strip(), row["details"])
        for row in ask(token, "log", format="json", logtype="user").json()
    ]
    assert found == [
        ("Delete user ann", "user = 'ann'"),
        ("Edit user ann", "user = 'ann'"),
        ("Add user ann", "user = 'ann'"),
    ]
