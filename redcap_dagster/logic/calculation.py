"""The logic that computes a field: a calculated field, `@CALCTEXT`, `@CALCDATE`."""

import re
from dataclasses import replace

from redcap_dagster.errors import LogicSyntaxError
from redcap_dagster.logic.annotation import find_action_tags, split_arguments
from redcap_dagster.logic.functions import CALCDATE, Parameter, find_function
from redcap_dagster.logic.parser import parse_logic
from redcap_dagster.logic.refuse import DATE_WORDS
from redcap_dagster.logic.tree import Call, Expression, Number, Text, walk
from redcap_dagster.project import DictionaryField, ValueKind, value_kind

_LENGTHS: dict[ValueKind, int] = {"date": 10, "datetime": 16, "datetime_seconds": 19}
_LONGEST = 19
_CALCDATE_ARGUMENTS = 3
_WORD = re.compile(r"(?P<quote>['\"]?)(today|now)(?P=quote)")


def parse_calculation(field: DictionaryField) -> Expression | None:
    """Parse what computes a field.

    Args:
        field: A line of the data dictionary.

    Returns:
        The formula of a calculated field, or of `@CALCTEXT` or `@CALCDATE` in the annotation;
        None where the field is typed by people. A tag inside `@IF` computes nothing: REDCap does
        not support that. The date of `@CALCDATE` is given as the field stores it.

    Raises:
        LogicError: The formula cannot be read.
    """
    if field.field_type == "calc":
        return parse_logic(field.definition) if field.definition.strip() else None
    for tag in find_action_tags(field.annotation):
        if tag.is_conditional or tag.argument is None:
            continue
        if tag.name == "@CALCTEXT":
            return parse_logic(tag.argument)
        if tag.name == "@CALCDATE":
            return _parse_calcdate(tag.argument, _LENGTHS.get(value_kind(field), _LONGEST))
    return None


def _parse_calcdate(argument: str, length: int) -> Expression:
    parts = split_arguments(argument)
    if len(parts) != _CALCDATE_ARGUMENTS:
        raise LogicSyntaxError(
            "@CALCDATE takes a date, an offset and a unit: @CALCDATE([visit_date], 7, 'd').",
            source=argument,
            start=0,
            end=len(argument),
        )
    # `today` is documented without quotes here, and here only.
    word = _WORD.fullmatch(parts[0])
    first = f"'{word[2]}'" if word else parts[0]
    call = parse_logic(f"{CALCDATE.name}({', '.join([first, *parts[1:]])})")
    root = call.root
    if not isinstance(root, Call):
        raise LogicSyntaxError("This is no date.", source=call.source, start=0, end=1)
    cut = Number(str(length), root.span)
    return replace(call, root=replace(root, arguments=(*root.arguments, cut)))


def uses_today(expression: Expression) -> bool:
    """Whether a result depends on the day it is calculated, so that a stored one drifts."""
    for node in walk(expression.root):
        function = find_function(node.name) if isinstance(node, Call) else None
        if function is not None and Parameter.DATE in function.parameters:
            words = (below for below in walk(node) if isinstance(below, Text))
            if any(word.value in DATE_WORDS for word in words):
                return True
    return False
