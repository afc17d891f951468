"""Records deleted, renamed and randomized, and what the log says of it all."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import Allocation, EmulatorError, RedcapEmulator

FIELDS = [
    {"field_name": "id", "form_name": "intake"},
    {"field_name": "name", "form_name": "intake"},
    {
        "field_name": "race",
        "form_name": "intake",
        "field_type": "checkbox",
        "select_choices_or_calculations": "1, A | 2, B",
    },
    {"field_name": "arm_given", "form_name": "intake"},
    {"field_name": "dose", "form_name": "visit"},
    {"field_name": "pain", "form_name": "diary"},
]
EVENTS = [
    (1, "Start", "start_arm_1", ["intake", "diary"]),
    (1, "Visit", "visit_arm_1", ["visit"]),
    (2, "Start", "start_arm_2", ["intake"]),
]
REPEATS = [("start_arm_1", "diary", ""), ("visit_arm_1", "", "")]
SYSTEM = ("id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
ROWS = [
    {**dict(zip(SYSTEM, place, strict=True)), **values}
    for place, values in (
        (("7", "start_arm_1", "", ""), {"name": "Ann", "race___1": "1", "intake_complete": "2"}),
        (("7", "start_arm_1", "diary", "1"), {"pain": "mild"}),
        (("7", "start_arm_1", "diary", "2"), {"pain": "none"}),
        (("7", "visit_arm_1", "", "1"), {"dose": "20"}),
        (("7", "visit_arm_1", "", "2"), {"dose": "40"}),
        (("7", "start_arm_2", "", ""), {"name": "Ann"}),
        (("8", "start_arm_1", "", ""), {"name": "Bo", "redcap_data_access_group": "north"}),
        (("9", "start_arm_2", "", ""), {"name": "Cy", "redcap_data_access_group": "south"}),
    )
]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 5, 6, 7)  # noqa: DTZ001 - server time has no zone

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def redcap(clock: Clock) -> Iterator[RedcapEmulator]:
    with RedcapEmulator(clock=clock) as emulator:
        yield emulator


@pytest.fixture
def token(redcap: RedcapEmulator, project_xml: Any) -> str:
    xml = project_xml(
        FIELDS,
        ROWS,
        events=EVENTS,
        repeats=REPEATS,
        arms={1: "Drug", 2: "Other"},
        groups=["North", "South"],
    )
    return redcap.add_project(xml)


@pytest.fixture
def delete(ask: Any) -> Any:
    """A function that deletes and returns status and text."""

    def post(token: str, *records: str, **place: str) -> tuple[int, str]:
        asked = {f"records[{number}]": record for number, record in enumerate(records)}
        answer = ask(token, "record", action="delete", **asked, **place)
        return answer.status_code, answer.text

    return post


def places(ask: Any, token: str) -> list[str]:
    rows = ask(token, "record", **{"fields[0]": "id", "fields[1]": "pain"}).text.splitlines()[1:]
    return [row.rpartition(",")[0] for row in rows]


def log(ask: Any, token: str, **asked: str) -> list[tuple[str, str, str]]:
    rows = ask(token, "log", format="json", **asked).json()
    return [(row["action"], row["details"], row["record"]) for row in rows]


ALL = [
    "7,start_arm_1,,",
    "7,visit_arm_1,,1",
    "7,visit_arm_1,,2",
    "7,start_arm_2,,",
    "7,start_arm_1,diary,1",
    "7,start_arm_1,diary,2",
    "8,start_arm_1,,",
    "9,start_arm_2,,",
]


@pytest.mark.parametrize(
    ("asked", "gone"),
    [
        ({}, [place for place in ALL if place.startswith("7")]),
        ({"arm": "2"}, ["7,start_arm_2,,"]),
        ({"arm": "1"}, [place for place in ALL if place.startswith("7") and "arm_1" in place]),
        ({"event": "visit_arm_1"}, ["7,visit_arm_1,,1", "7,visit_arm_1,,2"]),
        ({"event": "visit_arm_1", "repeat_instance": "2"}, ["7,visit_arm_1,,2"]),
        (
            {"event": "start_arm_1", "instrument": "diary"},
            ["7,start_arm_1,diary,1", "7,start_arm_1,diary,2"],
        ),
        (
            {"event": "start_arm_1", "instrument": "diary", "repeat_instance": "1"},
            ["7,start_arm_1,diary,1"],
        ),
    ],
)
def test_what_is_named_is_deleted_and_nothing_else(
    token: str, ask: Any, delete: Any, asked: dict[str, str], gone: list[str]
) -> None:
    before = places(ask, token)
    assert sorted(before) == sorted(ALL)
    assert delete(token, "7", **asked) == (200, "1")
    assert places(ask, token) == [place for place in before if place not in gone]


def test_an_instrument_loses_its_values_and_the_record_stays(
    token: str, ask: Any, delete: Any
) -> None:
    assert delete(token, "7", "8", event="start_arm_1", instrument="intake") == (200, "2")
    rows = ask(token, "record", **{"events[0]": "start_arm_1", "forms[0]": "intake"}).text
    assert rows.splitlines()[1:] == ["7,start_arm_1,,,,0,0,,0", "8,start_arm_1,,,,0,0,,0"]


def test_nothing_is_deleted_when_one_record_is_not_there(token: str, ask: Any, delete: Any) -> None:
    assert delete(token, "8", "88", "99") == (
        400,
        (
            "ERROR: One or more of the records provided cannot be deleted because they do not "
            "exist in the project. The following records do not exist: 88, 99"
        ),
    )
    assert len(places(ask, token)) == len(ALL)


def test_a_record_of_another_group_or_arm_is_not_there(
    redcap: RedcapEmulator, token: str, delete: Any
) -> None:
    inside = redcap.add_user(token, "inside", data_access_group="north")
    assert delete(inside, "9")[0] == 400
    assert delete(token, "9", arm="1")[0] == 400
    assert delete(inside, "8") == (200, "1")


@pytest.mark.parametrize(
    ("records", "asked", "message"),
    [
        ((), {}, 'The parameter "records" is missing'),
        (("7",), {"arm": "3"}, 'The value of the parameter "arm" is not valid'),
        (("7",), {"event": "x"}, 'The value of the parameter "event" is not valid'),
        (("7",), {"instrument": "x"}, 'The value of the parameter "instrument" is not valid'),
        (
            ("7",),
            {"instrument": "diary"},
            'The parameter "event" is needed with "instrument" in a longitudinal project',
        ),
        (
            ("7",),
            {"event": "visit_arm_1", "repeat_instance": "new"},
            'The value of the parameter "repeat_instance" is not valid',
        ),
        (
            ("7",),
            {"repeat_instance": "1"},
            'The parameter "repeat_instance" needs the instrument or the event that repeats',
        ),
    ],
)
def test_a_delete_that_is_not_clear_is_refused(
    token: str, delete: Any, records: tuple[str, ...], asked: dict[str, str], message: str
) -> None:
    assert delete(token, *records, **asked) == (400, f"ERROR: {message}")


def test_a_deleted_record_can_be_made_again_and_its_log_stays(
    token: str, ask: Any, delete: Any
) -> None:
    delete(token, "8")
    ask(token, "record", data="id,redcap_event_name,name\n8,start_arm_1,Di\n")
    assert log(ask, token, record="8") == [
        ("Create record (API) 8 (Start (Arm 1: Drug))", "id = '8', name = 'Di'", "8"),
        ("Delete record 8", "id = '8'", "8"),
    ]


def test_the_files_of_a_deleted_record_go_with_it(
    redcap: RedcapEmulator, project_xml: Any, ask: Any, delete: Any
) -> None:
    fields = [*FIELDS[:2], {"field_name": "scan", "form_name": "intake", "field_type": "file"}]
    rows = [{"id": record, "scan": "scan.png"} for record in ("1", "2", "3")]
    token = redcap.add_project(project_xml(fields, rows))
    user = redcap.store.user_of(token)
    assert user is not None
    assert delete(token, "1") == (200, "1")
    assert delete(token, "2", instrument="intake") == (200, "1")
    with closing(redcap.store.connect()) as connection:
        kept = connection.execute(
            "SELECT count(*) FROM document WHERE project_id = ?", (user.project_id,)
        ).fetchone()
    assert kept == (1,)
    assert ask(token, "record", **{"fields[0]": "scan"}).text == "scan\nscan.png\n"


def test_delete_logging_takes_the_values_out_of_the_log(token: str, ask: Any, delete: Any) -> None:
    ask(token, "record", data="id,redcap_event_name,name\n8,start_arm_1,Di\n")
    delete(token, "8", delete_logging="1")
    details = {details for _, details, _ in log(ask, token, record="8")}
    assert details == {"[*DATA REMOVED*]"}


def test_a_record_gets_another_name_with_all_it_holds(token: str, ask: Any) -> None:
    renamed = ask(token, "record", action="rename", record="7", new_record_name="10")
    assert (renamed.status_code, renamed.text) == (200, "1")
    assert sorted(places(ask, token)) == sorted(
        place.replace("7,", "10,", 1) if place.startswith("7,") else place for place in ALL
    )
    assert log(ask, token, logtype="record") == [("Update record (API) 10", "id = '10'", "10")]


def test_a_record_gets_another_name_in_one_arm(token: str, ask: Any) -> None:
    ask(token, "record", action="rename", record="7", new_record_name="10", arm="2")
    assert sorted(places(ask, token)) == sorted(
        "10,start_arm_2,," if place == "7,start_arm_2,," else place for place in ALL
    )


@pytest.mark.parametrize(
    ("record", "new_name", "message"),
    [
        ("77", "10", 'The record "77" does not exist'),
        ("7", "8", 'The record "8" already exists'),
        ("7", "", 'The value of the parameter "new_record_name" is not valid'),
    ],
)
def test_a_rename_that_cannot_be_is_refused(
    token: str, ask: Any, record: str, new_name: str, message: str
) -> None:
    refused = ask(token, "record", action="rename", record=record, new_record_name=new_name)
    assert (refused.status_code, refused.text) == (400, f"ERROR: {message}")


def test_randomization_takes_the_lines_of_its_strata_in_order(
    redcap: RedcapEmulator, token: str, ask: Any
) -> None:
    number = 100 + len(redcap.store.users())
    table = [
        Allocation("placebo", "R-1", {"name": "Bo"}),
        Allocation("drug", "R-2", {"name": "Ann"}),
        Allocation("placebo", "R-3", {"name": "Ann"}),
    ]
    redcap.add_randomization(
        token,
        "arm_given",
        table,
        randomization_id=number,
        target_event="start_arm_1",
        strata={"name": "start_arm_1"},
    )

    def randomize(record: str) -> Any:
        sent = {"action": "randomize", "record": record, "randomization_id": str(number)}
        return ask(token, "record", format="json", returnAlt="true", **sent)

    assert randomize("7").json() == {
        "randomization_id": number,
        "record": "7",
        "target_field": "drug",
        "target_field_alt": "R-2",
    }
    again = randomize("7")
    assert again.json() == {"error": 'The record "7" has already been randomized'}
    assert randomize("9").status_code == 400
    assert log(ask, token, record="7") == [
        ("Update record (API) 7 (Start (Arm 1: Drug))", "arm_given = 'drug'", "7"),
        ("Randomize Record 7", "", "7"),
    ]
    with pytest.raises(EmulatorError, match=f"randomization {number} already"):
        redcap.add_randomization(token, "arm_given", [], randomization_id=number)


def test_the_log_is_told_newest_first_in_minutes(clock: Clock, token: str, ask: Any) -> None:
    data = (
        "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,name,race___1,"
        'race___2,pain\n7,start_arm_1,,,Ann\'s,0,1,\n7,start_arm_1,diary,1,,,,"a\r\nb"\n'
    )
    ask(token, "record", data=data)
    clock.now += timedelta(minutes=2)
    ask(token, "metadata")
    first = (clock.now - timedelta(minutes=2)).strftime("%Y-%m-%d %H:%M")
    second = clock.now.strftime("%Y-%m-%d %H:%M")
    start = "7 (Start (Arm 1: Drug))"
    assert ask(token, "log", csvDelimiter="tab").text == (
        "timestamp,username,action,details,record\n"
        f'"{second}",api_user,"Manage/Design ","Download data dictionary (API)",\n'
        f'"{first}",api_user,"Update record (API) {start}","[instance = 1], pain = \'a  b\'",7\n'
        f'"{first}",api_user,"Update record (API) {start}",'
        "\"name = 'Ann's', race(1) = unchecked, race(2) = checked\",7\n"
    )
    assert log(ask, token, logtype="record_add") == []
    assert len(log(ask, token, logtype="record_edit")) == 2
    assert len(log(ask, token, beginTime=second, logtype="record")) == 0
    assert len(log(ask, token, endTime=first)) == 2
    assert log(ask, token, user="nobody") == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"logtype": "all"}, 'The value of the parameter "logtype" is not valid'),
        ({"dag": "west"}, 'The value of the parameter "dag" is not valid'),
        (
            {"beginTime": "yesterday"},
            'The value of the parameter "beginTime" is not valid: it must be YYYY-MM-DD HH:MM',
        ),
    ],
)
def test_a_log_that_cannot_be_is_refused(
    token: str, ask: Any, asked: dict[str, str], message: str
) -> None:
    refused = ask(token, "log", **asked)
    assert (refused.status_code, refused.text) == (400, f"ERROR: {message}")


def test_a_group_sees_the_log_of_its_records(redcap: RedcapEmulator, token: str, ask: Any) -> None:
    inside = redcap.add_user(token, "inside", data_access_group="north")
    ask(token, "record", data="id,redcap_event_name,name\n8,start_arm_1,B\n9,start_arm_2,C\n")
    assert [record for _, _, record in log(ask, inside)] == ["8"]
    assert [record for _, _, record in log(ask, token, dag="south")] == ["9"]


def test_date_ranges_select_records_by_their_log(clock: Clock, token: str, ask: Any) -> None:
    loaded = clock.now
    clock.now += timedelta(hours=1)
    ask(token, "record", data="id,redcap_event_name,name\n9,start_arm_2,C\n10,start_arm_1,D\n")
    clock.now += timedelta(hours=1)

    def changed(begin: datetime, end: datetime) -> list[str]:
        asked = {"dateRangeBegin": f"{begin:%F %T}", "dateRangeEnd": f"{end:%F %T}"}
        rows = ask(token, "record", **{"fields[0]": "id"}, **asked).text.split()[1:]
        return list(dict.fromkeys(row.split(",")[0] for row in rows))

    hour = timedelta(hours=1)
    assert changed(loaded - hour, loaded) == ["7", "8", "9"]
    assert changed(loaded + hour, clock.now) == ["9", "10"]
    assert changed(clock.now, clock.now) == []


def test_a_refused_request_changes_neither_data_nor_log(token: str, ask: Any) -> None:
    ask(token, "record", data="id,redcap_event_name,dose\n7,start_arm_1,20\n")
    ask(token, "record", action="rename", record="7", new_record_name="8")
    assert log(ask, token, logtype="record") == []


def test_every_write_needs_its_right(redcap: RedcapEmulator, token: str) -> None:
    rights = {"record_delete": 0, "record_rename": 0, "random_perform": 0, "api_import": 0}
    limited = redcap.add_user(token, "limited", rights=rights)

    def refused(**sent: str) -> tuple[int, str]:
        data = {"token": limited, "content": "record", "format": "csv", **sent}
        answer = requests.post(redcap.url, data=data, timeout=30)
        return answer.status_code, answer.text

    said = "ERROR: You do not have {} privileges"
    assert refused(data="id\n1\n") == (403, said.format("API Import/Update"))
    assert refused(action="delete", records="7") == (403, said.format("Delete Record"))
    assert refused(action="rename", record="7") == (403, said.format("Rename Record"))
    assert refused(action="randomize", record="7") == (403, said.format("Randomize"))
