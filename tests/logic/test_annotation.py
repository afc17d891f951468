"""Action tags, and the logic in them."""

from datetime import date

import pandas as pd
import pytest

from redcap_dagster.errors import LogicSyntaxError
from redcap_dagster.logic import (
    StudyFrame,
    evaluate_row,
    evaluate_table,
    find_action_tags,
    parse_calculation,
    parse_logic,
    split_arguments,
    uses_today,
)
from redcap_dagster.project import DictionaryField, FieldType


def tags(annotation: str) -> list[object]:
    return [(tag.name, tag.argument, tag.is_conditional) for tag in find_action_tags(annotation)]


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        ("", []),
        ("write to me@CHOP.EDU, @home", []),
        ("@HIDDEN", [("@HIDDEN", None, False)]),
        (
            " note @HIDDEN-SURVEY\n@READONLY more",
            [("@HIDDEN-SURVEY", None, False), ("@READONLY", None, False)],
        ),
        ("@DEFAULT='it\\'s @HIDDEN'", [("@DEFAULT", "it\\'s @HIDDEN", False)]),
        ('@NONEOFTHEABOVE="99,98" x', [("@NONEOFTHEABOVE", "99,98", False)]),
        ("@CHARLIMIT=20 @MAXCHECKED=2", [("@CHARLIMIT", "20", False), ("@MAXCHECKED", "2", False)]),
        (
            "@CALCTEXT(if([a(1)]=')', 'x(', concat([b])))",
            [("@CALCTEXT", "if([a(1)]=')', 'x(', concat([b]))", False)],
        ),
        (
            "@IF([a]='1', @HIDDEN @READONLY, @DEFAULT='x, y') @NOMISSING",
            [
                ("@IF", "[a]='1', @HIDDEN @READONLY, @DEFAULT='x, y'", False),
                ("@HIDDEN", None, True),
                ("@READONLY", None, True),
                ("@DEFAULT", "x, y", True),
                ("@NOMISSING", None, False),
            ],
        ),
        (
            "@CALCTEXT(\n  // don't (yet\n# nor \"\n[a]) @HIDDEN",
            [
                ("@CALCTEXT", "\n  // don't (yet\n# nor \"\n[a]", False),
                ("@HIDDEN", None, False),
            ],
        ),
        (
            "@IF([a]=1, @IF([b]=1, @HIDDEN, ''), '')",
            [
                ("@IF", "[a]=1, @IF([b]=1, @HIDDEN, ''), ''", False),
                ("@IF", "[b]=1, @HIDDEN, ''", True),
                ("@HIDDEN", None, True),
            ],
        ),
    ],
)
def test_tags_are_found_among_notes(annotation: str, found: list[object]) -> None:
    assert tags(annotation) == found


def test_the_place_of_a_tag_is_that_of_the_annotation() -> None:
    annotation = "a @CALCTEXT(1+(2)) b"
    (tag,) = find_action_tags(annotation)
    assert annotation[tag.span.start : tag.span.end] == "@CALCTEXT(1+(2))"


@pytest.mark.parametrize("annotation", ["@CALCTEXT(1", "@DEFAULT='x", "@CALCTEXT('1)"])
def test_an_argument_that_never_ends_is_refused(annotation: str) -> None:
    with pytest.raises(LogicSyntaxError, match="never closed"):
        find_action_tags(annotation)


def test_arguments_split_at_outer_commas() -> None:
    assert split_arguments("[a], if([b]=',', 1, 2), 'y'") == ("[a]", "if([b]=',', 1, 2)", "'y'")


def field(
    annotation: str = "", field_type: FieldType = "text", definition: str = "", validation: str = ""
) -> DictionaryField:
    return DictionaryField(
        "x", "form", field_type, definition=definition, validation=validation, annotation=annotation
    )


def test_a_field_is_computed_by_its_formula_or_its_tags() -> None:
    assert parse_calculation(field()) is None
    assert parse_calculation(field("@HIDDEN")) is None
    assert parse_calculation(field(field_type="calc")) is None
    assert parse_calculation(field(field_type="calc", definition="[a]+1")) == parse_logic("[a]+1")
    assert parse_calculation(field("note @CALCTEXT(upper([a]))")) == parse_logic("upper([a])")


def test_a_conditional_calculation_computes_nothing() -> None:
    assert parse_calculation(field("@IF([a]=1, @CALCTEXT([b]), '')")) is None


@pytest.mark.parametrize(
    ("annotation", "validation", "text"),
    [
        ("@CALCDATE([d], 7, 'd')", "date_ymd", "2024-03-07"),
        ("@CALCDATE([d], -1, 'd')", "date_dmy", "2024-02-28"),
        ("@CALCDATE([d], [n], 'h')", "datetime_ymd", "2024-02-29 12:30"),
        ("@CALCDATE([d], 1, 'y')", "datetime_seconds_ymd", "2025-02-28 05:49:12"),
        ("@CALCDATE([d], 1, 'M')", "date_ymd", "2024-03-30"),
        ("@CALCDATE(today, 1, 'd')", "date_ymd", "2024-01-02"),
        ("@CALCDATE('today', 1, 'd')", "date_ymd", "2024-01-02"),
        ("@CALCDATE([none], 1, 'd')", "date_ymd", ""),
    ],
)
def test_calcdate_adds_an_offset_and_is_cut_to_the_field(
    annotation: str, validation: str, text: str
) -> None:
    expression = parse_calculation(field(annotation, validation=validation))
    row = {"d": "2024-02-29", "n": "12.5", "none": ""}
    as_of = date(2024, 1, 1)
    assert evaluate_row(expression, row, as_of=as_of).text == text
    table = evaluate_table(expression, StudyFrame(pd.DataFrame([row, row])), as_of=as_of)
    assert table.text.tolist() == [text, text]


def test_calcdate_needs_three_arguments() -> None:
    with pytest.raises(LogicSyntaxError, match="a date, an offset and a unit"):
        parse_calculation(field("@CALCDATE([d], 7)"))


@pytest.mark.parametrize(
    ("text", "drifts"),
    [
        ("datediff([a], 'today', 'y')", True),
        ("round(age_at_date([a], if([b]='', 'now', [b])))", True),
        ("datediff([a], [b], 'y')", False),
        ("if([a]='x', 'today', '')", False),
    ],
)
def test_a_calculation_that_looks_at_the_clock_is_known(text: str, drifts: bool) -> None:
    assert uses_today(parse_logic(text)) is drifts
