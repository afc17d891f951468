"""What REDCap refuses, in its own status codes and bodies."""

from typing import Any

import pytest
import requests

FIELDS = [{"field_name": "record_id", "form_name": "people"}]
NO_RIGHTS = "You do not have permissions to use the API"


@pytest.fixture(scope="module")
def token(redcap: Any, project_xml: Any) -> str:
    return str(
        redcap.add_project(project_xml(FIELDS, [{"record_id": "1", "people_complete": "0"}]))
    )


@pytest.mark.parametrize(
    ("parameters", "content_type", "body"),
    [
        ({"format": "csv"}, "text/csv; charset=utf-8", f"ERROR: {NO_RIGHTS}"),
        (
            {"format": "csv", "returnFormat": "json"},
            "application/json; charset=utf-8",
            f'{{"error":"{NO_RIGHTS}"}}',
        ),
        (
            {},
            "text/xml; charset=utf-8",
            f'<?xml version="1.0" encoding="UTF-8" ?><hash><error>{NO_RIGHTS}</error></hash>',
        ),
    ],
)
def test_a_wrong_token_is_403_in_the_format_asked(
    redcap: Any, parameters: dict[str, str], content_type: str, body: str
) -> None:
    data = {"token": "0" * 32, "content": "record", **parameters}
    answer = requests.post(redcap.url, data=data, timeout=30)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (
        403,
        content_type,
        body,
    )


@pytest.mark.parametrize("token", ["", "0" * 31, "F" * 33])
def test_a_missing_or_odd_token_is_403(redcap: Any, token: str) -> None:
    answer = requests.post(redcap.url, data={"token": token, "content": "version"}, timeout=30)
    assert answer.status_code == 403


def test_get_and_no_content_are_not_implemented(redcap: Any, token: str) -> None:
    body = (
        '<?xml version="1.0" encoding="UTF-8" ?>'
        "<hash><error>The requested method is not implemented.</error></hash>"
    )
    got = requests.get(redcap.url, timeout=30)
    posted = requests.post(redcap.url, data={"token": token}, timeout=30)
    assert (got.status_code, got.text) == (501, body)
    assert (posted.status_code, posted.text) == (501, body)


@pytest.mark.parametrize(
    ("content", "parameters", "message"),
    [
        ("nothing", {}, 'The value of the parameter "content" is not valid'),
        ("record", {"action": "fly"}, 'The value of the parameter "action" is not valid'),
        (
            "externalModule",
            {"prefix": "some_module"},
            "The REDCap emulator does not support content=externalModule with action=export yet.",
        ),
        ("arm", {}, "You cannot export arms for classic projects"),
        ("event", {}, "You cannot export events for classic projects"),
        ("formEventMapping", {}, "You cannot export form/event mappings for classic projects"),
        (
            "repeatingFormsEvents",
            {},
            (
                "You cannot export repeating instruments and events because the project does not "
                "contain any repeating instruments and events"
            ),
        ),
    ],
)
def test_refused_with_400(
    token: str, ask: Any, content: str, parameters: dict[str, str], message: str
) -> None:
    answer = ask(token, content, **parameters)
    assert (answer.status_code, answer.text) == (400, f"ERROR: {message}")


def test_json_errors_escape_slashes_as_php_does(token: str, ask: Any) -> None:
    answer = ask(token, "formEventMapping", returnFormat="json")
    assert answer.text == (
        '{"error":"You cannot export form\\/event mappings for classic projects"}'
    )


def test_an_address_without_its_slash_redirects_and_loses_the_body(redcap: Any) -> None:
    address = redcap.url.rstrip("/")
    answer = requests.post(address, data={"content": "version"}, timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (301, redcap.url)


def test_a_wrong_path_is_an_html_page(redcap: Any) -> None:
    answer = requests.post(redcap.url + "nothing", timeout=30)
    assert answer.status_code == 404
    assert answer.text.startswith('<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">')


def test_multipart_is_taken_for_every_call(redcap: Any, token: str) -> None:
    parts = {"token": token, "content": "record", "format": "csv"}
    files = [(name, (None, value)) for name, value in parts.items()]
    answer = requests.post(redcap.url, files=files, timeout=30)
    assert answer.text == "record_id,people_complete\n1,0\n"


def test_multipart_that_cannot_be_read_is_400(redcap: Any) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = requests.post(redcap.url, data=b"--y\r\n\r\n", headers=headers, timeout=30)
    assert answer.status_code == 400


def test_thousands_of_record_ids_fit_into_one_request(redcap: Any, token: str) -> None:
    ids = [("records[]", str(number)) for number in range(5000)]
    data = [("token", token), ("content", "record"), ("format", "csv"), *ids]
    answer = requests.post(redcap.url, data=data, timeout=30)
    assert answer.text == "record_id,people_complete\n1,0\n"


def test_classic_projects_ignore_events(token: str, ask: Any) -> None:
    assert ask(token, "record", events="x").text == "record_id,people_complete\n1,0\n"
