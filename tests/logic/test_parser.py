"""From text to tree, and what is said about text that is no logic."""

from typing import Any

import pytest

from redcap_dagster.errors import LogicError, LogicSyntaxError, LogicUnsupportedError
from redcap_dagster.logic import Reference, parse_logic, references
from redcap_dagster.logic.tree import (
    Arithmetic,
    Call,
    Comparison,
    Junction,
    Number,
    Span,
    Text,
    walk,
)

HERE = Span(0, 0)


def ref(name: str, **parts: Any) -> Reference:
    return Reference(name, HERE, **parts)


def number(text: str) -> Number:
    return Number(text, HERE)


def test_and_binds_tighter_than_or() -> None:
    found = parse_logic("[a]=1 or [b]=1 and [c]=1").root
    a, b, c = (Comparison("=", ref(name), number("1"), HERE) for name in "abc")
    assert found == Junction("or", (a, Junction("and", (b, c), HERE)), HERE)


def test_a_chain_is_one_node() -> None:
    chain = parse_logic("[a]-1+2").root
    assert chain == Arithmetic(ref("a"), (("-", number("1")), ("+", number("2"))), HERE)
    parse_logic("+".join(["[a]"] * 5000))


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("[Age]", ref("age")),
        ("[race(2)]", ref("race", code="2")),
        ("[race(k>=9)]", ref("race", code="k>=9")),
        ("[base_arm_1][w]", ref("w", event="base_arm_1")),
        ("[w][2]", ref("w", instance="2")),
        ("[w][last-instance]", ref("w", instance="last-instance")),
        ("[first-event-name][w][1]", ref("w", event="first-event-name", instance="1")),
        ("[w:value]", ref("w", modifiers=("value",))),
        ("[event-name]", ref("event-name")),
        ("[arm-number:a:value]", ref("arm-number", modifiers=("a", "value"))),
    ],
)
def test_references_have_up_to_three_parts(text: str, reference: Reference) -> None:
    assert parse_logic(text).root == reference


def test_places_are_those_of_the_text() -> None:
    text = "if([a] = 'x',\n  [b],\n  round([c], 1))"
    for node in walk(parse_logic(text).root):
        if isinstance(node, (Reference, Text, Number, Call)):
            piece = text[node.span.start : node.span.end]
            assert parse_logic(piece).root == node


def test_a_comment_is_a_line_of_its_own_and_not_inside_a_text() -> None:
    assert parse_logic("  # adults\n[a]='x\n# y'\n// end").root == Comparison(
        "=", ref("a"), Text("x\n# y", HERE), HERE
    )


def test_references_are_listed_once_in_the_order_of_the_text() -> None:
    found = references(parse_logic("[b]=1 and [a]=[b] and [c][1]=[c]"))
    assert found == (ref("b"), ref("a"), ref("c", instance="1"), ref("c"))


@pytest.mark.parametrize(
    ("text", "start", "words"),
    [
        ("[a]==1", 3, "write = instead of =="),
        ("[a]===1", 3, "write = instead of ==="),
        ("[a]=1 && [b]=2", 6, "write and instead of &&"),
        ("[a]=1 || [b]=2", 6, "write or instead of ||"),
        ("[a]=>1", 3, "Write >= instead of =>"),
        ("[a]!1", 3, "REDCap has no !"),
        ("[a]=\u201c1\u201d", 4, "typographic quote"),
        ("[a]\u00a0=1", 3, "non-breaking or invisible blank"),
        ("[v_arm_1] [b]=1", 9, "a blank between two bracket pairs"),
        ("[a][b]=1 [c]=2", 9, "operator is missing"),
        ("([a]=1", 0, "parenthesis is never closed"),
        ("[a]=1)", 5, "parenthesis was never opened"),
        ("[a]='x", 4, "quote is never closed"),
        ("[a=1", 0, "bracket is never closed"),
        ("[a]]=1", 3, "bracket was never opened"),
        ("gender=1", 0, r"\[gender\] or 'gender'"),
        ("[a]=Enrolled", 4, r"\[Enrolled\] or 'Enrolled'"),
        ("1,000", 1, "thousands sign"),
        ("if([a]=1;2;3)", 8, "not with a semicolon"),
        ("[a]<[b]<3", 7, "cannot be chained"),
        ("[a]=1 or", 8, "missing at the end"),
        ("[ a]=1", 1, "blank inside the brackets"),
        ("[]=1", 1, "brackets are empty"),
        ("[a][b][c]=1", 7, "third part of a reference is an instance"),
        ("[a][b][c][1]=1", 0, "at most three parts"),
        ("[a(1)][b]=1", 1, "not a variable name"),
        ("sum([a],)", 8, "not expected here"),
        ("", 0, "blank"),
        ("# only\n", 0, "blank"),
    ],
)
def test_typical_mistakes_are_named_at_their_place(text: str, start: int, words: str) -> None:
    with pytest.raises(LogicSyntaxError, match=words) as caught:
        parse_logic(text)
    assert caught.value.start == start


def test_an_error_draws_the_line_and_a_caret() -> None:
    with pytest.raises(LogicError) as caught:
        parse_logic("[age] >= 18\nand\n\t[sex]==1")
    assert str(caught.value) == (
        "REDCap compares with one equals sign: write = instead of ==. (line 3, column 7)\n"
        "    \t[sex]==1\n"
        "    \t     ^^"
    )


@pytest.mark.parametrize("text", ["[a]=1 # note", "[a]=1 // note", "[a]=1 and // note\n[b]=1"])
def test_a_comment_after_code_is_refused_by_name(text: str) -> None:
    with pytest.raises(LogicUnsupportedError, match="comment after code on the same line"):
        parse_logic(text)


def test_very_deep_logic_is_refused_and_deep_logic_is_not() -> None:
    parse_logic("if([a]=1," * 100 + "1" + ",2)" * 100)
    with pytest.raises(LogicUnsupportedError, match="nested more than"):
        parse_logic("if([a]=1," * 400 + "1" + ",2)" * 400)


def test_words_of_the_language_are_no_function_names() -> None:
    assert parse_logic("not([a]=1)and(not [b]=2)or[c]=3")
    with pytest.raises(LogicSyntaxError):
        parse_logic("1 + and([a], [b])")
