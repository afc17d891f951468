"""The pages at `/`: a person sees projects and changes records; no other site can."""

import re
from html import unescape
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import RedcapEmulator, synthetic_project

FIELDS = [
    {"field_name": "record_id", "form_name": "people"},
    {"field_name": "name", "form_name": "people", "field_label": "Name & <b>title</b>"},
    {"field_name": "event", "form_name": "people", "field_type": "notes"},
    {
        "field_name": "age",
        "form_name": "people",
        "text_validation_type_or_show_slider_number": "integer",
    },
    {
        "field_name": "double",
        "form_name": "people",
        "field_type": "calc",
        "select_choices_or_calculations": "[age] * 2",
    },
    {
        "field_name": "kind",
        "form_name": "people",
        "field_type": "radio",
        "select_choices_or_calculations": "1, One | 2, Two",
    },
    {
        "field_name": "box",
        "form_name": "people",
        "field_type": "checkbox",
        "select_choices_or_calculations": "1, One | 2, Two",
    },
    {"field_name": "visit_note", "form_name": "visit"},
]
ROWS = [
    {"record_id": "1", "name": "<script>", "event": "one\ntwo", "box___1": "1"},
    {"record_id": "2", "name": "b"},
    {
        "record_id": "1",
        "redcap_repeat_instrument": "visit",
        "redcap_repeat_instance": "1",
        "visit_note": "first",
    },
]
REPEATS = [("", "visit", "")]


class Browser:
    """Reads pages and sends their forms, as a person would."""

    def __init__(self, redcap: RedcapEmulator, token: str) -> None:
        self.root = redcap.url.removesuffix("/api/")
        self.api_url = redcap.url
        self.token = token
        (self.project,) = [
            address
            for address in re.findall(r'href="(/projects/\d+)"', self.get("/").text)
            if f"/projects/{redcap.store.user_of(token).project_id}" == address  # type: ignore[union-attr]
        ]

    def get(self, path: str, **headers: str) -> requests.Response:
        """Load a page."""
        return requests.get(self.root + path, headers=headers, timeout=30)

    def form(self, path: str) -> dict[str, str]:
        """Values of a page's hidden and text inputs, areas, ticked boxes and chosen options."""
        text = self.get(path).text
        sent = {}
        for tag in re.findall(r"<input [^>]*>", text):
            values = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            if "name" in values and (values["type"] != "checkbox" or " checked" in tag):
                sent[values["name"]] = unescape(values["value"])
        for name, area in re.findall(
            r'<textarea [^>]*name="([^"]*)"[^>]*>\n(.*?)</text', text, re.DOTALL
        ):
            sent[name] = unescape(area).replace("\n", "\r\n")
        for name, options in re.findall(
            r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</sel', text, re.DOTALL
        ):
            chosen = re.search(r'<option value="([^"]*)" selected', options)
            sent[name] = unescape(chosen[1]) if chosen else ""
        return sent

    def post(self, path: str, data: dict[str, str], **headers: str) -> requests.Response:
        """Send a form."""
        return requests.post(
            self.root + path, data=data, headers=headers, timeout=30, allow_redirects=False
        )

    def ask(self, content: str, **parameters: str) -> str:
        """Ask the API, as csv."""
        data = {"token": self.token, "content": content, "format": "csv", **parameters}
        return requests.post(self.api_url, data=data, timeout=30).content.decode()

    def log(self) -> list[str]:
        """Lines that changes by hand left in the log, without their times."""
        lines = self.ask("log", logtype="record").splitlines()[1:]
        return [line.split(",", 1)[1] for line in lines if ",browser_user," in line]


@pytest.fixture
def browser(redcap: RedcapEmulator, project_xml: Any) -> Browser:
    return Browser(redcap, redcap.add_project(project_xml(FIELDS, ROWS, repeats=REPEATS)))


def row_of(record: str, form: str = "people") -> str:
    return f"/row?record-id={record}&form-name={form}"


def test_the_first_page_lists_projects_and_masks_tokens(browser: Browser) -> None:
    text = browser.get("/").text
    assert f"api_user: …{browser.token[-4:]}" in text
    assert browser.token not in text


def test_the_record_table_shows_one_instrument_and_escapes_values(browser: Browser) -> None:
    people = browser.get(browser.project).text
    assert "&lt;script&gt;" in people
    assert "<script>" not in people
    visit = browser.get(f"{browser.project}?form-name=visit").text
    assert ">first<" in visit
    assert ">b<" not in visit


def test_a_value_is_changed_and_the_log_tells(browser: Browser) -> None:
    form = browser.form(browser.project + row_of("1"))
    answer = browser.post(
        browser.project + "/row", {**form, "age": "21", "kind": "2", "box___2": "1"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{browser.project}/record?record-id=1"
    assert browser.ask("record", records="1", fields="record_id,age,double,kind,box") == (
        "record_id,redcap_repeat_instrument,redcap_repeat_instance,age,double,kind,box___1,box___2\n"
        "1,,,21,42,2,1,1\n"
    )
    assert browser.log() == [
        'browser_user,"Update record (Auto calculation) 1","double = \'42\'",1',
        "browser_user,\"Update record 1\",\"age = '21', kind = '2', box(2) = checked\",1",
    ]


def test_saving_without_a_change_changes_nothing(browser: Browser) -> None:
    before = browser.ask("record")
    form = browser.form(browser.project + row_of("1"))
    assert form["event"] == "one\r\ntwo"
    assert browser.post(browser.project + "/row", form).status_code == 303
    assert browser.ask("record") == before
    assert browser.log() == []


def test_a_box_that_is_unticked_and_a_value_that_is_erased_go(browser: Browser) -> None:
    form = browser.form(browser.project + row_of("1"))
    del form["box___1"]
    browser.post(browser.project + "/row", {**form, "name": ""})
    assert browser.log() == ['browser_user,"Update record 1","name = \'\', box(1) = unchecked",1']


def test_a_value_that_does_not_fit_is_told_and_kept_in_the_form(browser: Browser) -> None:
    form = browser.form(browser.project + row_of("1"))
    answer = browser.post(browser.project + "/row", {**form, "age": "old"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="old"' in answer.text
    assert "This value you provided is not an integer. Please try again." in answer.text
    assert browser.log() == []


def test_a_record_is_added_and_deleted(browser: Browser) -> None:
    form = browser.form(browser.project + "/new")
    assert form["record-id"] == "3"
    assert browser.post(browser.project + "/new", form).status_code == 303
    assert browser.post(browser.project + "/new", form).status_code == 400
    ids = browser.ask("record", fields="record_id")
    assert [line.split(",")[0] for line in ids.splitlines()] == ["record_id", "1", "2", "3"]
    form = browser.form(browser.project + "/record?record-id=3")
    assert browser.post(browser.project + "/delete", form).status_code == 303
    assert browser.get(browser.project + "/record?record-id=3").status_code == 404
    assert browser.log() == [
        'browser_user,"Delete record 3","record_id = \'3\'",3',
        'browser_user,"Create record 3","record_id = \'3\'",3',
    ]


def test_an_instance_is_added(browser: Browser) -> None:
    path = f"{browser.project}/row?record-id=1&repeats-as=visit&instance-number=new&form-name=visit"
    form = browser.form(path)
    browser.post(browser.project + "/row", {**form, "visit_note": "second"})
    rows = browser.ask("record", records="1", forms="visit", fields="record_id").splitlines()
    assert rows[-1] == "1,visit,2,second,0"


def test_a_longitudinal_project_is_walked_page_by_page(redcap: RedcapEmulator) -> None:
    made = synthetic_project(120, shape="everything")
    browser = Browser(redcap, redcap.add_project(made))
    first = browser.get(browser.project).text
    (later,) = re.findall(r'href="([^"]*page-number=2)"', first)
    assert ">S-51<" in browser.get(unescape(later)).text
    record = browser.get(f"{browser.project}/record?record-id=S-2").text
    links = [unescape(each) for each in re.findall(r'href="(/projects/\d+/row[^"]*)"', record)]
    assert len(links) > 10
    assert {browser.get(each).status_code for each in links} == {200}
    assert "Contact (Arm 1: Treatment), instance 3" in record


@pytest.mark.parametrize(
    "path",
    [
        "/projects/999999999",
        "/projects/99999999999999999999999",
        "{project}?form-name=nothing",
        "{project}?page-number=x",
        "{project}?page-number=-1",
        "{project}/record?record-id=nobody",
        "{project}/row?record-id=1&form-name=nothing",
        "{project}/row?record-id=1&event-name=x&form-name=people",
    ],
)
def test_what_is_not_there_is_404(browser: Browser, path: str) -> None:
    assert browser.get(path.format(project=browser.project)).status_code == 404


@pytest.mark.parametrize(
    "foreign", [{"form-token": ""}, {"form-token": "x"}, {"form-token": "é"}, {}]
)
def test_a_form_without_the_secret_changes_nothing(
    browser: Browser, foreign: dict[str, str]
) -> None:
    data = {"record-id": "1", **foreign}
    assert browser.post(browser.project + "/delete", data).status_code == 403
    assert browser.get(browser.project + "/record?record-id=1").status_code == 200


def test_a_form_of_another_site_changes_nothing(browser: Browser) -> None:
    form = browser.form(browser.project + "/record?record-id=1")
    answer = browser.post(browser.project + "/delete", form, Origin="https://evil.example")
    assert answer.status_code == 403
    answer = browser.post(browser.project + "/delete", form, Origin=browser.root)
    assert answer.status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example"])
def test_a_foreign_name_for_this_address_sees_nothing(browser: Browser, host: str) -> None:
    assert browser.get("/", Host=host).status_code == 421
    assert browser.post(browser.project + "/delete", {}, Host=host).status_code == 421
    assert browser.get("/", Host="localhost").status_code == 200


def test_a_malformed_form_is_refused(browser: Browser) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = requests.post(
        browser.root + browser.project + "/delete", data=b"\x11\x12", headers=headers, timeout=30
    )
    assert answer.status_code == 400


def test_pages_run_no_scripts_and_stand_in_no_frame(browser: Browser) -> None:
    headers = browser.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_every_control_has_a_label(browser: Browser) -> None:
    text = browser.get(browser.project + row_of("1")).text
    for tag in re.findall(r"<(?:input|select|textarea) [^>]*>", text):
        if 'type="hidden"' in tag or 'type="checkbox"' in tag:
            continue
        (name,) = re.findall(r' id="([^"]*)"', tag)
        assert f'for="{name}"' in text
    assert "Name &amp; &lt;b&gt;title&lt;/b&gt;" in text


def test_the_log_is_a_page(browser: Browser) -> None:
    browser.post(browser.project + "/new", browser.form(browser.project + "/new"))
    assert "Create record" in browser.get(browser.project + "/log").text
