"""From the text of a logic to its tree. Grammar: `grammar.lark`."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from redcap_dagster.errors import LogicSyntaxError, LogicUnsupportedError
from redcap_dagster.logic.mistakes import find_mistake
from redcap_dagster.logic.reference_text import parse_reference
from redcap_dagster.logic.tree import (
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Junction,
    Node,
    Not,
    Number,
    Power,
    Reference,
    Sign,
    Span,
    Text,
    Truth,
)

_ENTITIES = {
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&#34;": '"',
    "&#034;": '"',
    "&apos;": "'",
    "&#39;": "'",
    "&#039;": "'",
    "&amp;": "&",
}
_ENTITY = re.compile("|".join(map(re.escape, _ENTITIES)))
_COMMENT = re.compile(r"(?m:^)[ \t]*(#|//)[^\n]*")
_DEEPEST = 150
_ESCAPED_QUOTE = re.compile(r"\\(['\"])")


@lru_cache(maxsize=4096)
def parse_logic(text: str) -> Expression:
    """Parse a branching logic, calculation, filter or rule.

    HTML entities that exports can hold (`&lt;`, `&quot;`, …) are read as the signs they stand
    for; places then refer to the text with the signs.

    Args:
        text: The logic. A blank one is refused: what blank means ("always shown") is for the
            caller to say.

    Raises:
        LogicSyntaxError: The text is not REDCap logic; the error names typical mistakes.
        LogicUnsupportedError: A comment stands after code on the same line.

    Source:
        docs/logic.md (lexical rules, grammar).
    """
    source = _ENTITY.sub(lambda found: _ENTITIES[found.group()], text)
    try:
        parsed = _lark().parse(source)
    except UnexpectedInput as error:
        raise _explain(source, _place(error, source)) from None
    return Expression(_build(parsed, source), source)


@cache
def _lark() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _place(error: UnexpectedInput, source: str) -> int:
    # At the end of the text lark names the last token's place.
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return len(source)
    place: Any = error.pos_in_stream
    return int(place)


def _explain(source: str, place: int) -> LogicSyntaxError | LogicUnsupportedError:
    if not _COMMENT.sub("", source).strip():
        return LogicSyntaxError("The logic is blank.", source=source, start=0, end=0)
    start = _same_line_comment(source, place)
    if start is not None:
        return LogicUnsupportedError(
            "A comment after code on the same line: whether REDCap takes it is not certain. "
            "Put the comment on a line of its own.",
            source=source,
            start=start,
            end=start + len(source[start:].split("\n", maxsplit=1)[0]),
        )
    mistake = find_mistake(source, place)
    return LogicSyntaxError(
        mistake.reason, source=source, start=mistake.start, end=min(mistake.end, len(source))
    )


def _same_line_comment(source: str, place: int) -> int | None:
    if source.startswith("#", place):
        return place
    for start in (place - 1, place):
        if start >= 0 and source.startswith("//", start):
            return start
    return None


def _span(meta: Any) -> Span:
    return Span(meta.start_pos, meta.end_pos)


def _build(parsed: Tree[Token], source: str) -> Node:
    """Build our tree from lark's, leaves first, without recursion: logic can be deeply nested."""
    builder = _Builder(source)
    built: dict[int, Any] = {}
    depths: dict[int, int] = {}
    for branch in parsed.iter_subtrees():
        below = [item for item in branch.children if isinstance(item, Tree)]
        depth = 1 + max((depths[id(item)] for item in below), default=0)
        if depth > 2 * _DEEPEST:
            span = _span(branch.meta)
            raise LogicUnsupportedError(
                f"The logic is nested more than {_DEEPEST} deep.",
                source=source,
                start=span.start,
                end=span.end,
            )
        items = [built[id(item)] if isinstance(item, Tree) else item for item in branch.children]
        built[id(branch)] = getattr(builder, branch.data)(branch.meta, items)
        depths[id(branch)] = depth
    root: Node = built[id(parsed)]
    return root


class _Builder:
    """One method for each rule of the grammar: from its place and its parts to a node."""

    def __init__(self, source: str) -> None:
        self._source = source

    def number(self, meta: Any, items: list[Token]) -> Number:
        return Number(str(items[0]), _span(meta))

    def text(self, meta: Any, items: list[Token]) -> Text:
        return Text(_ESCAPED_QUOTE.sub(r"\1", items[0][1:-1]), _span(meta))

    def truth(self, meta: Any, items: list[Token]) -> Truth:
        return Truth(items[0].lower() == "true", _span(meta))

    def reference(self, meta: Any, items: list[Token]) -> Reference:
        return parse_reference(str(items[0]), self._source, meta.start_pos)

    def arguments(self, _meta: Any, items: list[Node]) -> tuple[Node, ...]:
        return tuple(items)

    def call(self, meta: Any, items: list[Any]) -> Call:
        return Call(items[0].lower(), items[1] or (), _span(meta))

    def group(self, _meta: Any, items: list[Node]) -> Node:
        return items[0]

    def power(self, meta: Any, items: list[Node]) -> Power:
        return Power(items[0], items[1], _span(meta))

    def signed(self, meta: Any, items: list[Any]) -> Sign:
        return Sign("-" if items[0] == "-" else "+", items[1], _span(meta))

    def product(self, meta: Any, items: list[Any]) -> Arithmetic:
        return Arithmetic(items[0], _pairs(items), _span(meta))

    def sum(self, meta: Any, items: list[Any]) -> Arithmetic:
        return Arithmetic(items[0], _pairs(items), _span(meta))

    def comparison(self, meta: Any, items: list[Any]) -> Comparison:
        left, operator, right = items
        sign = "<>" if operator == "!=" else str(operator)
        return Comparison(sign, left, right, _span(meta))  # type: ignore[arg-type]

    def negated(self, meta: Any, items: list[Node]) -> Not:
        return Not(items[0], _span(meta))

    def conjunction(self, meta: Any, items: list[Node]) -> Junction:
        return Junction("and", tuple(items), _span(meta))

    def disjunction(self, meta: Any, items: list[Node]) -> Junction:
        return Junction("or", tuple(items), _span(meta))


def _pairs(items: list[Any]) -> tuple[Any, ...]:
    return tuple((str(items[at]), items[at + 1]) for at in range(1, len(items), 2))
