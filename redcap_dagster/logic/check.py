"""Hold an expression against a study's design: names, and what can be done with them."""

from collections.abc import Iterator
from difflib import get_close_matches

from redcap_dagster.errors import (
    LogicError,
    LogicNameError,
    LogicTypeError,
    LogicUnsupportedError,
)
from redcap_dagster.logic.functions import Parameter, find_function
from redcap_dagster.logic.moments import NO_MOMENT, parse_moment
from redcap_dagster.logic.numbers import parse_number
from redcap_dagster.logic.options import DEFAULT_OPTIONS, LogicOptions
from redcap_dagster.logic.refuse import error_at, find_refusals
from redcap_dagster.logic.setting import Setting, reference_needs
from redcap_dagster.logic.shape import StudyShape
from redcap_dagster.logic.smart import SMART_VARIABLES
from redcap_dagster.logic.tree import (
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Node,
    Power,
    Reference,
    Sign,
    Text,
    children,
    walk,
)
from redcap_dagster.project import DictionaryField, RedcapProject, value_kind

_Finding = tuple[type[LogicError], str]

_DATES = frozenset({"date", "datetime", "datetime_seconds"})
_MAY_BE_DATES = _DATES | {"text"}
_TAKES_ANY_TEXT = frozenset(
    {
        "isinteger",
        "isblankormissingcode",
        "isblanknotmissingcode",
        "ismissingcode",
        "hasmissingcode",
    }
)


def check_logic(
    expression: Expression,
    project: RedcapProject,
    *,
    instrument: str | None = None,
    options: LogicOptions = DEFAULT_OPTIONS,
) -> tuple[LogicError, ...]:
    """Check an expression against a study's design.

    Args:
        expression: What `parse_logic` returned.
        project: The study's design.
        instrument: Instrument that the logic belongs to, for `[instrument-name]`.
        options: What the documentation leaves open.

    Returns:
        Everything that is wrong, each with its place, in the order of the text; () if nothing is:
        `LogicNameError` for names that are not there, `LogicTypeError` for what cannot be done
        with a field, `LogicUnsupportedError` for what is refused rather than guessed.

    Examples:
        >>> from redcap_dagster.logic import parse_logic
        >>> from redcap_dagster.project import (
        ...     DictionaryField, Instrument, ProjectInfo, RedcapProject)
        >>> visit = Instrument("visit", "Visit", (DictionaryField("record_id", "visit", "text"),))
        >>> project = RedcapProject(ProjectInfo(1, "Study"), "14.0.0", (visit,))
        >>> for error in check_logic(parse_logic("[age] >= 18"), project):
        ...     print(error)
        The study has no field age. (line 1, column 1)
            [age] >= 18
            ^^^^^
    """
    setting = Setting(StudyShape(project), instrument, options=options)
    found = list(find_refusals(expression, options))
    for node in walk(expression.root):
        if isinstance(node, Reference):
            missing = reference_needs(node, expression, setting)
            found += missing
            reported = () if missing else _check_reference(node, setting)
        else:
            reported = _check_use(node, setting)
        found += [error_at(kind, reason, node, expression) for kind, reason in reported]
    found += _check_files(expression, project)
    return tuple(sorted(found, key=lambda error: (error.start, error.end)))


def _check_reference(node: Reference, setting: Setting) -> Iterator[_Finding]:
    shape = setting.shape
    variable = SMART_VARIABLES.get(node.name)
    asks_event = variable is not None and variable.source == "event"
    if not shape.is_longitudinal and (node.event is not None or asks_event):
        yield LogicNameError, "The project is not longitudinal: it has no events."
        return
    if node.is_smart:
        return
    instrument = shape.instrument_of(node.name) or ""
    yield from _check_place(node, instrument, shape)
    field = _field(node, shape)
    if field is not None:
        yield from _check_code(node, field, setting)


def _check_place(node: Reference, instrument: str, shape: StudyShape) -> Iterator[_Finding]:
    if shape.is_record_id(node.name):
        return
    is_named = node.event is not None and "-" not in node.event
    if is_named and not shape.is_designated(instrument, node.event or ""):
        yield (
            LogicNameError,
            f"The instrument {instrument} is not used in the event {node.event}: always blank.",
        )
    events = [node.event or ""] if is_named else shape.events
    modes = {shape.repeat_mode(instrument, event) for event in events}
    if node.instance is not None and modes == {"ordinary"}:
        yield LogicTypeError, f"{node.name} does not repeat: take [{node.instance}] out."


def _check_code(node: Reference, field: DictionaryField, setting: Setting) -> Iterator[_Finding]:
    if field.field_type == "descriptive":
        yield LogicTypeError, f"{field.name} is a descriptive field: it holds no data."
    elif field.field_type != "checkbox":
        if node.code is not None:
            yield LogicTypeError, f"{field.name} is no checkbox: write [{field.name}]."
    elif node.code is None:
        yield (
            LogicTypeError,
            f"{field.name} is a checkbox: ask for one choice, [{field.name}(1)].",
        )
    else:
        codes = [choice.code for choice in field.choices]
        if node.code not in codes and node.code not in (setting.missing_codes or ()):
            near = get_close_matches(node.code, codes, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            yield LogicNameError, f"{field.name} has no choice {node.code}.{hint}"


def _check_use(node: Node, setting: Setting) -> Iterator[_Finding]:
    if isinstance(node, (Arithmetic, Power, Sign)):
        for operand in children(node):
            yield from _check_number(operand, setting)
    elif isinstance(node, Comparison):
        yield from _check_date_literal(node.left, node.right, setting)
        yield from _check_date_literal(node.right, node.left, setting)
    elif isinstance(node, Call):
        yield from _check_call(node, setting)


def _check_number(operand: Node, setting: Setting) -> Iterator[_Finding]:
    if isinstance(operand, Text) and operand.value and parse_number(operand.value) is None:
        yield LogicTypeError, "A text that is no number cannot be calculated with."
    if _kind(operand, setting) in _DATES:
        yield LogicUnsupportedError, "Dates cannot be calculated with: use datediff."


def _check_date_literal(field: Node, literal: Node, setting: Setting) -> Iterator[_Finding]:
    if not isinstance(literal, Text) or _kind(field, setting) not in _DATES:
        return
    is_code = literal.value in (setting.missing_codes or ())
    if literal.value and not is_code and parse_moment(literal.value) == NO_MOMENT:
        yield LogicTypeError, "Dates are stored year first: compare with such as '2024-03-01'."


def _check_call(node: Call, setting: Setting) -> Iterator[_Finding]:
    function = find_function(node.name)
    if function is None or not function.takes(len(node.arguments)):
        return
    for place, argument in enumerate(node.arguments):
        parameter = function.parameter(place)
        kind = _kind(argument, setting)
        if parameter is Parameter.NUMBER and node.name != "isnumber":
            yield from _check_number(argument, setting)
        elif parameter is Parameter.DATE and kind is not None and kind not in _MAY_BE_DATES:
            yield LogicTypeError, f"{node.name.lstrip('@')} takes dates: this field holds none."
        elif parameter is Parameter.TEXT and node.name not in _TAKES_ANY_TEXT:
            yield from _check_text(argument, setting)


def _check_text(argument: Node, setting: Setting) -> Iterator[_Finding]:
    field = _field(argument, setting.shape) if isinstance(argument, Reference) else None
    if field is not None and field.validation.endswith(("_mdy", "_dmy")):
        yield (
            LogicUnsupportedError,
            "Text functions on a date that is shown day or month first are not reliable in REDCap.",
        )


def _check_files(expression: Expression, project: RedcapProject) -> list[LogicError]:
    """Fields that hold a file can only be compared with a blank."""
    compared: set[int] = set()
    for node in walk(expression.root):
        if isinstance(node, Comparison) and node.operator in {"=", "<>"}:
            sides = (node.left, node.right)
            if any(isinstance(side, Text) and side.value == "" for side in sides):
                compared |= {id(side) for side in sides}
    return [
        error_at(
            LogicTypeError,
            f"{node.name} holds a file: compare it with a blank, [{node.name}]<>''.",
            node,
            expression,
        )
        for node in walk(expression.root)
        if isinstance(node, Reference) and id(node) not in compared and _is_file(node, project)
    ]


def _is_file(node: Reference, project: RedcapProject) -> bool:
    field = project.fields_by_name.get(node.name)
    return field is not None and field.field_type == "file"


def _field(node: Reference, shape: StudyShape) -> DictionaryField | None:
    return None if shape.project is None else shape.project.fields_by_name.get(node.name)


def _kind(node: Node, setting: Setting) -> str | None:
    """Kind of the values of a field; None for anything else."""
    if not isinstance(node, Reference):
        return None
    field = _field(node, setting.shape)
    return None if field is None else value_kind(field)
