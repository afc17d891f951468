"""The circumstances of an evaluation, and making a tree ready for them."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache

from redcap_dagster.errors import LogicError, LogicNameError, LogicUnsupportedError
from redcap_dagster.logic.functions import CALCDATE, Parameter, find_function
from redcap_dagster.logic.options import DEFAULT_OPTIONS, LogicOptions
from redcap_dagster.logic.refuse import (
    DATE_WORDS,
    error_at,
    find_refusals,
    is_format_word,
    read_switch,
)
from redcap_dagster.logic.shape import StudyShape
from redcap_dagster.logic.smart import SMART_VARIABLES
from redcap_dagster.logic.tree import (
    Call,
    Expression,
    Node,
    Number,
    Reference,
    Text,
    Truth,
    rebuild,
    walk,
)

_MISSING_CODE_FUNCTIONS = frozenset({"isblankormissingcode", "ismissingcode", "hasmissingcode"})
_ROUNDING = frozenset({"round", "roundup", "rounddown"})


@dataclass(frozen=True)
class Setting:
    """What an evaluation needs beside the expression and the data.

    Attributes:
        shape: The study's design, as logic looks at it.
        instrument: Instrument that the logic belongs to, for `[instrument-name]`.
        as_of: What `today` and `now` mean. A date has no `now`.
        options: What the documentation leaves open.
    """

    shape: StudyShape = field(default_factory=lambda: StudyShape(None))
    instrument: str | None = None
    as_of: date | datetime | None = None
    options: LogicOptions = DEFAULT_OPTIONS

    @property
    def missing_codes(self) -> frozenset[str] | None:
        """The project's missing data codes; None where nobody knows them."""
        if self.options.missing_codes is not None or self.shape.project is None:
            return self.options.missing_codes
        return frozenset(item.code for item in self.shape.project.info.missing_data_codes)


def prepare(expression: Expression, setting: Setting) -> Expression:
    """Make an expression ready for the evaluators, or refuse it.

    What can be settled before a row is seen is settled here, once for both evaluators: `today`
    and `now` become dates, old forms of `datediff` the new one, left-out arguments their default.

    Raises:
        LogicError: The first thing that cannot be evaluated: see `find_refusals`; or the setting
            lacks what the expression asks for.
    """
    checked = _without_refusals(expression, expression.source, setting.options)
    for node in walk(checked.root):
        _require(node, checked, setting)
    root = rebuild(checked.root, lambda node: _settle(node, setting, checked))
    return replace(checked, root=root)


@lru_cache(maxsize=4096)
def _without_refusals(expression: Expression, _source: str, options: LogicOptions) -> Expression:
    # The source is part of the key: two equal trees can come from different texts.
    for error in find_refusals(expression, options):
        raise error
    return expression


def _require(node: Node, expression: Expression, setting: Setting) -> None:
    if isinstance(node, Call) and node.name in _MISSING_CODE_FUNCTIONS:
        if setting.missing_codes is None:
            raise error_at(
                LogicUnsupportedError,
                f"{node.name} needs the project's missing data codes: pass the project, or "
                "LogicOptions(missing_codes=...).",
                node,
                expression,
            )
    elif isinstance(node, Reference):
        for error in reference_needs(node, expression, setting):
            raise error


def reference_needs(node: Reference, expression: Expression, setting: Setting) -> list[LogicError]:
    """What a reference asks for and the setting does not have: fields, events, the design."""
    shape = setting.shape
    if shape.project is None:
        if node.is_smart or node.event or node.instance:
            reason = "Events, instances and smart variables need the study's design: pass project."
            return [error_at(LogicUnsupportedError, reason, node, expression)]
        return []
    found: list[tuple[type[LogicError], str]] = []
    variable = SMART_VARIABLES.get(node.name)
    if variable is None:
        if shape.instrument_of(node.name) is None:
            found.append((LogicNameError, f"The study has no field {node.name}."))
    elif variable.source == "instrument" and setting.instrument is None:
        found.append((LogicUnsupportedError, f"[{node.name}] needs instrument= to be passed."))
    elif variable.source == "timestamp":
        # Without an instrument it is refused as written: see `find_refusals`.
        found += [
            (LogicNameError, f"The study has no instrument {name}.")
            for name in node.modifiers[:1]
            if name not in shape.instruments
        ]
    is_named = node.event is not None and "-" not in node.event
    if is_named and shape.event(node.event or "") is None:
        found.append((LogicNameError, f"The study has no event {node.event}."))
    return [error_at(kind, reason, node, expression) for kind, reason in found]


def _settle(node: Node, setting: Setting, expression: Expression) -> Node:
    if not isinstance(node, Call):
        return node
    function = find_function(node.name)
    if function is None:
        return node
    arguments = [
        _dated(argument, setting.as_of, expression)
        if function.parameter(place) is Parameter.DATE
        else argument
        for place, argument in enumerate(node.arguments)
    ]
    if node.name == "datediff":
        arguments = [*arguments[:3], _signed(node)]
    elif node.name == "age_at_date":
        arguments = arguments[:2]
    elif node.name == CALCDATE.name and len(arguments) == CALCDATE.required:
        arguments.append(Number("19", node.span))
    elif node.name in _ROUNDING and len(arguments) == 1:
        arguments.append(Number("0", node.span))
    return replace(node, arguments=tuple(arguments))


def _signed(node: Call) -> Truth:
    switches = [item for item in node.arguments[3:] if not is_format_word(item)]
    return Truth(any(read_switch(item) for item in switches), node.span)


def _dated(argument: Node, as_of: date | datetime | None, expression: Expression) -> Node:
    if isinstance(argument, Call) and argument.name == "if":
        branches = (_dated(branch, as_of, expression) for branch in argument.arguments[1:])
        return replace(argument, arguments=(argument.arguments[0], *branches))
    if not isinstance(argument, Text) or argument.value not in DATE_WORDS:
        return argument
    if as_of is None or (argument.value == "now" and not isinstance(as_of, datetime)):
        what = "a date" if as_of is None else "a date with time"
        raise error_at(
            LogicUnsupportedError,
            f"'{argument.value}' needs {what} to stand for: pass as_of.",
            argument,
            expression,
        )
    if argument.value == "today" or not isinstance(as_of, datetime):
        return Text(as_of.strftime("%Y-%m-%d"), argument.span)
    return Text(as_of.strftime("%Y-%m-%d %H:%M:%S"), argument.span)
