"""The table of text validation types."""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redcap_dagster.project import (
    PLAIN_TEXT,
    TEXT_VALIDATIONS,
    DictionaryField,
    FieldType,
    ValueKind,
    text_validation,
    value_kind,
)

# Values that live servers accepted, and near misses.
SAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "date_ymd": (["2023-07-31"], ["31-07-2023", "2023-13-01", "2023-7-31"]),
    "date_mdy": (["2023-07-31"], ["07-31-2023"]),
    "date_dmy": (["2023-07-31"], ["31-07-2023"]),
    "datetime_ymd": (["2023-09-02 01:03", "2023-09-02 1:03"], ["2023-09-02T01:03", "2023-09-02"]),
    "datetime_mdy": (["2023-09-02 01:03"], ["2023-09-02 24:00"]),
    "datetime_dmy": (["2023-09-02 01:03"], ["2023-09-02 01:03:01"]),
    "datetime_seconds_ymd": (["2023-09-02 01:03:01"], ["2023-09-02 01:03"]),
    "datetime_seconds_mdy": (["2023-09-02 01:03:01"], ["2023-09-02 01:03:60"]),
    "datetime_seconds_dmy": (["2023-09-02 01:03:01"], ["2023-09-02 01:03:1"]),
    "time": (["08:10", "8:10"], ["24:00", "08:60"]),
    "time_hh_mm_ss": (["08:59:59"], ["08:59"]),
    "time_mm_ss": (["02:05", "45:45"], ["60:00", "1:02"]),
    "integer": (["99", "1111111111", "-4", "+4"], ["1.0", "1e3", ""]),
    "number": (["10.000", "-.5", "7", "1e-3", "5."], ["1,5", ".", "1.5 "]),
    "number_1dp": (["2.2"], ["2", "2.25", "2,2"]),
    "number_2dp": (["89.04"], ["89.0"]),
    "number_3dp": (["1.234"], ["1.23"]),
    "number_4dp": (["1.2345"], ["1.23456"]),
    "number_comma_decimal": (["1,54", "3"], ["1.54"]),
    "number_1dp_comma_decimal": (["2,0", "41,7"], ["2.0"]),
    "number_2dp_comma_decimal": (["35,83"], ["35,8"]),
    "number_3dp_comma_decimal": (["1,234"], ["1.234"]),
    "number_4dp_comma_decimal": (["1,2345"], ["1,234"]),
    "alpha_only": (["ABCxyz"], ["ABC1", ""]),
    "email": (["email@test.edu"], ["HelloWorld", "a@b", "a b@c.de", "a@b..c"]),
    "phone": (
        ["555-867-5309", "(555) 555-8076", "(405) 321-1111", "1 405 321 1111", "4053211111 x12"],
        ["867-5309", "055-867-5309", "(405) 121-1111"],
    ),
    "phone_australia": (["(02) 1234 5678", "0812345678"], ["(01) 1234 5678"]),
    "phone_uk": (["+44 7911 123456"], ["7911 123456"]),
    "phone_france": (["+33 1 23 45 67 89", "01.23.45.67.89"], ["00 23 45 67 89"]),
    "zipcode": (["90210", "90210-1234"], ["9021", "90210-12"]),
    "postalcode_australia": (["5000"], ["500"]),
    "postalcode_canada": (["A0A 0A0", "k1a0b1"], ["D0A 0A0", "A0A 0AO"]),
    "postalcode_french": (["69008", "1234"], ["99123", "00123"]),
    "postalcode_germany": (["01067", "99999"], ["00123"]),
    "postalcode_uk": (["SW1A 1AA", "m11ae"], ["SW1A", "1AA SW1"]),
    "ssn": (["123-12-1234"], ["123121234"]),
    "mrn_7d": (["1234567"], ["123456"]),
    "mrn_10d": (["1234567890"], ["123456789"]),
    "mrn_generic": (["A123456789", "a-b_1"], ["a b"]),
    "vmrn": (["1234", "123456789"], ["123", "1234567890"]),
}


def test_every_validation_type_has_samples() -> None:
    assert SAMPLES.keys() == TEXT_VALIDATIONS.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_python_and_arrow_match_the_same_samples(name: str) -> None:
    good, bad = SAMPLES[name]
    pattern = TEXT_VALIDATIONS[name].pattern
    by_python = [re.fullmatch(pattern, text) is not None for text in good + bad]
    by_arrow = pc.match_substring_regex(pa.array(good + bad), f"^(?:{pattern})$").to_pylist()
    assert by_python == by_arrow == [True] * len(good) + [False] * len(bad)


def test_digits_of_other_scripts_are_no_digits() -> None:
    assert re.fullmatch(TEXT_VALIDATIONS["integer"].pattern, "٣٤") is None


@pytest.mark.parametrize(
    ("name", "decimals"), [("number_2dp", 2), ("number_4dp_comma_decimal", 4), ("number", None)]
)
def test_numbers_know_their_decimals(name: str, decimals: int | None) -> None:
    assert TEXT_VALIDATIONS[name].decimals == decimals


KINDS: list[tuple[FieldType, str, ValueKind]] = [
    ("text", "", "text"),
    ("text", "email", "text"),
    ("text", "our_own_codes", "text"),
    ("text", "integer", "integer"),
    ("text", "number", "decimal"),
    ("text", "number_2dp", "decimal"),
    ("text", "number_comma_decimal", "decimal_comma"),
    ("text", "date_mdy", "date"),
    ("text", "datetime_dmy", "datetime"),
    ("text", "datetime_seconds_ymd", "datetime_seconds"),
    ("text", "time", "time"),
    ("text", "time_hh_mm_ss", "time_seconds"),
    ("text", "time_mm_ss", "minutes_seconds"),
    ("notes", "", "text"),
    ("calc", "", "decimal"),
    ("dropdown", "autocomplete", "choice"),
    ("radio", "", "choice"),
    ("checkbox", "", "boolean"),
    ("yesno", "", "boolean"),
    ("truefalse", "", "boolean"),
    ("file", "signature", "file"),
    ("slider", "number", "integer"),
    ("descriptive", "", "none"),
    ("sql", "", "text"),
]


@pytest.mark.parametrize(("field_type", "validation", "kind"), KINDS)
def test_field_type_and_validation_say_what_the_raw_value_is(
    field_type: FieldType, validation: str, kind: ValueKind
) -> None:
    field = DictionaryField("x", "form", field_type, validation=validation)
    assert value_kind(field) == kind


def test_only_text_fields_have_a_text_validation() -> None:
    slider = DictionaryField("x", "form", "slider", validation="number")
    assert text_validation(slider) == PLAIN_TEXT
