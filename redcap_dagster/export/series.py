"""What the exports of one run that follow each other hand on, as partitions do."""

from dataclasses import dataclass, field

from typing_extensions import Self

from redcap_dagster.export.changes import ChangeFence
from redcap_dagster.export.pace import Pace, PaceFacts
from redcap_dagster.export.row_list import RowLists
from redcap_dagster.export.settings import ExportSettings
from redcap_dagster.project import RedcapProject


@dataclass
class ExportSeries:
    """What each export of a series leaves for the next.

    Attributes:
        lists: The rows as they were listed last.
        pace: How much a request asks for, by what the server has borne.
        fence: Up to where the project's log is known to leave the design as it is; None before the
            first export, and without the Logging right.
    """

    lists: RowLists = field(repr=False)
    pace: Pace
    fence: ChangeFence | None = None

    @classmethod
    def begin(
        cls,
        project: RedcapProject,
        settings: ExportSettings,
        last: PaceFacts | None = None,
    ) -> Self:
        """A series of which nothing was exported yet.

        Args:
            project: The study's design as it is on the server now.
            settings: How its exports are cut.
            last: What the pace came to last time; None where that is not known.
        """
        return cls(RowLists(project, settings.concurrency), settings.pace(last))
