"""What an extract is asked for."""

from dataclasses import dataclass, field
from datetime import datetime

from redcap_dagster.errors import ConfigError
from redcap_dagster.export import DEFAULT_CELLS_PER_REQUEST, select_instruments
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import DEFAULT_TABLE_OPTIONS, TableOptions


@dataclass(frozen=True)
class ExtractRequest:
    """What of a study to extract, and how. Its `repr` shows no record id.

    Attributes:
        instruments: Unique names of the instruments; None for all.
        events: Unique names of the events; None for all.
        record_ids: Records; None for all that the token sees.
        changed_since: Only records that were created or changed after this moment of the server's
            local time, each of them whole. None for all. Deleted records are not seen by it.
        with_records: Whether `records`, the export as it came, is kept beside the typed tables.
        table_options: How the typed tables are laid out.
        concurrency: Requests side by side.
        cells_per_request: Cells, rows times columns, that an answer is planned to hold.
    """

    instruments: tuple[str, ...] | None = None
    events: tuple[str, ...] | None = None
    record_ids: tuple[str, ...] | None = field(default=None, repr=False)
    changed_since: datetime | None = None
    with_records: bool = True
    table_options: TableOptions = DEFAULT_TABLE_OPTIONS
    concurrency: int = 4
    cells_per_request: int = DEFAULT_CELLS_PER_REQUEST

    def __post_init__(self) -> None:
        for name in ("instruments", "events", "record_ids"):
            if isinstance(getattr(self, name), str):
                raise ConfigError(f"`{name}` is one text. Give a tuple of texts.")
            if getattr(self, name) == ():
                raise ConfigError(f"`{name}` is empty. Leave it out to ask for all of them.")
        for name in ("concurrency", "cells_per_request"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be at least 1.")
        if not isinstance(self.changed_since, datetime | None):
            raise ConfigError("`changed_since` must be a datetime: datetime.fromisoformat(…).")
        if self.changed_since is not None and self.changed_since.tzinfo is not None:
            raise ConfigError(
                "`changed_since` has a time zone. REDCap takes its server's local time: leave the "
                "zone out."
            )

    @property
    def is_whole(self) -> bool:
        """Whether it asks for everything that the token sees."""
        parts = (self.instruments, self.events, self.record_ids, self.changed_since)
        return all(part is None for part in parts)

    def check(self, project: RedcapProject) -> None:
        """Compare what is asked for with what the study has.

        Raises:
            ConfigError: The study has no such instrument or event, or none of the instruments is
                designated to one of the events.
        """
        instruments = select_instruments(project, self.instruments)
        if self.events is None:
            return
        if not project.info.is_longitudinal:
            raise ConfigError("This is a classic project: it has no events to choose.")
        known = [event.unique_name for event in project.events]
        unknown = sorted(set(self.events).difference(known))
        if unknown:
            raise ConfigError(
                f"Not events of this project: {', '.join(unknown)}. It has: {', '.join(known)}."
            )
        designated = {(item.event, item.instrument) for item in project.form_events}
        if not any((event, name) in designated for event in self.events for name in instruments):
            raise ConfigError(
                f"Nothing is entered there: of {', '.join(instruments)} none is designated to "
                f"{', '.join(self.events)}."
            )

    def to_manifest(self) -> dict[str, object]:
        """What the manifest says was asked: names and counts, no record ids."""
        since = self.changed_since
        return {
            "is_whole": self.is_whole,
            "instruments": self.instruments,
            "events": self.events,
            "records_named": None if self.record_ids is None else len(set(self.record_ids)),
            "changed_since": None if since is None else since.isoformat(" ", "seconds"),
        }


WHOLE_STUDY = ExtractRequest()
"""Everything that the token sees."""
