"""Why blanks are blank: coded, rejected, not asked, not started, not designated, or just blank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.errors import LogicError
from redcap_dagster.logic import StudyFrame, evaluate_table, parse_logic
from redcap_dagster.project import DictionaryField, ExportColumn
from redcap_dagster.tables.cells import CellFacts
from redcap_dagster.tables.other_events import refuse_other_events
from redcap_dagster.tables.rows import ExportRows
from redcap_dagster.tables.spec import TableColumn, TableSpec

_Booleans = npt.NDArray[np.bool_]
_NO_TEXT = pa.scalar(None, pa.string())
_NOT_TICKED = "0"
_TICKED = "1"


def find_reasons(
    reasons: CellFacts,
    specs: Sequence[TableSpec],
    columns: Mapping[str, pa.Array],
    rejected: CellFacts,
    *,
    lacks_events: bool = False,
) -> None:
    """Add the reason of every blank of a chunk.

    A form that was not started, or is not designated for the event, has one reason for all its
    fields. In a form that was started, each field without a value has one of its own. A checkbox
    has none where a choice is ticked; with nothing ticked it counts as blank, though REDCap
    exports `0`. Rows of a repeating form are about that form alone.

    Args:
        reasons: What to add to.
        specs: The instrument tables.
        columns: Every column of the chunk; null is blank.
        rejected: What was rejected of the chunk.
        lacks_events: Whether the chunk lacks rows of other events. Branching logic that looks at
            them cannot be evaluated then.
    """
    branching = _Branching(reasons.rows, columns, lacks_events)
    for spec in specs:
        form = _Form(reasons, spec, columns, rejected, branching)
        applies = reasons.rows.are_of(spec)
        started = _started(spec, columns, len(reasons.rows))
        form.add_whole(pc.and_not(applies, started), "form_not_started")
        form.add_whole(reasons.rows.lack(spec), "not_designated")
        here = _truths(pc.and_(applies, started))
        if here.any():
            for name, fields in _columns_by_field(spec).items():
                form.add_field(name, fields, here)


def _columns_by_field(spec: TableSpec) -> dict[str, list[TableColumn]]:
    """The columns that hold cells of each field of an instrument, in dictionary order."""
    found: dict[str, list[TableColumn]] = {}
    for column in spec.columns:
        if column.field is not None and column.export_columns and column.role != "record_id":
            found.setdefault(column.field.name, []).append(column)
    return found


def _started(spec: TableSpec, columns: Mapping[str, pa.Array], count: int) -> pa.Array:
    """Whether each row has anything of the form that a person or a survey put there."""
    started = pa.repeat(pa.scalar(False), count)
    sources = {source.name: source for item in spec.columns for source in item.export_columns}
    for name, source in sources.items():
        if name in columns:
            is_there = pc.is_valid(columns[name])
            if source.kind in {"checkbox", "missing_code_checkbox"}:
                # A server fills these with 0 also where the form was never opened.
                ticked = pc.not_equal(columns[name], _NOT_TICKED).fill_null(False)
                is_there = pc.and_(is_there, ticked)
            started = pc.or_(started, is_there)
    return started


@dataclass(frozen=True, repr=False)
class _Form:
    """Finds the reasons of one instrument's blanks."""

    reasons: CellFacts
    spec: TableSpec
    columns: Mapping[str, pa.Array]
    rejected: CellFacts
    branching: "_Branching"

    def add_whole(self, rows: pa.Array, reason: str) -> None:
        """Add a reason for the whole form, in some rows."""
        numbers = pc.indices_nonzero(rows)
        self.reasons.add("", numbers, self.spec.instrument, None, reason, None)

    def add_field(self, name: str, columns: Sequence[TableColumn], here: _Booleans) -> None:
        """Add the reasons of one field's blanks, in the rows where its form was started."""
        dictionary_field = columns[0].field
        if dictionary_field is None:
            return
        sources = [source for column in columns for source in column.export_columns]
        if dictionary_field.field_type == "checkbox":
            has_value, codes = self._of_checkbox(sources)
        else:
            has_value, codes = self._of_value(sources[0], columns[0].missing_codes)
        is_coded = _truths(pc.is_valid(codes))
        blank = here & ~is_coded & ~has_value
        is_rejected = blank & self._rejected(sources)
        blank &= ~is_rejected
        self._add(name, here & is_coded, "coded", codes)
        self._add(name, is_rejected, "rejected")
        if not blank.any():
            return
        shown = self.branching.shows(dictionary_field)
        if shown is None:
            self._add(name, blank, "undetermined")
        else:
            self._add(name, blank & ~shown, "not_asked")
            self._add(name, blank & shown, "blank")

    def _add(self, name: str, rows: _Booleans, reason: str, codes: pa.Array | None = None) -> None:
        numbers = pa.array(np.flatnonzero(rows))
        code = None if codes is None else codes.take(numbers)
        self.reasons.add(name, numbers, self.spec.instrument, name, reason, code)

    def _of_value(
        self, source: ExportColumn, missing_codes: Sequence[str]
    ) -> tuple[_Booleans, pa.Array]:
        """Where a field has a value, rejected ones aside; and its missing data codes."""
        text = self._text(source)
        is_code = pc.is_in(text, value_set=pa.array(missing_codes, pa.string()))
        return (
            _truths(pc.is_valid(text)) & ~self._rejected([source]),
            pc.if_else(is_code, text, _NO_TEXT),
        )

    def _of_checkbox(self, sources: Sequence[ExportColumn]) -> tuple[_Booleans, pa.Array]:
        """Where a choice of a checkbox is ticked, and the first missing data code that is."""
        has_value = np.zeros(len(self.reasons.rows), np.bool_)
        codes = pa.nulls(len(self.reasons.rows), pa.string())
        for source in sources:
            ticked = pc.equal(self._text(source), _TICKED).fill_null(False)
            if source.kind == "missing_code_checkbox":
                code = pc.if_else(ticked, source.choice_code, _NO_TEXT)
                codes = pc.coalesce(codes, code)
            else:
                has_value |= _truths(ticked)
        return has_value, codes

    def _rejected(self, sources: Sequence[ExportColumn]) -> _Booleans:
        rows = np.zeros(len(self.reasons.rows), np.bool_)
        for source in sources:
            for numbers in self.rejected.numbers_at(source.name):
                rows[numbers.to_numpy()] = True
        return rows

    def _text(self, source: ExportColumn) -> pa.Array:
        if source.name in self.columns:
            return self.columns[source.name]
        return pa.nulls(len(self.reasons.rows), pa.string())


@dataclass(frozen=True, repr=False)
class _Branching:
    """Whether fields are shown, by their branching logic; each logic is evaluated once."""

    rows: ExportRows
    columns: Mapping[str, pa.Array]
    lacks_events: bool
    _known: dict[tuple[str, str], _Booleans | None] = field(default_factory=dict)
    _frames: list[StudyFrame] = field(default_factory=list)

    def shows(self, item: DictionaryField) -> _Booleans | None:
        """Whether a field is shown, for each row; None where its logic cannot be evaluated."""
        if not item.branching_logic.strip():
            return np.ones(len(self.rows), np.bool_)
        key = (item.instrument, item.branching_logic)
        if key not in self._known:
            self._known[key] = self._evaluate(item)
        return self._known[key]

    def _evaluate(self, item: DictionaryField) -> _Booleans | None:
        if not self._frames:
            table = pa.table({name: text.fill_null("") for name, text in self.columns.items()})
            self._frames.append(StudyFrame(table, self.rows.project))
        try:
            logic = parse_logic(item.branching_logic)
            if self.lacks_events:
                refuse_other_events(logic)
            values = evaluate_table(logic, self._frames[0], instrument=item.instrument)
        except LogicError:
            # Not the logic's fault alone: `today` is another day at each extract, and columns
            # and events that were not exported cannot be asked. The reason says that nobody knows.
            return None
        shown: _Booleans = values.is_true.to_numpy(dtype=np.bool_)
        return shown


def _truths(array: pa.Array) -> _Booleans:
    truths: _Booleans = array.fill_null(False).to_numpy(zero_copy_only=False)
    return truths
