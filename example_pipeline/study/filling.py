"""What every instrument is filled in with: the visit, times, ticks, remarks, missing values."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from example_pipeline.study.calculations import Values
from example_pipeline.study.design import MISSING_DATA_CODES
from example_pipeline.study.dice import Dice
from example_pipeline.study.dictionary import checkbox_column, read_dictionary
from example_pipeline.study.people import Person

ADD_ON_ARM = 2
MISSING_SHARE = 0.015
REMARKS = (
    "Good cooperation 👍",
    'Said: "much easier to breathe"',
    "Came late; bus strike.\nMeasured in the afternoon instead.",
    "Cough during the second blow <repeat>, third & fourth fine",
    "Used a rescue inhaler 5 h before\n\n→ still within protocol",
    "Größe und Gewicht kontrolliert; œdème léger, «rien d'autre»",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who came, on which day, to which event (without its arm)."""

    dice: Dice
    person: Person
    stem: str
    day: date

    @property
    def is_biologic(self) -> bool:
        """Whether the participant is in the add-on arm."""
        return self.person.arm.number == ADD_ON_ARM


def ticks(form: str, field: str, ticked: Iterable[str]) -> Values:
    """Every column of a checkbox, the missing data codes' columns too, as REDCap exports them."""
    (definition,) = (
        item
        for instrument in read_dictionary()
        if instrument.name == form
        for item in instrument.fields
        if item.name == field
    )
    codes = [code for code, _ in (*definition.choices, *MISSING_DATA_CODES)]
    return {checkbox_column(field, code): str(int(code in ticked)) for code in codes}


def moment(dice: Dice, day: date, *, seconds: bool = False) -> str:
    """A time of the day as REDCap exports it: one blank between date and time."""
    text = f"{day} {dice.integer(7, 18):02d}:{dice.integer(0, 59):02d}"
    return f"{text}:{dice.integer(0, 59):02d}" if seconds else text


def remark(dice: Dice, values: Values, field: str, probability: float) -> None:
    """Write a remark into a field, as often as the probability says."""
    if dice.chance(probability):
        values[field] = dice.choice(REMARKS)


def leave_out(dice: Dice, values: Values, fields: Iterable[str]) -> None:
    """Replace some values by the code that says why they are missing."""
    for field in fields:
        if dice.chance(MISSING_SHARE):
            values[field] = dice.weighted({code: 1.0 for code, _ in MISSING_DATA_CODES})
