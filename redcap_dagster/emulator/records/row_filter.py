"""`filterLogic`: which rows of which records come back."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

import pandas as pd

from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.errors import RequestRefusedError
from redcap_dagster.emulator.names import timestamp_column
from redcap_dagster.emulator.records.logic import (
    LogicError,
    column_of,
    flat_row,
    parse_checked,
    references,
    study_of,
)
from redcap_dagster.emulator.records.row import StoredRow
from redcap_dagster.logic import StudyFrame, evaluate_table

_RECORDS_AT_ONCE = 1000
_SYSTEM_COLUMNS = (
    "redcap_event_name",
    "redcap_repeat_instrument",
    "redcap_repeat_instance",
    "redcap_data_access_group",
)


class RowFilter:
    """Keeps the rows on which a logic is true: record by record, event by event, each instance.

    Args:
        text: The logic.
        design: The project's design.
        project_id: The project.
        now: What `today` and `now` mean.

    Raises:
        RequestRefusedError: The logic cannot be read, or names what is not there.
    """

    def __init__(self, text: str, design: Design, project_id: int, now: datetime) -> None:
        self._design = design
        self._now = now
        self._study = study_of(design, project_id)
        try:
            self._expression = parse_checked(text, self._study)
        except LogicError as error:
            raise _refusal(error) from error
        named = {column_of(reference) for reference in references(self._expression)}
        stamps = {timestamp_column(form) for form in design.survey_forms}
        self._columns = sorted({design.record_id_field, *_SYSTEM_COLUMNS, *named, *stamps})

    def kept(self, records: Iterator[Sequence[StoredRow]]) -> Iterator[list[StoredRow]]:
        """Yield of each record the rows that are kept; none for a record without any."""
        while batch := list(islice(records, _RECORDS_AT_ONCE)):
            truths = iter(self._truths([row for rows in batch for row in rows]))
            for rows in batch:
                kept = [row for row in rows if next(truths)]
                if kept:
                    yield kept

    def _truths(self, rows: Sequence[StoredRow]) -> list[bool]:
        flat = [flat_row(self._design, row) for row in rows]
        table = pd.DataFrame(
            {name: [row.get(name, "") for row in flat] for name in self._columns}, dtype="str"
        )
        study = StudyFrame(table, self._study)
        try:
            found = evaluate_table(self._expression, study, as_of=self._now)
        except LogicError as error:
            raise _refusal(error) from error
        return [bool(truth) for truth in found.is_true]


def _refusal(error: LogicError) -> RequestRefusedError:
    return RequestRefusedError(f'The value of the parameter "filterLogic" is not valid: {error}')
