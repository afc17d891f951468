"""REDCap's notation for choices."""

import pytest

from redcap_dagster.project.choices import parse_choices, parse_missing_data_codes
from redcap_dagster.project.model import Choice, MissingDataCode

CASES = {
    "code and label": ("1, Yes | 0, No", [("1", "Yes"), ("0", "No")]),
    "labels keep their commas": ("1, A, or B|2,C", [("1", "A, or B"), ("2", "C")]),
    "labels keep their line breaks": ("1, a\nb | 2, c", [("1", "a\nb"), ("2", "c")]),
    "odd codes stay as they are": (
        "-9, a | 9..9, b | ABC, c | 01, d",
        [("-9", "a"), ("9..9", "b"), ("ABC", "c"), ("01", "d")],
    ),
    "no comma anywhere makes the part both": ("red | blue", [("red", "red"), ("blue", "blue")]),
    "a label may be blank": ("1, | 2, b", [("1", ""), ("2", "b")]),
    "a closing divider adds nothing": ("1, a | 2, b |", [("1", "a"), ("2", "b")]),
    "a blank text has no choices": ("", []),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_choices_are_read(text: str, expected: list[tuple[str, str]]) -> None:
    assert parse_choices(text) == tuple(Choice(*pair) for pair in expected)


@pytest.mark.parametrize("text", ["1, a | b", "1, a | , b", "1, a | 1, b"])
def test_malformed_choices_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"without a code|more than one choice"):
        parse_choices(text)


def test_missing_data_codes_are_divided_by_bars_or_line_breaks() -> None:
    expected = (
        MissingDataCode("NI", "No information"),
        MissingDataCode("-999", "Not asked, ever"),
        MissingDataCode("UNK", "UNK"),
    )
    assert parse_missing_data_codes("NI, No information | -999, Not asked, ever | UNK") == expected
    assert parse_missing_data_codes("NI, No information\r\n-999, Not asked, ever\nUNK") == expected
    assert parse_missing_data_codes("") == ()
