"""A fault: its kind, its options, and the requests it strikes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from redcap_dagster.emulator.errors import EmulatorError
from redcap_dagster.emulator.faults.kinds import (
    KINDS_BY_NAME,
    SELECTED_KINDS,
    SELECTION,
    Kind,
    Option,
    Value,
)


@dataclass(frozen=True)
class Fault:
    """One fault that was asked for.

    Attributes:
        kind: Its name in the table of kinds.
        options: Every option of that kind, defaults among them.
    """

    kind: str
    options: Mapping[str, Value] = field(default_factory=dict)

    def text(self, option: str) -> str:
        """Return an option that is a word."""
        return str(self.options[option])

    def whole(self, option: str) -> int:
        """Return an option that is a whole number."""
        return int(self.options[option])

    def number(self, option: str) -> float:
        """Return an option that is a number."""
        return float(self.options[option])

    @property
    def contents(self) -> frozenset[str]:
        """The only `content` it strikes; empty for all."""
        return frozenset(name for name in self.text("content").split("+") if name)


def parse_fault(spec: str) -> Fault:
    """Read a spec such as `status:code=502,share=0.1,content=record`.

    Raises:
        EmulatorError: There is no such fault or option, or a value is none.
    """
    name, _, rest = spec.partition(":")
    given: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        option, equals, value = part.partition("=")
        if not equals:
            raise EmulatorError(f"The fault {spec!r} says {part!r}: write option=value.")
        given[option.strip()] = value.strip()
    return build_fault(name.strip(), given)


def build_fault(name: str, given: Mapping[str, Value]) -> Fault:
    """Build a fault from its kind and the options that are not as by default.

    Raises:
        EmulatorError: There is no such fault or option, or a value is none.
    """
    kind = KINDS_BY_NAME.get(name)
    if kind is None:
        raise EmulatorError(f"There is no fault {name!r}; there are {', '.join(KINDS_BY_NAME)}.")
    known = {option.name: option for option in _options_of(kind)}
    for unknown in sorted(set(given) - set(known)):
        raise EmulatorError(
            f"The fault {name} has no option {unknown!r}; it has {', '.join(known)}."
        )
    for option in known.values():
        if option.needed and option.name not in given:
            raise EmulatorError(f"The fault {name} needs the option {option.name}.")
    options = {
        option.name: _value(name, option, given[option.name])
        if option.name in given
        else option.default
        for option in known.values()
    }
    return Fault(name, options)


def _options_of(kind: Kind) -> tuple[Option, ...]:
    return (*kind.options, *(SELECTION if kind.name in SELECTED_KINDS else ()))


def _value(fault: str, option: Option, given: Value) -> Value:
    try:
        value = type(option.default)(given)
    except ValueError as error:
        raise EmulatorError(
            f"The option {option.name} of the fault {fault} is no number: {given!r}."
        ) from error
    if option.words and value not in option.words:
        raise EmulatorError(
            f"The option {option.name} of the fault {fault} is one of {', '.join(option.words)}."
        )
    return value
