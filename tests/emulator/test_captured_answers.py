"""The emulator gives the answers that live servers gave.

Every captured answer in `../shared/projects` is in exactly one of two lists: reproduced as exactly
as its `fidelity` says, or different in cells that are named here one by one, which stand in
docs/emulator.md too.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from redcap_dagster.emulator import RedcapEmulator

SHARED = Path(__file__).parents[3] / "shared" / "projects"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(
        not SHARED.is_dir(), reason="the real projects are not beside this checkout"
    ),
]


class Difference(NamedTuple):
    """One cell in which the answer differs from the captured one."""

    where: str
    column: str
    captured: Any
    answered: Any


# Case → the scenario whose imports come before it.
AFTER_IMPORTS = {
    "simple-write/after-import-initial": "import-initial",
    "simple-write/after-import-one-field": "import-one-field",
    "simple-write/after-import-two-fields": "import-two-fields",
    "simple-write/after-import-blanks-overwrite": "import-blanks-overwrite",
}

# Case → the cells that differ.
DIFFERENT = {
    # The capture is of another project that was made from the same data dictionary.
    "etl-basic-demography/project-info": [
        Difference("15", "project_title", "Basic Demography", "REDCap ETL Basic Demography"),
        Difference("15", "purpose", 0, 1),
        Difference("15", "purpose_other", "", "REDCap ETL testing"),
    ],
    "etl-visits/project-info": [
        Difference("23", "project_title", "Visits", "Jim Regression OPT2ETL Input"),
    ],
    # The XML was written from a copy of the project that was made years later.
    "survey/flat-raw-browser-export": [
        Difference(
            record_id,
            "prescreening_survey_timestamp",
            f"2018-03-06 {captured}",
            f"2024-10-13 {xml}",
        )
        for record_id, captured, xml in (
            ("1", "15:52:43", "20:39:30"),
            ("2", "15:53:15", "20:40:51"),
        )
    ],
}

# Projects without an XML, which is written here from their data dictionary and data.
WITHOUT_XML: dict[str, dict[str, Any]] = {
    "tidier-classic-norepeat": {},
    "tidier-longitudinal-noarms": {
        "events": [
            (1, "Event 1", "event_1_arm_1", ["nonrepeated", "nonrepeated2", "repeated"]),
            (1, "Event 2", "event_2_arm_1", ["nonrepeated", "repeated"]),
        ],
        "arms": {1: "Arm testing name"},
        "repeats": [("event_1_arm_1", "repeated", ""), ("event_2_arm_1", "repeated", "")],
    },
}

# Columns that the maintainers of a capture took out of it, as its `volatile` says.
OMITTED_COLUMNS = {
    **{key: {"age", "bmi"} for key in AFTER_IMPORTS},
    "survey/record-flat-survey-fields": {"prescreening_survey_timestamp"},
}
VOLATILE_COLUMNS = {
    "project-info": {"project_id", "creation_time", "external_modules"},
    "event": {"event_id"},
    "dag": {"data_access_group_id"},
}
KEY_COLUMNS = (
    "record_id",
    "study_id",
    "participant_id",
    "redcap_event_name",
    "redcap_repeat_instrument",
    "redcap_repeat_instance",
)


class Case(NamedTuple):
    """One captured answer."""

    name: str
    about: dict[str, Any]
    body: bytes

    @property
    def project(self) -> str:
        """Name of the project's folder."""
        return self.name.split("/")[0]

    @property
    def short_name(self) -> str:
        """Name of the case within its project."""
        return self.name.split("/")[1]


def read_cases() -> list[Case]:
    cases = []
    for file in sorted(SHARED.glob("*/expected/*.params.json")):
        about = json.loads(file.read_text())
        body = (file.parent / about["body_file"]).read_bytes()
        cases.append(Case(f"{file.parts[-3]}/{about['case']}", about, body))
    return cases


CASES = read_cases()


@pytest.fixture(scope="module")
def redcap() -> Iterator[RedcapEmulator]:
    with RedcapEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def tokens(redcap: RedcapEmulator, project_xml: Any) -> dict[str, str]:
    """Token of each project, and of the user inside a group that one capture was made by."""
    found = {
        folder.name: redcap.add_project(folder / "project.xml")
        for folder in sorted(SHARED.iterdir())
        if (folder / "project.xml").is_file()
    }
    folder = SHARED / "etl-repeating-event-inst"
    found[folder.name] = redcap.add_project(
        folder / "project-metadata-only.xml", records=folder / "records.odm.xml"
    )
    for name, settings in WITHOUT_XML.items():
        fields = read_dictionary(SHARED / name / "dictionary.csv")
        rows = read_rows(SHARED / name / "data.csv")
        found[name] = redcap.add_project(project_xml(fields, rows, **settings))
    found |= {
        name: token_after_imports(redcap, scenario) for name, scenario in AFTER_IMPORTS.items()
    }
    found["dag, inside"] = redcap.add_user(found["dag"], "inside", data_access_group="dag-a")
    return found


def token_after_imports(redcap: RedcapEmulator, scenario: str) -> str:
    """Import into an empty copy of a project as a scenario says, and upload the files it had."""
    folder = SHARED / "simple-write"
    xml = (folder / "project.xml").read_text(encoding="utf-8")
    token = redcap.add_project(re.sub("<SubjectData .*</SubjectData>", "", xml, flags=re.DOTALL))
    steps = json.loads((folder / "scenarios" / f"{scenario}.json").read_text())["steps"]
    for step in steps:
        if step["op"] == "import":
            data = (folder / step["data_file"]).read_text(encoding="utf-8")
            sent = {"token": token, **step["params"], "data": data}
            answer = requests.post(redcap.url, data=sent, timeout=30)
            assert answer.text.split() == ["id", *step["expect"]["ids"]]
    for number in range(1, 6):
        sent = {"token": token, "content": "file", "action": "import", "field": "mugshot"}
        upload = {"file": (f"mugshot-{number}.jpg", b"a picture", "image/jpeg")}
        requests.post(
            redcap.url, data={**sent, "record": str(number)}, files=upload, timeout=30
        ).raise_for_status()
    return token


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def read_dictionary(file: Path) -> list[dict[str, str]]:
    """Give the columns of the downloaded dictionary the names that the API has for them."""
    metadata = json.loads((SHARED / "simple" / "expected" / "metadata.json").read_text())
    names = list(metadata[0])
    return [dict(zip(names, row.values(), strict=True)) for row in read_rows(file)]


def ask(case: Case, redcap: RedcapEmulator, tokens: dict[str, str]) -> requests.Response:
    inside = case.short_name.endswith(("user-in-dag", "user-in-dag-a"))
    token = tokens["dag, inside" if inside else case.project]
    token = tokens.get(case.name, token)
    return requests.post(redcap.url, data={"token": token, **case.about["params"]}, timeout=30)


def differences(case: Case, answer: requests.Response) -> list[Difference]:
    """Compare as `fidelity`, `volatile`, `calc_columns`, `compare` and `ordered` say."""
    if answer.status_code != case.about["status"]:
        return [Difference("status", "", case.about["status"], answer.status_code)]
    if case.about["body_file"].endswith(".txt"):
        return text_differences(case, answer)
    if case.about["fidelity"] == "byte-exact raw API CSV":
        same = answer.content == case.body
        return [] if same else [Difference("body", "", case.body, answer.content)]
    if case.about["body_file"].endswith(".json"):
        captured, answered = json.loads(case.body), answer.json()
    else:
        captured = list(csv.DictReader(io.StringIO(case.body.decode(), newline="")))
        answered = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    headers = header_differences(case, answer.text) if not isinstance(captured, dict) else []
    return headers + row_differences(case, captured, answered)


def text_differences(case: Case, answer: requests.Response) -> list[Difference]:
    captured, answered = case.body.decode(), answer.text
    if case.short_name == "generateNextRecordName-user-in-dag":
        # The number before the dash is the group's, which differs from server to server.
        captured, answered = captured.split("-")[1], answered.split("-")[1]
    return [] if captured == answered else [Difference("body", "", captured, answered)]


def header_differences(case: Case, text: str) -> list[Difference]:
    if case.about["body_file"].endswith(".json"):
        captured = list(json.loads(case.body)[0])
        answered = list(json.loads(text)[0])
    else:
        captured = next(csv.reader(io.StringIO(case.body.decode(), newline="")))
        answered = next(csv.reader(io.StringIO(text, newline="")))
    answered = [name for name in answered if name not in OMITTED_COLUMNS.get(case.name, ())]
    return [] if captured == answered else [Difference("header", "", captured, answered)]


def row_differences(case: Case, captured: Any, answered: Any) -> list[Difference]:
    if isinstance(captured, dict):
        # Later versions add keys to the project information.
        captured, answered = [captured], [{key: answered[key] for key in captured}]
    if case.about.get("ordered") is False:
        return multiset_differences(captured, answered)
    if len(captured) != len(answered):
        return [Difference("rows", "", len(captured), len(answered))]
    ignored = VOLATILE_COLUMNS.get(case.short_name, set()) | OMITTED_COLUMNS.get(case.name, set())
    return [
        Difference(where(row), column, row[column], other[column])
        for row, other in zip(captured, answered, strict=True)
        for column in row
        if column not in ignored and not same_cell(case, column, row[column], other[column])
    ]


def multiset_differences(captured: list[Any], answered: list[Any]) -> list[Difference]:
    def without_file_numbers(rows: list[Any]) -> Counter[tuple[str, ...]]:
        return Counter(
            tuple(
                {**row, "value": "#"}.values() if row["field_name"] == "mugshot" else row.values()
            )
            for row in rows
        )

    left, right = without_file_numbers(captured), without_file_numbers(answered)
    return [Difference("row", "", dict(left - right), dict(right - left))] if left != right else []


def where(row: dict[str, Any]) -> str:
    keys = [str(row[column]) for column in KEY_COLUMNS if row.get(column)]
    return " ".join(keys) or str(next(iter(row.values())))


def same_cell(case: Case, column: str, captured: Any, answered: Any) -> bool:
    if column in case.about.get("calc_columns", ()) and answered == "":
        return True
    if column == "select_choices_or_calculations":
        captured, answered = (
            [part.strip() for part in text.split("|")] for text in (captured, answered)
        )
    if case.short_name == "flat-raw-browser-export":
        # The web page folds line breaks; the API, which the emulator is, does not.
        answered = re.sub(r"\r?\n", "  ", answered)
    return bool(captured == answered)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_captured_answer_is_given_again(
    case: Case, redcap: RedcapEmulator, tokens: dict[str, str]
) -> None:
    """The answer equals the captured one but for the cells named in DIFFERENT."""
    assert differences(case, ask(case, redcap, tokens)) == DIFFERENT.get(case.name, [])


def test_every_captured_answer_is_accounted_for() -> None:
    """The figures of docs/emulator.md: no case is skipped without being named."""
    names = {case.name for case in CASES}
    assert names >= set(DIFFERENT)
    figures = {"reproduced": len(names - set(DIFFERENT)), "different": len(DIFFERENT)}
    assert figures == {"reproduced": 66, "different": 3}
