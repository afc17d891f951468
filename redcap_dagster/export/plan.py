"""What will be asked of REDCap, decided before anything is asked. Pure: no network, no clock.

REDCap has no paging, and a server dies on answers of about a million cells. So an extract is cut
into batches of record ids whose answers are expected to stay under a budget of cells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from redcap_dagster.errors import ConfigError
from redcap_dagster.project import RedcapProject, plan_export_columns

DEFAULT_CELLS_PER_REQUEST = 100_000
"""Cells (rows times columns) one answer is planned to hold: a tenth of what servers die on."""

MOST_RECORDS_PER_REQUEST = 900
"""PHP drops form fields beyond its `max_input_vars` (1,000 by default) without a word."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The record ids and instruments of one request."""

    record_ids: tuple[str, ...]
    instruments: tuple[str, ...]

    def halves(self) -> tuple["Batch", "Batch"]:
        """The same records as two batches, in order; only for batches of two records or more."""
        middle = len(self.record_ids) // 2
        return (
            Batch(self.record_ids[:middle], self.instruments),
            Batch(self.record_ids[middle:], self.instruments),
        )


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """Batches in the order in which their rows are written.

    Attributes:
        batches: Together they hold every record id exactly once, in the order given.
        instruments: Instruments asked for, in dictionary order.
        columns_per_row: Columns one row of an answer is expected to have.
        records_per_request: Record ids in every batch but the last.
        events: Unique names of the events to ask for; None for all.
    """

    batches: tuple[Batch, ...]
    instruments: tuple[str, ...]
    columns_per_row: int
    records_per_request: int
    events: tuple[str, ...] | None = None

    @property
    def record_count(self) -> int:
        """Number of record ids in the plan."""
        return sum(len(batch.record_ids) for batch in self.batches)


def plan_export(
    project: RedcapProject,
    record_ids: Sequence[str],
    *,
    instruments: Iterable[str] | None = None,
    cells_per_request: int = DEFAULT_CELLS_PER_REQUEST,
    events: Sequence[str] | None = None,
) -> ExportPlan:
    """Cut an extract into batches.

    Args:
        project: The study's design as it is on the server now.
        record_ids: Ids to export, each once, in the order their rows shall have.
        instruments: Unique names of the instruments to ask for; None for all.
        cells_per_request: Budget of one answer. A record that is expected to be larger than the
            budget is asked for alone.
        events: Unique names of the events to ask for; None for all.

    Returns:
        The plan; without record ids it has no batches.

    Raises:
        ConfigError: The budget is not positive, an id is given twice, or an instrument is not in
            the project.
    """
    if cells_per_request < 1:
        raise ConfigError("cells_per_request must be at least 1.")
    if len(set(record_ids)) != len(record_ids):
        raise ConfigError("A record id is planned twice; give each id once.")
    asked = select_instruments(project, instruments)
    columns = len(plan_export_columns(project, asked))
    rows = _rows_per_record(project, asked, events)
    size = min(max(1, cells_per_request // (columns * rows)), MOST_RECORDS_PER_REQUEST)
    batches = tuple(
        Batch(tuple(record_ids[start : start + size]), asked)
        for start in range(0, len(record_ids), size)
    )
    return ExportPlan(batches, asked, columns, size, None if events is None else tuple(events))


def select_instruments(
    project: RedcapProject, instruments: Iterable[str] | None
) -> tuple[str, ...]:
    """The named instruments in dictionary order; all of them for None.

    Raises:
        ConfigError: A name is not an instrument of the project.
    """
    known = tuple(instrument.name for instrument in project.instruments)
    if instruments is None:
        return known
    wanted = set(instruments)
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise ConfigError(
            f"Not instruments of this project: {', '.join(unknown)}. It has: {', '.join(known)}."
        )
    return tuple(name for name in known if name in wanted)


def _rows_per_record(
    project: RedcapProject, instruments: tuple[str, ...], events: Sequence[str] | None
) -> int:
    """Rows expected for one record: one an event, and one for each thing that can repeat.

    How often things repeat is not in the design; the estimate only has to be of the right order,
    since the budget leaves a factor of ten.
    """
    count = max(1, len(project.events if events is None else events))
    repeating = sum(
        1
        for rule in project.repeats
        if (rule.instrument is None or rule.instrument in instruments)
        and (events is None or rule.event in events)
    )
    return count + repeating


def record_bucket(record_id: str, buckets: int) -> int:
    """The hash bucket of a record: 0 to `buckets` - 1, the same on every machine and in every run.

    The first 8 bytes of the id's SHA-256 (UTF-8) as a big-endian number, modulo `buckets`.
    """
    digest = sha256(record_id.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % buckets
