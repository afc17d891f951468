"""REDCap's functions in one table: name, arguments, result, meaning, where that is known from."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from redcap_dagster.logic.tree import Kind

Footing = Literal["seen", "documented", "inferred", "open"]
"""How a meaning is known: on a live server, from help text, by inference, or not at all for a
corner that is therefore an option (`LogicOptions`) or refused."""


class Parameter(Enum):
    """What a function takes at a place."""

    CONDITION = "condition"
    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    UNIT = "unit"
    SWITCH = "switch"
    BRANCH = "branch"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language.

    Attributes:
        name: As documented, in lower case; any case is accepted.
        parameters: What it takes, in order.
        required: How many arguments it needs at least.
        repeats_last: Whether the last parameter can be given any number of times.
        result: What it gives; None for `if`, which gives what its branches are.
        meaning: What it does, blanks included.
        footing: How the meaning is known.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: Kind | None
    meaning: str
    footing: Footing = "documented"
    required: int = 0
    repeats_last: bool = False

    def parameter(self, place: int) -> Parameter:
        """What the function takes at a place, counted from 0."""
        return self.parameters[min(place, len(self.parameters) - 1)]

    def takes(self, count: int) -> bool:
        """Whether it can be called with this many arguments."""
        return self.required <= count and (self.repeats_last or count <= len(self.parameters))

    @property
    def signature(self) -> str:
        """How it is written, such as `round(number[, number])`."""
        names = [parameter.value for parameter in self.parameters]
        needed = ", ".join(names[: self.required])
        optional = "".join(f"[, {name}]" for name in names[self.required :])
        return f"{self.name}({needed}{optional}{', …' if self.repeats_last else ''})"


_NUMBER, _TEXT, _DATE = Parameter.NUMBER, Parameter.TEXT, Parameter.DATE
_UNIT, _SWITCH = Parameter.UNIT, Parameter.SWITCH


def _number(
    name: str,
    parameters: tuple[Parameter, ...],
    meaning: str,
    footing: Footing = "documented",
    *,
    required: int | None = None,
    repeats: bool = False,
) -> Function:
    needed = len(parameters) if required is None else required
    return Function(name, parameters, Kind.NUMBER, meaning, footing, needed, repeats)


def _text(
    name: str, parameters: tuple[Parameter, ...], meaning: str, *, repeats: bool = False
) -> Function:
    return Function(name, parameters, Kind.TEXT, meaning, "documented", len(parameters), repeats)


def _condition(
    name: str, parameters: tuple[Parameter, ...], meaning: str, footing: Footing = "documented"
) -> Function:
    return Function(name, parameters, Kind.CONDITION, meaning, footing, len(parameters))


def _aggregate(name: str, meaning: str, footing: Footing = "documented") -> Function:
    return _number(
        name,
        (_NUMBER,),
        f"{meaning}; blanks are left out, all blank is blank",
        footing,
        repeats=True,
    )


_TABLE = (
    Function(
        "if",
        (Parameter.CONDITION, Parameter.BRANCH, Parameter.BRANCH),
        None,
        "the second argument where the first is true, else the third",
        required=3,
    ),
    _number(
        "round",
        (_NUMBER, _NUMBER),
        "rounded to so many decimals, 0 if not given; halves go up (below zero: option)",
        "seen",
        required=1,
    ),
    _number("roundup", (_NUMBER, _NUMBER), "rounded up (below zero: option)", required=1),
    _number("rounddown", (_NUMBER, _NUMBER), "rounded down (below zero: option)", required=1),
    _number("sqrt", (_NUMBER,), "square root; blank for a negative"),
    _number("abs", (_NUMBER,), "without its sign"),
    _number("exponential", (_NUMBER,), "e to this power"),
    _number(
        "log",
        (_NUMBER, _NUMBER),
        "logarithm, natural without a base; blank below and at 0",
        required=1,
    ),
    _number("mod", (_NUMBER, _NUMBER), "remainder (sign: option); blank for a divisor of 0"),
    _aggregate("min", "smallest"),
    _aggregate("max", "largest"),
    _aggregate("mean", "sum divided by the number of those that are not blank"),
    _aggregate("median", "middle one, or mean of the middle two"),
    _aggregate("sum", "sum (all blank: option)"),
    _aggregate("stdev", "standard deviation, of a sample (option)", "open"),
    _number(
        "datediff",
        (_DATE, _DATE, _UNIT, _SWITCH, _SWITCH),
        "time from the first to the second in y (365.2425 days), M (30.44 days), d, h, m or s, not "
        "rounded; absolute unless the switch is true; a date-format word is ignored",
        "seen",
        required=3,
    ),
    _number(
        "age_at_date",
        (_DATE, _DATE, _SWITCH),
        "completed calendar years; blank before birth; decimal ages are refused",
        required=2,
    ),
    _number("year", (_DATE,), "year of a date"),
    _number("month", (_DATE,), "month of a date"),
    _number("day", (_DATE,), "day of the month"),
    _number("dayoftheweek", (_DATE,), "1 for Monday to 7 for Sunday"),
    _condition("isnumber", (_NUMBER,), "is a number; a blank is not", "inferred"),
    _condition("isinteger", (_TEXT,), "is a whole number in digits; a blank is not", "inferred"),
    _condition("isblankormissingcode", (_TEXT,), "is blank or a missing data code"),
    _condition("isblanknotmissingcode", (_TEXT,), "is blank, and not a missing data code"),
    _condition("ismissingcode", (_TEXT,), "is a missing data code"),
    _condition("hasmissingcode", (_TEXT, _TEXT), "is one of these missing data codes, `'A,B'`"),
    _condition("contains", (_TEXT, _TEXT), "the first holds the second, capitals or not"),
    _condition("not_contain", (_TEXT, _TEXT), "the first does not hold the second"),
    _condition("starts_with", (_TEXT, _TEXT), "the first starts with the second, capitals or not"),
    _condition("ends_with", (_TEXT, _TEXT), "the first ends with the second, capitals or not"),
    _number("find", (_TEXT, _TEXT), "place of the first in the second, from 1; 0 if not there"),
    _text("left", (_TEXT, _NUMBER), "the first characters"),
    _text("right", (_TEXT, _NUMBER), "the last characters"),
    _text("mid", (_TEXT, _NUMBER, _NUMBER), "characters from a place on, the first being 1"),
    _number("length", (_TEXT,), "number of characters"),
    _text("trim", (_TEXT,), "without blanks around it"),
    _text("upper", (_TEXT,), "in capitals"),
    _text("lower", (_TEXT,), "in small letters"),
    _text("concat", (_TEXT,), "one after the other", repeats=True),
    _text("concat_ws", (_TEXT, _TEXT), "joined by the first; blanks left out", repeats=True),
    _text("replace_text", (_TEXT, _TEXT, _TEXT), "every second in the first becomes the third"),
)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
"""Every function that can be written in logic, by name."""

CALCDATE = Function(
    "@calcdate",
    (_DATE, _NUMBER, _UNIT, _NUMBER),
    Kind.TEXT,
    "the date of an `@CALCDATE` action tag, cut to so many characters",
    required=3,
)
"""What the action tag `@CALCDATE` becomes in a tree; no function of logic itself."""


def find_function(name: str) -> Function | None:
    """A function by its name in lower case, `@calcdate` among them; None if there is none."""
    return CALCDATE if name == CALCDATE.name else FUNCTIONS.get(name)
