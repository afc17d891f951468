"""The cells of one field in the rows that its form applies to, and what is asked of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import ValueKind
from redcap_dagster.quality.findings import Mask, RowNumbers
from redcap_dagster.quality.plan import FieldPlan, InstrumentPlan
from redcap_dagster.quality.study_slice import StudySlice
from redcap_dagster.tables import CastColumn, cast_text

_NO_TEXT = pa.scalar(None, pa.string())


@dataclass(frozen=True, repr=False)
class FormRows:
    """The rows of a slice that one form applies to.

    Attributes:
        rows: The slice.
        plan: What the rules look at.
        numbers: Numbers of the rows; None for all rows of the slice.
    """

    rows: StudySlice
    plan: InstrumentPlan
    numbers: RowNumbers | None

    @classmethod
    def of(cls, rows: StudySlice, plan: InstrumentPlan) -> "FormRows":
        """The rows of a form."""
        return cls(rows, plan, rows.rows_of(plan.spec))

    def __len__(self) -> int:
        return len(self.rows) if self.numbers is None else len(self.numbers)

    @cached_property
    def opened(self) -> Mask:
        """Whether the form was ever opened and saved: its status is not blank."""
        return to_mask(self.text(self.plan.status_column).is_valid())

    def text(self, column: str) -> pa.Array:
        """An export column in these rows; null is blank."""
        text = self.rows.column(column)
        return text if self.numbers is None else text.take(pa.array(self.numbers))

    def take(self, mask: Mask) -> Mask:
        """The form's rows of a mask over the slice."""
        return mask if self.numbers is None else mask[self.numbers]

    def where(self, mask: Mask) -> RowNumbers:
        """Numbers, in the slice, of the form's rows for which a mask is true."""
        places = np.flatnonzero(mask)
        return places if self.numbers is None else self.numbers[places]

    def cells(self, plan: FieldPlan) -> "FieldCells":
        """The cells of one field."""
        return FieldCells(self, plan)


@dataclass(frozen=True, repr=False)
class FieldCells:
    """The cells of one field of a form. Everything is made when it is first asked for."""

    form: FormRows
    plan: FieldPlan

    def __len__(self) -> int:
        return len(self.form)

    @property
    def is_checkbox(self) -> bool:
        """Whether each choice is a column of its own."""
        return self.plan.field.field_type == "checkbox"

    @cached_property
    def raw(self) -> pa.Array:
        """The text of a field that is no checkbox, missing data codes too; null is blank."""
        return self.form.text(self.plan.columns[0])

    @cached_property
    def coded(self) -> Mask | None:
        """Where a missing data code stands; None where there is none at all."""
        if self.is_checkbox:
            return self._any_tick(self.plan.missing_columns)
        if not self.plan.missing_codes or self.raw.null_count == len(self):
            return None
        codes = pa.array(self.plan.missing_codes, pa.string())
        is_code = pc.is_in(self.raw, value_set=codes)
        return to_mask(is_code) if is_code.true_count else None

    @cached_property
    def text(self) -> pa.Array:
        """The text without missing data codes; null is blank or coded."""
        if self.coded is None:
            return self.raw
        return pc.if_else(pa.array(self.coded), _NO_TEXT, self.raw)

    @cached_property
    def cast(self) -> CastColumn:
        """The text as values of the field's kind."""
        return cast_text(self.text, self.plan.kind)

    @property
    def typed(self) -> pa.Array:
        """The values; null where the text is blank or does not fit."""
        return self.cast.values

    @cached_property
    def ticks(self) -> list[Mask]:
        """Of a checkbox, where each choice is ticked."""
        return [
            to_mask(pc.equal(self.form.text(name), "1").fill_null(False))
            for name in self.plan.columns
        ]

    @cached_property
    def filled(self) -> Mask:
        """Where something stands: a value or code, or a tick."""
        if not self.is_checkbox:
            return to_mask(self.raw.is_valid())
        filled = np.zeros(len(self), dtype=np.bool_)
        for tick in self.ticks:
            filled |= tick
        return filled if self.coded is None else filled | self.coded

    @cached_property
    def has_value(self) -> Mask:
        """Where a value stands that is no missing data code, or a choice is ticked."""
        return self.filled if self.coded is None else self.filled & ~self.coded

    @cached_property
    def shown(self) -> Mask | None:
        """Where branching logic shows the field; None for everywhere. Raises `LogicError`."""
        if self.plan.shown is None:
            return None
        return self.form.take(self.form.rows.truth(self.plan.shown, self.form.plan.name))

    def _any_tick(self, columns: tuple[str, ...]) -> Mask | None:
        ticked = None
        for name in columns:
            is_ticked = to_mask(pc.equal(self.form.text(name), "1").fill_null(False))
            if is_ticked.any():
                ticked = is_ticked if ticked is None else ticked | is_ticked
        return ticked


def typed_values(text: pa.Array, kind: ValueKind) -> pa.Array:
    """Text as values of a kind; null where blank or where it does not fit."""
    return cast_text(text, kind).values


def to_mask(values: pa.Array) -> Mask:
    """Facts without nulls as a numpy mask."""
    mask: Mask = values.to_numpy(zero_copy_only=False)
    return mask
