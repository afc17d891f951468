"""What is refused, by name, before anything is evaluated."""

from datetime import date, datetime

import pytest

from redcap_dagster.errors import (
    LogicError,
    LogicNameError,
    LogicTypeError,
    LogicUnsupportedError,
)
from redcap_dagster.logic import LogicOptions, evaluate_row, parse_logic


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("rond([a])", LogicNameError, "no function rond. Did you mean round"),
        ("if([a], 1)", LogicTypeError, r"if does not take 2 argument\(s\): if\(condition"),
        ("datediff([a], [b], 'D')", LogicTypeError, "M is a month, m a minute"),
        ("datediff([a], [b], [c])", LogicTypeError, "The unit of datediff"),
        ("datediff([a], [b], 'd', 'x')", LogicTypeError, "is true or false"),
        ("datediff('01/02/2024', [b], 'd')", LogicTypeError, "year first"),
        ("age_at_date([a], [b], true)", LogicUnsupportedError, "decimals of an age"),
        ("[a] % 2", LogicUnsupportedError, r"write mod\(a, b\)"),
        ("[a:label] = 'x'", LogicUnsupportedError, ":label is for piping"),
        ("[d] > 'today'", LogicUnsupportedError, "a date in date functions only"),
        ("[user-name] = 'x'", LogicUnsupportedError, "there is no user"),
        ("[is-survey] = 1", LogicUnsupportedError, "form or a survey"),
        ("[event-id] = 1", LogicUnsupportedError, "event ids are not"),
        ("[aggregate-min:a] = 1", LogicUnsupportedError, "whole project"),
        ("[survey-time-started:f:value] = ''", LogicUnsupportedError, "not when it was started"),
        (
            "[survey-time-completed:f] = ''",
            LogicUnsupportedError,
            "needs its instrument and :value",
        ),
        ("[a][new-instance] = ''", LogicUnsupportedError, "is not there yet"),
        ("[user-name][a] = ''", LogicUnsupportedError, "cannot stand before a field"),
        ("[record-name] = '1'", LogicUnsupportedError, "need the study's design"),
        ("[e_arm_1][a] = '1'", LogicUnsupportedError, "need the study's design"),
        ("ismissingcode([a])", LogicUnsupportedError, "missing data codes"),
        ("year('today')", LogicUnsupportedError, "needs a date"),
    ],
)
def test_what_cannot_be_known_is_refused_by_name(
    text: str, kind: type[LogicError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        evaluate_row(parse_logic(text), {})
    assert type(caught.value) is kind


def test_now_needs_a_time_of_day() -> None:
    expression = parse_logic("datediff('now', 'today', 'h')")
    with pytest.raises(LogicUnsupportedError, match="needs a date with time"):
        evaluate_row(expression, {}, as_of=date(2024, 3, 1))
    noon = datetime(2024, 3, 1, 12)  # noqa: DTZ001 - REDCap's dates have no time zone
    assert evaluate_row(expression, {}, as_of=noon).number == 12


def test_an_option_lets_a_remainder_sign_through() -> None:
    chosen = LogicOptions(percent_is_mod=True)
    assert evaluate_row(parse_logic("7 % 4"), {}, options=chosen).number == 3


def test_refusals_and_values_hold_no_stored_value() -> None:
    row = {"a": "SENTINEL"}
    value = evaluate_row(parse_logic("[a]"), row)
    assert "SENTINEL" not in repr(value)
    with pytest.raises(LogicError) as caught:
        evaluate_row(parse_logic("[a] + year('today')"), row)
    assert "SENTINEL" not in str(caught.value) + repr(caught.value)
