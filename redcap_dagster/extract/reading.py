"""A study on its way out of REDCap: its design, the pieces of its export, and what came of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from redcap_dagster.api import RedcapClient
from redcap_dagster.export import (
    ChangeFence,
    ExportProgress,
    ExportSeries,
    ExportSettings,
    PaceFacts,
    StudyExport,
    read_answers,
)
from redcap_dagster.extract.facts import ExportFacts
from redcap_dagster.extract.fences import FENCE_FACT
from redcap_dagster.extract.progress import Phase, Telling, TellProgress
from redcap_dagster.extract.request import ExtractRequest
from redcap_dagster.extract.rights import Answer, ask_or_refused, is_in_group
from redcap_dagster.extract.selection import select_records
from redcap_dagster.extract.small_tables import design_tables
from redcap_dagster.project import parse_project
from redcap_dagster.tables import TableSpec, gather_chunks, plan_records_table, plan_tables

_GROUP_COLUMN = "redcap_data_access_group"


class StudyReading:
    """One reading of a study. The design is read when it is made.

    Args:
        client: Where to ask.
        request: What to read.
        tell: Is told how far it is, when a phase begins and after every answer.

    Raises:
        ApiError: REDCap did not answer, or refused.
        ConfigError: The request names what the study has not.
        DesignError: The study's design contradicts itself.
    """

    def __init__(
        self, client: RedcapClient, request: ExtractRequest, tell: TellProgress | None
    ) -> None:
        self._client = client = client.with_concurrency(request.concurrency)
        self._request = request
        self._facts = ExportFacts(client)
        self._progress = ExportProgress()
        self._telling = Telling(tell, client, self._progress)
        self.begin("design")
        self._shows_groups = False
        self._answers = read_answers(client, concurrency=request.concurrency)
        self.project = parse_project(self._answers)
        request.check(self.project)

    @property
    def design_tables(self) -> dict[str, pa.Table]:
        """The tables of the study's design."""
        return design_tables(self._answers)

    @property
    def events(self) -> tuple[str, ...] | None:
        """Unique names of the events that are exported; None for all."""
        return self._request.events

    @property
    def specs(self) -> list[TableSpec]:
        """The tables that are made from the export."""
        request = self._request
        specs = list(plan_tables(self.project, request.instruments, options=request.table_options))
        if request.with_records:
            specs.append(plan_records_table(self.project, request.instruments))
        return specs

    def open_export(self, spool: Path | None, last: PaceFacts | None = None) -> StudyExport:
        """The export of the records, to be used as a context manager.

        Args:
            spool: As for `StudyExport`.
            last: How much the server bore last time; None where that is not known.
        """
        self.begin("rows")
        request = self._request
        # Beside the first list of rows; what the answer tells is only needed at the end.
        asking = ThreadPoolExecutor(1, thread_name_prefix="redcap-groups")
        self._groups = asking.submit(ask_or_refused, self._client.export_data_access_groups)
        asking.shutdown(wait=False)
        settings = ExportSettings(request.concurrency, request.cells_per_request)
        return StudyExport(
            self._client,
            self.project,
            select_records(self._client, self.project, request),
            instruments=request.instruments,
            settings=settings,
            series=ExportSeries.begin(self.project, settings, last),
            spool=spool,
            progress=self._progress,
        )

    def pieces(self, export: StudyExport, **sizes: int) -> Iterator[pa.Table]:
        """What comes, in pieces that are worth splitting; tells how far it is.

        It is asked for from now on.

        Args:
            export: What was opened.
            sizes: As for `gather_chunks`.
        """
        self._groups.result()  # a server that does not answer is better known before than after
        return gather_chunks(self._told(export.chunks(looks_ahead=True)), **sizes)

    def facts(self, export: StudyExport) -> dict[str, Any]:
        """What the manifest says, when the export is settled. No values, ids or tokens."""
        return {
            **self._facts.facts(self.project, export),
            "request": self._request.to_manifest(),
            **self._fence_facts(export.fence),
            "rights": self._rights(export.fence),
        }

    def begin(self, phase: Phase) -> None:
        """Tell that a phase begins. It may take minutes on a slow server."""
        self._telling.begin(phase)

    def _told(self, chunks: Iterator[pa.Table]) -> Iterator[pa.Table]:
        self.begin("records")
        for table in chunks:
            self._telling.tell()
            self._shows_groups = self._shows_groups or _has_groups(table)
            yield table

    def _fence_facts(self, fence: ChangeFence | None) -> dict[str, Any]:
        if fence is None:
            return {"log_read_to": None}
        read_to = {"log_read_to": fence.newest}
        # A part of the study is no proof that the rest is up to date.
        return {**read_to, FENCE_FACT: fence.to_plain()} if self._request.is_whole else read_to

    def _rights(self, fence: ChangeFence | None) -> dict[str, Answer]:
        """What the token's user cannot see of the instruments asked for, which all came whole."""
        columns = [_GROUP_COLUMN] if self._shows_groups else []
        header = columns if self._progress.rows else None
        return {
            "reads_log": "no" if fence is None else "yes",
            "sees_one_group_only": is_in_group(self._client, header, self._groups.result()[1]),
        }


def _has_groups(table: pa.Table) -> bool:
    """Whether REDCap sent the column of data access groups, which a chunk has in any case."""
    column = table.column(_GROUP_COLUMN)
    return bool(column.null_count < len(column))
