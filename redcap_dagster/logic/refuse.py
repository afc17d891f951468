"""What an expression alone shows to be wrong or unsupported, without a look at the study."""

from collections.abc import Iterator
from difflib import get_close_matches

from redcap_dagster.errors import (
    LogicError,
    LogicNameError,
    LogicTypeError,
    LogicUnsupportedError,
)
from redcap_dagster.logic.functions import FUNCTIONS, Function, Parameter, find_function
from redcap_dagster.logic.moments import NO_MOMENT, UNIT_SECONDS, parse_moment
from redcap_dagster.logic.options import LogicOptions
from redcap_dagster.logic.smart import (
    EVENT_PARTS,
    INSTANCE_PARTS,
    SMART_VARIABLES,
    why_unsupported,
)
from redcap_dagster.logic.tree import (
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Node,
    Reference,
    Text,
    Truth,
    walk,
)

DATE_WORDS = frozenset({"today", "now"})
FORMAT_WORDS = frozenset({"mdy", "dmy", "ymd"})
SWITCH_WORDS = {"true": True, "false": False}


def find_refusals(expression: Expression, options: LogicOptions) -> Iterator[LogicError]:
    """Everything in an expression that no study could evaluate, in the order of the text."""
    for node in walk(expression.root):
        for kind, reason in _refusals(node, options):
            yield error_at(kind, reason, node, expression)


def error_at(kind: type[LogicError], reason: str, node: Node, expression: Expression) -> LogicError:
    """An error that points at a node."""
    return kind(reason, source=expression.source, start=node.span.start, end=node.span.end)


_Refusal = tuple[type[LogicError], str]


def _refusals(node: Node, options: LogicOptions) -> Iterator[_Refusal]:
    if isinstance(node, Call):
        yield from _call_refusals(node)
    elif isinstance(node, Reference):
        yield from _reference_refusals(node)
    elif isinstance(node, Arithmetic) and not options.percent_is_mod:
        if any(operator == "%" for operator, _ in node.rest):
            yield (
                LogicUnsupportedError,
                "% is not documented: write mod(a, b), or set the option percent_is_mod.",
            )
    elif isinstance(node, Comparison):
        yield from _comparison_refusals(node)


def _comparison_refusals(node: Comparison) -> Iterator[_Refusal]:
    for side in (node.left, node.right):
        if isinstance(side, Text) and side.value in DATE_WORDS:
            yield (
                LogicUnsupportedError,
                (
                    f"'{side.value}' is a date in date functions only: "
                    "write datediff([field], 'today', 'd', true) > 0."
                ),
            )


def _call_refusals(node: Call) -> Iterator[_Refusal]:
    function = find_function(node.name)
    if function is None:
        near = get_close_matches(node.name, FUNCTIONS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        yield LogicNameError, f"There is no function {node.name}.{hint}"
        return
    if not function.takes(len(node.arguments)):
        yield (
            LogicTypeError,
            (
                f"{function.name} does not take {len(node.arguments)} argument(s): "
                f"{function.signature}."
            ),
        )
        return
    for place, argument in enumerate(node.arguments):
        yield from _argument_refusals(function, place, argument)


def _argument_refusals(function: Function, place: int, argument: Node) -> Iterator[_Refusal]:
    parameter = function.parameter(place)
    if parameter is Parameter.DATE:
        yield from _date_refusals(function, argument)
    elif parameter is Parameter.UNIT:
        if not isinstance(argument, Text) or argument.value not in UNIT_SECONDS:
            yield (
                LogicTypeError,
                (
                    f"The unit of {function.name.lstrip('@')} is one of 'y', 'M', 'd', 'h', 'm', "
                    "'s' (M is a month, m a minute)."
                ),
            )
    elif parameter is Parameter.SWITCH:
        yield from _switch_refusals(function, argument)


def _date_refusals(function: Function, argument: Node) -> Iterator[_Refusal]:
    is_word = isinstance(argument, Text) and argument.value in DATE_WORDS | {""}
    if isinstance(argument, Text) and not is_word and parse_moment(argument.value) == NO_MOMENT:
        yield (
            LogicTypeError,
            (
                f"{function.name.lstrip('@')} takes a date: a field, 'today', 'now', or year first "
                "as in '2024-03-01'."
            ),
        )


def _switch_refusals(function: Function, argument: Node) -> Iterator[_Refusal]:
    switch = read_switch(argument)
    if switch is None and not (function.name == "datediff" and is_format_word(argument)):
        yield LogicTypeError, f"The last argument of {function.name} is true or false."
    elif switch and function.name == "age_at_date":
        yield LogicUnsupportedError, "How REDCap counts the decimals of an age is not certain."


def read_switch(node: Node) -> bool | None:
    """`true` or `false`, also in quotes; None for anything else."""
    if isinstance(node, Truth):
        return node.value
    return SWITCH_WORDS.get(node.value.lower()) if isinstance(node, Text) else None


def is_format_word(node: Node) -> bool:
    """Whether a node is the date-format word of old `datediff` calls."""
    return isinstance(node, Text) and node.value.lower() in FORMAT_WORDS


def _reference_refusals(node: Reference) -> Iterator[_Refusal]:
    if node.is_smart:
        yield from _smart_refusals(node)
    else:
        for modifier in node.modifiers:
            if modifier != "value":
                yield (
                    LogicUnsupportedError,
                    f":{modifier} is for piping into text: logic takes raw values only.",
                )
    if node.event is not None and "-" in node.event and node.event not in EVENT_PARTS:
        yield LogicUnsupportedError, f"[{node.event}] cannot stand before a field."
    part = node.instance
    if part is not None and not part.isdigit() and part not in INSTANCE_PARTS:
        yield LogicUnsupportedError, f"[{part}] after a field: {why_unsupported(part)}."


def _smart_refusals(node: Reference) -> Iterator[_Refusal]:
    variable = SMART_VARIABLES.get(node.name)
    if variable is None:
        yield LogicUnsupportedError, f"[{node.name}]: {why_unsupported(node.name)}."
    elif variable.source == "timestamp":
        if len(node.modifiers) != 2 or node.modifiers[1] != "value":  # noqa: PLR2004
            yield (
                LogicUnsupportedError,
                (
                    f"[{node.name}] needs its instrument and :value, or its format is the user's: "
                    f"[{node.name}:instrument:value]."
                ),
            )
    elif node.code or node.modifiers or node.event or node.instance:
        yield (
            LogicUnsupportedError,
            f"[{node.name}] is supported alone, without other parts.",
        )
