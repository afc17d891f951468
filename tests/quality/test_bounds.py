"""Bounds as a data dictionary writes them."""

import pandas as pd
import pytest

from redcap_dagster.project import DictionaryField, ValueKind
from redcap_dagster.quality.bounds import Bound, is_dynamic, parse_bound, written_bounds

BOUNDS: list[tuple[str, ValueKind, str, Bound]] = [
    ("18", "integer", "integer", 18),
    ("-1.5", "integer", "integer", -1.5),
    ("18.0", "integer", "integer", 18),
    ("9223372036854775807", "integer", "integer", 2**63 - 1),
    ("99999999999999999999", "integer", "integer", 1e20),
    ("-99999999999999999999", "integer", "integer", -1e20),
    ("1e3", "decimal", "number", 1000.0),
    ("1,5", "decimal_comma", "number_1dp_comma_decimal", 1.5),
    ("2020-02-29", "date", "date_dmy", pd.Timestamp(2020, 2, 29)),
    ("31-12-2020", "date", "date_dmy", pd.Timestamp(2020, 12, 31)),
    ("12-31-2020", "date", "date_mdy", pd.Timestamp(2020, 12, 31)),
    ("2020-01-01 08:05", "datetime", "datetime_mdy", pd.Timestamp(2020, 1, 1, 8, 5)),
    ("2020-01-01 08:05:09", "datetime_seconds", "x_ymd", pd.Timestamp(2020, 1, 1, 8, 5, 9)),
    ("8:01", "time", "time", pd.Timedelta(hours=8, minutes=1)),
    ("8:01:01", "time_seconds", "time_hh_mm_ss", pd.Timedelta(hours=8, minutes=1, seconds=1)),
    ("02:05", "minutes_seconds", "time_mm_ss", pd.Timedelta(minutes=2, seconds=5)),
]


@pytest.mark.parametrize(("text", "kind", "validation", "expected"), BOUNDS)
def test_a_constant_bound_is_read_as_a_value(
    text: str, kind: ValueKind, validation: str, expected: Bound
) -> None:
    assert parse_bound(text, kind, validation) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x", "integer"),
        ("2020-02-30", "date"),
        ("12/31/2020", "date"),
        ("8", "time"),
        ("8:00:00", "time"),
        ("999999999999:00", "time"),
        ("1_0:00", "time"),
        ("nan", "decimal"),
        ("inf", "integer"),
        ("1e999", "decimal"),
        ("1_0", "decimal"),
        ("1_0", "integer"),
        ("1", "text"),
        ("1", "choice"),
    ],
)
def test_what_is_no_value_of_the_kind_is_refused(text: str, kind: ValueKind) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_bound(text, kind, "")


@pytest.mark.parametrize("text", ["today", "now", "NOW", "[dob]", "[baseline_arm_1][visit]"])
def test_bounds_that_move_are_dynamic(text: str) -> None:
    assert is_dynamic(text)


def test_a_slider_goes_from_0_to_100_unless_it_says_otherwise() -> None:
    assert written_bounds(DictionaryField("x", "form", "slider")) == ("0", "100")
    wide = DictionaryField("x", "form", "slider", minimum="-1", maximum="101")
    assert written_bounds(wide) == ("-1", "101")
    assert written_bounds(DictionaryField("x", "form", "text")) == ("", "")
