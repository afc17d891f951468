"""Text becomes a value of its kind, or is marked as a misfit."""

from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project import ValueKind
from redcap_dagster.tables.arrow_types import ARROW_TYPES
from redcap_dagster.tables.cast import cast_text, misfit_rule

MISFIT = "does not fit"

CASES: dict[ValueKind, dict[str, Any]] = {
    "integer": {
        "5": 5,
        "+5": 5,
        "-0": 0,
        "007": 7,
        " -100": -100,
        "12\n": 12,
        "9223372036854775807": 9223372036854775807,
        "-9223372036854775808": -9223372036854775808,
        "9223372036854775808": MISFIT,
        "-9223372036854775809": MISFIT,
        "99999999999999999999": MISFIT,
        "00000000000000000000000012": 12,
        "-00000000000000000000000012": -12,
        "+9223372036854775807": 9223372036854775807,
        "5.0": MISFIT,
        "0x1A": MISFIT,
        "1e5": MISFIT,
        "--5": MISFIT,
        "5 6": MISFIT,
        " ": MISFIT,
        "\u0663": MISFIT,
    },
    "decimal": {
        "10.000": 10.0,
        "5.": 5.0,
        ".5": 0.5,
        "+.5": 0.5,
        "-.5": -0.5,
        "1e5": 100000.0,
        "1E-2": 0.01,
        "-0": 0.0,
        " -100": -100.0,
        "1234567890123456789": 1234567890123456789.0,
        "1e400": MISFIT,
        "nan": MISFIT,
        "inf": MISFIT,
        "1,54": MISFIT,
        ".": MISFIT,
        "1 000": MISFIT,
    },
    "decimal_comma": {"1,54": 1.54, "2,0": 2.0, ",5": 0.5, "5": 5.0, "-1,5": -1.5, "1.54": MISFIT},
    "date": {
        "2023-07-31": date(2023, 7, 31),
        " 2023-07-31 ": date(2023, 7, 31),
        "2024-02-29": date(2024, 2, 29),
        "2000-02-29": date(2000, 2, 29),
        "0001-01-01": date(1, 1, 1),
        "9999-12-31": date(9999, 12, 31),
        "2023-02-29": MISFIT,
        "1900-02-29": MISFIT,
        "2023-02-30": MISFIT,
        "2023-04-31": MISFIT,
        "2023-13-01": MISFIT,
        "2023-00-10": MISFIT,
        "2023-1-1": MISFIT,
        "0000-01-01": MISFIT,
        "31-07-2023": MISFIT,
        "2023-07-31 10:00": MISFIT,
        "20230731": MISFIT,
    },
    "datetime": {
        "2023-09-02 01:03": datetime.fromisoformat("2023-09-02T01:03:00"),
        "2023-09-02 1:03": datetime.fromisoformat("2023-09-02T01:03:00"),
        "2023-09-02 23:59": datetime.fromisoformat("2023-09-02T23:59:00"),
        "2023-09-02 24:00": MISFIT,
        "2023-09-02T01:03": MISFIT,
        "2023-09-02": MISFIT,
        "2023-09-02 01:03:01": MISFIT,
        "2023-02-29 01:03": MISFIT,
        "0000-01-01 01:03": MISFIT,
        "2023-09-02 01+02": MISFIT,
        "2023-09-02 01:3 ": MISFIT,
    },
    "datetime_seconds": {
        "2023-09-02 01:03:01": datetime.fromisoformat("2023-09-02T01:03:01"),
        "2023-09-02 9:03:01": datetime.fromisoformat("2023-09-02T09:03:01"),
        "2023-09-02 01:03": MISFIT,
        "2023-09-02 01:03:60": MISFIT,
    },
    "time": {"08:10": time(8, 10), "8:10": time(8, 10), "24:00": MISFIT, "08:10:00": MISFIT},
    "time_seconds": {"08:59:59": time(8, 59, 59), "8:01:01": time(8, 1, 1), "08:59": MISFIT},
    "minutes_seconds": {"02:05": time(0, 2, 5), "45:45": time(0, 45, 45), "60:00": MISFIT},
    "boolean": {"1": True, "0": False, " 1": True, "TRUE": MISFIT, "yes": MISFIT, "2": MISFIT},
    "choice": {"01": "01", "NA": "NA", "None": "None", " a ": " a ", "1e5": "1e5"},
    "text": {" ": " ", "1.50": "1.50", "TRUE": "TRUE", "a\r\nb": "a\r\nb"},
    "file": {"scan 1.pdf": "scan 1.pdf"},
}


@pytest.mark.parametrize("kind", CASES)
def test_each_text_alone_becomes_its_value_or_a_misfit(kind: ValueKind) -> None:
    found = {}
    for text in CASES[kind]:
        cast = cast_text(pa.array([text]), kind)
        is_misfit = cast.misfits is not None and cast.misfits[0].as_py()
        found[text] = MISFIT if is_misfit else cast.values[0].as_py()
    assert found == CASES[kind]


@pytest.mark.parametrize("kind", CASES)
def test_a_column_of_all_texts_and_blanks_is_cast_as_each_alone(kind: ValueKind) -> None:
    texts = [item for text in CASES[kind] for item in (text, None)]
    cast = cast_text(pa.array(texts), kind)
    expected = [item for value in CASES[kind].values() for item in (value, None)]
    assert cast.values.to_pylist() == [None if item == MISFIT else item for item in expected]
    assert cast.values.type == ARROW_TYPES[kind]
    misfits = [False] * len(texts) if cast.misfits is None else cast.misfits.to_pylist()
    assert misfits == [item == MISFIT for item in expected]


@pytest.mark.parametrize("kind", CASES)
def test_a_blank_and_an_empty_column_have_the_type_of_their_kind(kind: ValueKind) -> None:
    for column in (pa.nulls(2, pa.string()), pa.nulls(0, pa.string())):
        cast = cast_text(column, kind)
        assert cast.values.equals(pa.nulls(len(column), ARROW_TYPES[kind]))
        assert cast.misfits is None


def test_a_rule_names_what_the_text_is_not() -> None:
    assert misfit_rule("decimal_comma") == "number"
    assert misfit_rule("datetime_seconds") == "datetime"
