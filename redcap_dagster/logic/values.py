"""One value of the logic language: a text that may also be a number."""

from dataclasses import dataclass, field

from redcap_dagster.logic.numbers import number_to_text, parse_number
from redcap_dagster.logic.tree import Kind


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression gives on one row.

    Attributes:
        kind: Whether it was stored or quoted text, computed, or a condition.
        text: As text; "" is blank.
        number: As a number; None if it is blank or not a number.
    """

    kind: Kind
    text: str = field(repr=False)
    number: float | None = field(repr=False)

    @classmethod
    def of_text(cls, text: str, *, has_comma: bool = False) -> "Value":
        """A stored or quoted text; `has_comma` where its decimal sign is a comma."""
        return cls(Kind.TEXT, text, parse_number(text, has_comma=has_comma))

    @classmethod
    def of_number(cls, number: float | None) -> "Value":
        """A computed number; None is blank."""
        return cls(Kind.NUMBER, number_to_text(number), number)

    @classmethod
    def of_condition(cls, truth: bool) -> "Value":
        """A condition: 1 if true, 0 if false."""
        return cls(Kind.CONDITION, str(int(truth)), float(truth))

    @property
    def is_blank(self) -> bool:
        """Whether there is no value."""
        return self.text == ""

    @property
    def is_true(self) -> bool:
        """Whether it is true as a condition: not blank and not 0."""
        return not self.is_blank if self.number is None else self.number != 0
