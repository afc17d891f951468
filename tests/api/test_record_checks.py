"""Rows are compared with what was asked, and an export without rows has its columns."""

import json
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import AnswerError

METADATA = [
    {"field_name": "record_id", "form_name": "intake", "field_type": "text"},
    {"field_name": "hello", "form_name": "intake", "field_type": "descriptive"},
    {"field_name": "race", "form_name": "intake", "field_type": "checkbox"},
    {"field_name": "scan", "form_name": "visit", "field_type": "file"},
]
FIELD_NAMES = [
    {"original_field_name": "record_id", "choice_value": "", "export_field_name": "record_id"},
    {"original_field_name": "race", "choice_value": "1", "export_field_name": "race___1"},
    {"original_field_name": "race", "choice_value": "2", "export_field_name": "race___2"},
]
INFO = {
    "is_longitudinal": 1,
    "has_repeating_instruments_or_events": 1,
    "surveys_enabled": 1,
}


@pytest.mark.parametrize(
    ("body", "options", "reason", "sentence"),
    [
        (
            "record_id\n1\n",
            {"fields": ["record_id", "race"]},
            "column_missing",
            "1 .* fields: race",
        ),
        ("record_id,a\n7,x\n", {"records": ["1"]}, "record_not_asked", "has 1 rows of records"),
        ("record_id,a\n1,x\n1,y\n", {}, "row_twice", "holds 1 rows twice"),
        (
            "record_id,redcap_event_name,a\n1,e,x\n1,e,y\n1,f,y\n",
            {"fields": ["record_id", "a"]},
            "row_twice",
            "holds 1 rows twice",
        ),
        (
            "record,field_name,value\n9,a,1\n",
            {"record_type": "eav", "records": ["1"]},
            "record_not_asked",
            "has 1 rows of records",
        ),
    ],
)
@pytest.mark.parametrize("view", ["dicts", "frames", "csv"])
def test_rows_that_were_not_asked_for_are_not_believed(
    body: str,
    options: dict[str, Any],
    reason: str,
    sentence: str,
    view: str,
    client: RedcapClient,
    server: Any,
) -> None:
    header, *lines = [line.split(",") for line in body.splitlines()]
    rows = json.dumps([dict(zip(header, line, strict=True)) for line in lines])
    answer = server.http(rows if view == "dicts" else body)
    metadata = server.http(json.dumps(METADATA))
    asks_types = reason == "column_missing"
    server.answers(*([answer, metadata] * 3 if asks_types else [answer]))
    asked = {"dicts": client, "frames": client.frames, "csv": client.csv}[view]

    with pytest.raises(AnswerError, match=sentence) as caught:
        asked.export_records(**options)

    assert (caught.value.reason, caught.value.attempts) == (reason, 3)
    assert "7" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ("record_id,race___1\n1,0\n", {"fields": ["record_id", "race"]}),
        ("a\nx\nx\n", {"fields": ["a"], "records": ["1"]}),
        ("Record ID,Complete?\n1,x\n1,x\n", {"raw_or_label_headers": "label"}),
        ("record_id,redcap_event_name\n1,Visit\n1,Visit\n", {"raw_or_label": "label"}),
        ("record_id,a\nA1,x\n", {"records": ["a1 ", "gone"]}),
    ],
)
def test_rows_that_may_be_right_are_believed(
    body: str, options: dict[str, Any], client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(body))

    assert client.csv.export_records(**options) == body
    assert len(server.requests) == 1


def test_a_descriptive_field_has_no_column_and_is_not_missed(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("record_id\n1\n"), server.http(json.dumps(METADATA)))

    frame = client.frames.export_records(fields=["record_id", "hello"])

    assert frame.to_dict("list") == {"record_id": ["1"]}


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        (
            {"export_data_access_groups": True, "export_survey_fields": True},
            [
                "record_id",
                "redcap_event_name",
                "redcap_repeat_instrument",
                "redcap_repeat_instance",
                "redcap_data_access_group",
                "redcap_survey_identifier",
                "race___1",
                "race___2",
                "intake_complete",
                "scan",
                "visit_complete",
            ],
        ),
        ({"forms": ["visit"]}, ["scan", "visit_complete"]),
        (
            {"fields": ["race", "visit_complete"]},
            ["race___1", "race___2", "visit_complete"],
        ),
        (
            {"record_type": "eav"},
            [
                "record",
                "redcap_event_name",
                "redcap_repeat_instrument",
                "redcap_repeat_instance",
                "field_name",
                "value",
            ],
        ),
    ],
)
def test_an_export_without_rows_has_its_columns(
    options: dict[str, Any], columns: list[str], client: RedcapClient, server: Any
) -> None:
    answers = [
        server.http("\n"),
        *(server.http(json.dumps(value)) for value in (METADATA, FIELD_NAMES, INFO)),
    ]
    server.answers(*answers, *answers)

    frame = client.frames.export_records(**options)

    assert (list(frame.columns), len(frame)) == (columns, 0)
    assert client.csv.export_records(**options) == ",".join(columns) + "\n"


def test_a_project_of_any_size_comes_in_batches(client: RedcapClient, server: Any) -> None:
    repeats = [{"form_name": "visit", "custom_form_label": ""}]
    ids = [{"record_id": name, "visit_complete": ""} for name in ("1", "1", "2", "3")]
    server.answers(
        *(server.http(json.dumps(value)) for value in (METADATA, repeats, ids)),
        server.http('[{"record_id":"1"},{"record_id":"2"}]'),
        server.http('[{"record_id":"3"}]'),
    )

    batches = list(client.iter_records(batch_size=2, forms=["visit"], filter_logic="[a] = 1"))

    assert batches == [[{"record_id": "1"}, {"record_id": "2"}], [{"record_id": "3"}]]
    asked = [[pair for pair in request if "[" in pair[0]] for request in server.requests[2:]]
    assert asked == [
        [("fields[0]", "record_id"), ("fields[1]", "visit_complete")],
        [
            ("fields[0]", "record_id"),
            ("forms[0]", "visit"),
            ("records[0]", "1"),
            ("records[1]", "2"),
        ],
        [("fields[0]", "record_id"), ("forms[0]", "visit"), ("records[0]", "3")],
    ]
    assert [dict(request).get("filterLogic") for request in server.requests[2:]] == ["[a] = 1"] * 3


def test_a_listed_record_that_does_not_come_is_missed(client: RedcapClient, server: Any) -> None:
    server.answers(
        server.http(json.dumps(METADATA)),
        server.http("[]"),
        server.http('[{"record_id":"1"},{"record_id":"2"}]'),
        server.http('[{"record_id":"1"}]'),
    )

    with pytest.raises(AnswerError, match="1 of 2 asked records came back without a row") as caught:
        list(client.iter_records())
    assert caught.value.reason == "record_missing"


@pytest.mark.parametrize("view", ["dicts", "frames", "csv", "json"])
def test_a_batch_that_is_lost_whole_is_missed(view: str, client: RedcapClient, server: Any) -> None:
    asked = {
        "dicts": client,
        "frames": client.frames,
        "csv": client.csv,
        "json": client.json,
    }[view]
    server.answers(
        server.http(json.dumps(METADATA)),
        server.http("[]"),
        server.http('[{"record_id":"1"},{"record_id":"2"}]'),
        server.http("\n" if view in {"frames", "csv"} else "[]"),
    )

    with pytest.raises(AnswerError, match="2 of 2 asked records came back without a row") as caught:
        list(asked.iter_records())
    assert (caught.value.reason, caught.value.attempts) == ("record_missing", 3)


@pytest.mark.parametrize("note_bytes", [1_100_000, 3_000_000])
def test_a_row_of_megabytes_is_a_row(note_bytes: int, client: RedcapClient, server: Any) -> None:
    note = "n" * note_bytes
    server.answers(server.http(f"record_id,a,b\n1,{note},{note}\n2,,\n"))

    frame = client.frames.export_records()

    assert frame.to_dict("list") == {"record_id": ["1", "2"], "a": [note, ""], "b": [note, ""]}


HASH = "0cc175b9c0f1b6a831c399e269772661"


def test_hashed_record_ids_are_named_where_batches_find_nothing(
    client: RedcapClient, server: Any
) -> None:
    server.answers(
        server.http(json.dumps(METADATA)),
        server.http("[]"),
        server.http(json.dumps([{"record_id": HASH}])),
        server.http("[]"),
    )

    with pytest.raises(AnswerError, match="batches by id cannot work") as caught:
        list(client.iter_records())
    assert (caught.value.reason, caught.value.attempts) == ("record_ids_hashed", 1)
    assert HASH not in str(caught.value)


def test_hashed_record_ids_are_named_where_the_asked_ones_come_as_others(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(json.dumps([{"record_id": HASH}])))

    with pytest.raises(AnswerError, match="ids are hashed for the token's user") as caught:
        client.export_records(records=["1"])
    assert (caught.value.reason, caught.value.attempts) == ("record_ids_hashed", 1)


def test_frames_are_made_by_read_csv_with_the_callers_options(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("record_id,age,seen\n001,7,2024-01-02\n002,,\n"))

    frame = client.frames.with_read_csv(
        index_col="record_id", dtype={"record_id": str}, parse_dates=["seen"]
    ).export_records()

    assert frame.index.tolist() == ["001", "002"]
    assert frame["age"].dtype == "float64"
    assert frame["seen"].dt.year.iloc[0] == 2024


def test_read_csv_options_that_do_not_fit_show_no_value(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("record_id,name\n1,Sentinel-Smith\n"))
    frames = client.frames.with_read_csv(dtype={"name": int})

    with pytest.raises(ValueError, match=r"with the options sep, dtype \(ValueError\)") as caught:
        frames.export_records()

    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert "Sentinel" not in str(caught.value)
