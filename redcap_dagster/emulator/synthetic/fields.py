"""Made-up fields, and for each of its columns a pool of values that are valid for it."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from redcap_dagster.emulator.design import IMPLIED_CHOICES, Choice, Field
from redcap_dagster.emulator.names import checkbox_column

# A prime, so that every step through a pool meets all of its values.
POOL_SIZE = 101
_BLANK_SHARE = 0.15
_MISSING_SHARE = 0.04
_FIRST_DAY = date(2019, 1, 1)
_DAYS = 2000
# Texts that naive readers turn into numbers, dates, nulls, formulas or more columns.
_WORDS = (
    "007",
    "1e5",
    "NA",
    "NULL",
    "true",
    "-",
    "O'Brien",
    'a "quoted" word',
    "comma, separated",
    "semi;colon",
    "<b>bold</b> & more",
    "=1+1",
    "back\\slash",
    "Zoë Ångström",
    "漢字 ✓",
    "plain",
    "two words",
)
_NOTES = (*_WORDS, "one line\nand another", "first\r\n\r\nthird", "tab\there")
_RADIO = (Choice("1", "Mild"), Choice("2", "Moderate"), Choice("3", "Severe"), Choice("-9", "?"))
_DROPDOWN = (Choice("a", "Clinic A"), Choice("b_2", "Clinic B, second"), Choice("03", "Clinic C"))
_CHECKBOX = (Choice("1", "Cough"), Choice("2", "Wheeze"), Choice("-1", "None of these"))

MakeValue = Callable[[random.Random], str]


@dataclass(frozen=True)
class Column:
    """One stored column and where its values come from.

    Attributes:
        name: Its name.
        pool: `POOL_SIZE` values, blanks among them.
        step: How far the pool is turned from one record to the next.
        offset: Where it begins.
    """

    name: str
    pool: Sequence[str]
    step: int
    offset: int

    def value(self, number: int) -> str:
        """Return the value in the row of this number."""
        return self.pool[(number * self.step + self.offset) % POOL_SIZE]


@dataclass(frozen=True)
class _Kind:
    suffix: str
    field_type: str
    value: MakeValue
    validation: str = ""
    choices: tuple[Choice, ...] = ()
    minimum: str = ""
    maximum: str = ""


def _day(chance: random.Random) -> date:
    return _FIRST_DAY + timedelta(days=chance.randrange(_DAYS))


def _moment(chance: random.Random) -> datetime:
    seconds = chance.randrange(86_400)
    return datetime.combine(_day(chance), datetime.min.time()) + timedelta(seconds=seconds)


def _one_of(choices: Sequence[Choice]) -> MakeValue:
    return lambda chance: chance.choice(choices).code


_KINDS = (
    _Kind("text", "text", lambda chance: chance.choice(_WORDS)),
    _Kind(
        "count",
        "text",
        lambda chance: str(chance.randint(0, 120)),
        "integer",
        minimum="0",
        maximum="120",
    ),
    _Kind("score", "text", lambda chance: str(chance.randint(0, 100)), "integer"),
    _Kind("radio", "radio", _one_of(_RADIO), choices=_RADIO),
    _Kind("day", "text", lambda chance: _day(chance).isoformat(), "date_ymd"),
    _Kind("ticks", "checkbox", lambda chance: chance.choice(("1", "")), choices=_CHECKBOX),
    _Kind("level", "text", lambda chance: f"{chance.uniform(-5, 500):.2f}", "number"),
    _Kind("yes", "yesno", _one_of(IMPLIED_CHOICES["yesno"])),
    _Kind("notes", "notes", lambda chance: chance.choice(_NOTES)),
    _Kind("clinic", "dropdown", _one_of(_DROPDOWN), choices=_DROPDOWN),
    _Kind("us_day", "text", lambda chance: _day(chance).isoformat(), "date_mdy"),
    _Kind("moment", "text", lambda chance: f"{_moment(chance):%Y-%m-%d %H:%M}", "datetime_dmy"),
    _Kind("true", "truefalse", _one_of(IMPLIED_CHOICES["truefalse"])),
    _Kind("slide", "slider", lambda chance: str(chance.randint(0, 100))),
    _Kind(
        "second",
        "text",
        lambda chance: f"{_moment(chance):%Y-%m-%d %H:%M:%S}",
        "datetime_seconds_ymd",
    ),
    _Kind("mail", "text", lambda chance: f"p{chance.randrange(999)}@example.org", "email"),
    _Kind("clock", "text", lambda chance: f"{_moment(chance):%H:%M}", "time"),
)


def iter_fields(
    form: str, columns: int, missing_codes: Sequence[Choice], chance: random.Random
) -> Iterator[tuple[Field, list[Column]]]:
    """Yield the fields of an instrument that have exactly so many columns together.

    Args:
        form: Name of the instrument.
        columns: How many columns its fields have, the form status not among them.
        missing_codes: Codes that stand in some values that are no ticks.
        chance: Where their values come from.
    """
    left = columns
    position = 0
    while left:
        kind = _KINDS[position % len(_KINDS)]
        if kind.field_type == "checkbox" and left < len(kind.choices):
            kind = _KINDS[0]
        name = f"{form}_{kind.suffix}_{position + 1}"
        if kind.field_type == "checkbox":
            names = [checkbox_column(name, choice.code) for choice in kind.choices]
            made = [_column(each, kind.value, (), chance) for each in names]
        else:
            made = [_column(name, kind.value, missing_codes, chance)]
        left -= len(made)
        position += 1
        yield _field(form, name, kind), made


def pool_column(name: str, values: Sequence[str], chance: random.Random) -> Column:
    """Return a column whose values are drawn from `values`."""
    pool = [chance.choice(values) for _ in range(POOL_SIZE)]
    return Column(name, pool, chance.randrange(1, POOL_SIZE), chance.randrange(POOL_SIZE))


def _field(form: str, name: str, kind: _Kind) -> Field:
    return Field(
        name=name,
        form=form,
        field_type=kind.field_type,
        label=name.replace("_", " ").capitalize(),
        choices=kind.choices,
        validation=kind.validation,
        minimum=kind.minimum,
        maximum=kind.maximum,
        identifier=kind.validation == "email",
    )


def _column(
    name: str, make: MakeValue, missing_codes: Sequence[Choice], chance: random.Random
) -> Column:
    pool = [_value(make, missing_codes, chance) for _ in range(POOL_SIZE)]
    return Column(name, pool, chance.randrange(1, POOL_SIZE), chance.randrange(POOL_SIZE))


def _value(make: MakeValue, missing_codes: Sequence[Choice], chance: random.Random) -> str:
    thrown = chance.random()
    if thrown < _BLANK_SHARE:
        return ""
    if missing_codes and thrown < _BLANK_SHARE + _MISSING_SHARE:
        return chance.choice(missing_codes).code
    return make(chance)
