"""What REDCap says now of a study that is being exported: its log, its rows, its design."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from redcap_dagster.api import RedcapClient
from redcap_dagster.export.changes import ChangeFence, read_changes, read_fence
from redcap_dagster.export.design import read_design
from redcap_dagster.export.row_keys import RowList
from redcap_dagster.export.row_list import RowLists
from redcap_dagster.export.selection import RecordSelection
from redcap_dagster.project import RedcapProject


@dataclass(frozen=True, slots=True)
class LogNews:
    """What the project's log says since it was read last.

    Attributes:
        fence: Where it stands; None without the Logging right.
        touched: Ids of the records that were changed, and of all that were renamed to.
        touches_design: Whether anything was that is no record's: the design, or groups.
        has_new_design: Whether the design is another one now.
    """

    fence: ChangeFence | None
    touched: frozenset[str] = field(repr=False)
    touches_design: bool
    has_new_design: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What is asked to find out whether what came is what REDCap holds.

    Attributes:
        sent: Requests for records that had ended before; None where one had not, whose answer may
            be newer than what is found out.
        log: The log's news.
        rows: The rows as they are listed.
    """

    sent: int | None
    log: Future[LogNews]
    rows: Future[RowList] = field(repr=False)


class Looker:
    """Looks what has changed.

    Args:
        client: Where to ask.
        project: The study's design as the export has it.
        selection: What of the records is exported.
        lists: Read the rows.
    """

    def __init__(
        self,
        client: RedcapClient,
        project: RedcapProject,
        selection: RecordSelection,
        lists: RowLists,
    ) -> None:
        self._client = client
        self._project = project
        self._selection = selection
        self._lists = lists
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="redcap-look")

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown()

    def look(self, fence: ChangeFence | None, sent: int | None) -> Look:
        """Begin to ask for the log since a fence, and for the rows as they are now.

        Args:
            fence: Where the log stood; None without the Logging right.
            sent: As `Look` has it.
        """
        return Look(
            sent,
            self._pool.submit(self.read_log, fence),
            self._pool.submit(self._lists.list_now, self._client, self._selection),
        )

    def read_log(self, fence: ChangeFence | None) -> LogNews:
        """What the log says since a fence. Without it, the design alone is read again.

        Raises:
            ApiError: REDCap refused, or did not answer.
            ExportError: The log is empty where it cannot be.
        """
        if fence is None:
            return LogNews(None, frozenset(), False, self._has_new_design())
        newer, changes = read_changes(self._client, self._project, fence)
        touches_design = any(item.kind == "design" for item in changes)
        # The log names no groups: any record may have come into ours.
        group = self._selection.data_access_group
        # A rename names the new id alone, and the old one may have been ours.
        touched = frozenset(
            item.record_id
            for item in changes
            if item.kind == "renamed"
            or (item.kind != "design" and self._selection.holds(item.record_id, group))
        )
        return LogNews(newer, touched, touches_design, touches_design and self._has_new_design())

    def read_log_first(self) -> LogNews:
        """Where the log stands, and whether the design was another one when it was read.

        Raises:
            ApiError: REDCap refused, or did not answer.
            ExportError: The log is empty where it cannot be.
        """
        fence, touches_design = read_fence(self._client, self._project)
        is_new = touches_design and self._has_new_design()
        return LogNews(fence, frozenset(), touches_design, is_new)

    def _has_new_design(self) -> bool:
        return read_design(self._client).fingerprint != self._project.fingerprint
