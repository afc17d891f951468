"""What no source settles is an option, and each option changes what it says."""

from typing import Any

import pytest

from redcap_dagster.logic import LogicOptions, Value, evaluate_row, parse_logic


def value(text: str, row: dict[str, str] | None = None, **chosen: Any) -> Value:
    return evaluate_row(parse_logic(text), row or {}, options=LogicOptions(**chosen))


@pytest.mark.parametrize(
    ("text", "row", "chosen", "by_default", "then"),
    [
        ("[a] = '5'", {"a": "05"}, {"numeric_text_equality": False}, True, False),
        ("[a] = 5", {"a": "05"}, {"numeric_text_equality": False}, True, True),
        ("[a] < 5", {}, {"blank_orders_as_zero": True}, False, True),
        ("[a] > 5", {}, {"blank_orders_as_zero": True}, False, False),
        ("[a] < '2024-01-02'", {"a": "2024-01-01 10:00"}, {"mixed_date_order": True}, False, True),
        ("1.0001 = 1", {}, {"tolerance": 0.01}, False, True),
    ],
)
def test_comparisons(
    text: str, row: dict[str, str], chosen: dict[str, Any], by_default: object, then: object
) -> None:
    assert (value(text, row).is_true, value(text, row, **chosen).is_true) == (by_default, then)


@pytest.mark.parametrize(
    ("text", "chosen", "by_default", "then"),
    [
        ("round(-2.5)", {"negative_ties": "up"}, -3, -2),
        ("roundup(-1.5)", {"directed_rounding": "magnitude"}, -1, -2),
        ("rounddown(-1.5)", {"directed_rounding": "magnitude"}, -2, -1),
        ("mod(-7, 3)", {"mod_sign": "divisor"}, -1, 2),
        ("sum([a], [b])", {"sum_of_blanks": "zero"}, None, 0),
        ("stdev(1, 3)", {"stdev": "population"}, 2**0.5, 1),
        ("find('A', 'Banana')", {"find_is_case_sensitive": True}, 2, 0),
    ],
)
def test_numbers(text: str, chosen: dict[str, Any], by_default: object, then: object) -> None:
    assert (value(text).number, value(text, **chosen).number) == (by_default, then)
