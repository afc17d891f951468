"""What an import of records sends, what comes of it, and what is said of one that is refused."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from redcap_dagster.api import ImportedRecords, ImportFinding, RedcapClient
from redcap_dagster.errors import ConfigError, ImportRejectedError, RequestRejectedError

ROW = [{"record_id": "1", "age": 7}]


def test_every_parameter_of_a_record_import_goes_out_under_redcaps_name(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http("14.7.3"), server.http('{"success": true}'))

    imported = client.import_records(
        "record_id;age\n1;7\n",
        "csv",
        overwrite_behavior="overwrite",
        date_format="DMY",
        return_content="auto_ids",
        force_auto_number=True,
        background_process=True,
        csv_delimiter=";",
        record_type="eav",
    )

    assert imported == ImportedRecords(in_background=True)
    assert server.requests[1][1:] == [
        ("content", "record"),
        ("format", "csv"),
        ("returnFormat", "json"),
        ("type", "eav"),
        ("overwriteBehavior", "overwrite"),
        ("forceAutoNumber", "true"),
        ("backgroundProcess", "1"),
        ("dateFormat", "DMY"),
        ("csvDelimiter", ";"),
        ("returnContent", "auto_ids"),
        ("data", "record_id;age\n1;7\n"),
    ]


@pytest.mark.parametrize(
    ("return_content", "body", "imported"),
    [
        ("count", '{"count": 2}', ImportedRecords(2)),
        ("ids", '["1","2"]', ImportedRecords(2, ("1", "2"))),
        (
            "auto_ids",
            '["11,1","12,2"]',
            ImportedRecords(2, ("11", "12"), {"1": "11", "2": "12"}),
        ),
        ("nothing", "", ImportedRecords()),
    ],
)
def test_what_comes_back_of_an_import_is_what_was_asked_for(
    return_content: Any,
    body: str,
    imported: ImportedRecords,
    client: RedcapClient,
    server: Any,
) -> None:
    server.answers(server.http(body))

    assert (
        client.import_records(
            ROW,
            return_content=return_content,
            force_auto_number=return_content == "auto_ids",
        )
        == imported
    )
    assert "11" not in repr(imported)


def test_dicts_go_out_as_json_and_frames_as_csv(client: RedcapClient, server: Any) -> None:
    server.answers(server.http('{"count": 1}'))
    rows = [
        {
            "record_id": "001",
            "age": np.int64(7),
            "born": dt.date(2020, 1, 2),
            "seen": pd.Timestamp(2020, 1, 2, 3, 4, 5),
            "at": dt.time(3, 4),
            "ok": True,
            "gone": None,
            "nan": float("nan"),
            "note": "a\nb, ü",
        }
    ]

    client.import_records(rows)
    client.import_records(pd.DataFrame(rows).set_index("record_id"))

    plain = {
        "record_id": "001",
        "age": 7,
        "born": "2020-01-02",
        "seen": "2020-01-02 03:04:05",
        "at": "03:04:00",
        "ok": 1,
        "gone": "",
        "nan": "",
        "note": "a\nb, ü",
    }
    assert json.loads(dict(server.requests[0])["data"]) == [plain]
    assert dict(server.requests[1])["format"] == "csv"
    assert dict(server.requests[1])["data"] == (
        "record_id,age,born,seen,at,ok,gone,nan,note\n"
        '001,7,2020-01-02,2020-01-02 03:04:05,03:04:00,1,,,"a\nb, ü"\n'
    )


def test_cells_of_a_frame_come_back_as_they_were(client: RedcapClient, server: Any) -> None:
    server.answers(server.http('{"count": 1}'))
    notes = ["one\rtwo", "a\r\nb", 'says "x"', "a;b", "ends in \\", " blank ", ""]
    frame = pd.DataFrame({"record_id": [str(index) for index in range(7)], "note": notes})

    client.import_records(frame, csv_delimiter=";")
    client.import_records(frame[["note"]])

    both, alone = (dict(request)["data"] for request in server.requests)
    lines = csv.reader(io.StringIO(both, newline=""), delimiter=";", strict=True)
    assert list(lines) == [["record_id", "note"], *map(list, frame.to_numpy())]
    assert "4;ends in \\\n" in both  # PHP takes \\" for a quote within a cell
    assert list(csv.reader(io.StringIO(alone, newline="")))[-1] == [""]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.datetime64("2024-01-02T03:04:05", "ns"), "2024-01-02 03:04:05"),
        (np.datetime64("2024-01-02T03:04"), "2024-01-02 03:04:00"),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (np.datetime64("NaT"), ""),
        (np.timedelta64("NaT"), ""),
        (Decimal("1.50"), "1.50"),
        (Decimal("NaN"), ""),
        (np.float32("nan"), ""),
        (np.bool_(True), 1),
        (np.str_("a"), "a"),
    ],
)
def test_what_is_plain_is_written_as_redcap_reads_it(
    value: Any, text: Any, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http('{"count": 1}'))

    client.import_records([{"record_id": "1", "a": value}])
    client.import_records(pd.DataFrame({"record_id": ["1"], "a": pd.Series([value], dtype=object)}))

    dicts, frame = (dict(request)["data"] for request in server.requests)
    assert json.loads(dicts) == [{"record_id": "1", "a": text}]
    assert frame == f"record_id,a\n1,{text}\n"


@pytest.mark.parametrize(
    "value",
    [
        np.timedelta64(5, "ns"),
        dt.timedelta(5),
        float("inf"),
        np.float64("-inf"),
        Decimal("Infinity"),
        1j,
        Fraction(1, 3),
        ["a"],
        np.array([1, 2]),
        b"a",
    ],
)
@pytest.mark.parametrize("is_frame", [False, True])
def test_what_redcap_cannot_read_is_refused(
    value: Any, is_frame: bool, client: RedcapClient, server: Any
) -> None:
    rows = [{"record_id": "1", "a": value}]

    with pytest.raises(ConfigError, match="A value to import is"):
        client.import_records(pd.DataFrame(rows) if is_frame else rows)
    assert server.requests == []


def test_rights_in_a_frame_are_written_as_csv_has_them(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("1"))

    client.import_users(pd.DataFrame([{"username": "u", "forms": {"demo": 1, "visit": 2}}]))

    assert dict(server.requests[0])["data"] == 'username,forms\nu,"demo:1,visit:2"\n'


FINDINGS = (
    '"Sentinel-1","weight","22","The value 22 does not follow the format."\n'
    '"Sentinel-2","weight","23","The value 23 does not follow the format."\n'
    '"Sentinel-2","note","two\nlines","Illegal: two\nlines."\n'
    '"3","sex","9","Not a choice."\n'
    '"3","visit","x","This field (\'visit\') exists elsewhere."'
)


def test_a_refused_import_says_what_is_wrong_where_and_how_often_without_values(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(json.dumps({"error": FINDINGS}), 400))

    with pytest.raises(ImportRejectedError) as caught:
        client.import_records(ROW)

    error = caught.value
    assert error.findings == (
        ImportFinding("weight", "The value … does not follow the format.", 2),
        ImportFinding("note", "Illegal: ….", 1),
        ImportFinding("sex", "Not a choice.", 1),
        ImportFinding("visit", "This field ('visit') exists elsewhere.", 1),
    )
    assert str(error) == (
        "REDCap record: the data were refused (HTTP 400), and nothing of them was taken. weight "
        "in 2 records: The value … does not follow the format. note in 1 record: Illegal: …. sex "
        "in 1 record: Not a choice. And 1 more in `.findings`."
    )
    assert error.server_message == FINDINGS
    assert "Sentinel" not in repr(error.findings)


def test_an_import_that_is_refused_for_thousands_of_values_says_so(
    client: RedcapClient, server: Any
) -> None:
    lines = [f'"{number}","weight","heavy","No number."' for number in range(40_000)]
    message = "\n".join([*lines, '"1","sex","9","Not a choice."'])
    server.answers(server.http(json.dumps({"error": message}), 400))

    with pytest.raises(ImportRejectedError) as caught:
        client.import_records(ROW)

    assert caught.value.findings == (
        ImportFinding("weight", "No number.", 40_000),
        ImportFinding("sex", "Not a choice.", 1),
    )
    assert caught.value.server_message == message


def test_another_refusal_of_an_import_shows_none_of_its_data(
    client: RedcapClient, server: Any
) -> None:
    server.answers(server.http('{"error":"Jones of Berlin has no field age"}', 400))

    with pytest.raises(RequestRejectedError) as caught:
        client.import_records([{"record_id": "Jones", "age": "Berlin"}])

    assert not isinstance(caught.value, ImportRejectedError)
    assert "REDCap says: … of … has no field age." in str(caught.value)
