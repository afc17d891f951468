"""The whole extract of a study: design, export, tables, proof, one publication."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from upath import UPath

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import TableError
from redcap_dagster.export import (
    ChangeFence,
    ExportProgress,
    ExportSettings,
    StudyExport,
    read_answers,
    spool_folder,
)
from redcap_dagster.extract.facts import design_facts, export_facts, request_facts
from redcap_dagster.extract.fences import FENCE_FACT
from redcap_dagster.extract.progress import ExtractState, TellProgress
from redcap_dagster.extract.request import ExtractRequest
from redcap_dagster.extract.rights import Answer, ask_or_refused, is_in_group
from redcap_dagster.extract.selection import select_records
from redcap_dagster.extract.small_tables import design_tables
from redcap_dagster.privacy import tables_that_may_stay
from redcap_dagster.project import RedcapProject, parse_project
from redcap_dagster.tables import (
    ExtractWriter,
    Location,
    PublishedExtract,
    TableSpec,
    current_extract,
    gather_chunks,
    has_extract,
    plan_records_table,
    plan_tables,
    to_location,
)

_GROUP_COLUMN = "redcap_data_access_group"
WHOLE_EXTRACT = ExtractRequest()
"""Everything that the token sees."""


def extract_study(
    client: RedcapClient,
    out_dir: str | Path | UPath,
    request: ExtractRequest = WHOLE_EXTRACT,
    *,
    progress: TellProgress | None = None,
) -> PublishedExtract:
    """Extract a study to Parquet tables with a manifest, and let readers see them in one step.

    Writes one typed table an instrument, `rejected_values`, the tables of the study's design and,
    unless it is left out, `records`. They take the place of what `out_dir` held before, whatever
    that was asked for: what readers see is one extract.

    Args:
        client: Where to ask.
        out_dir: The folder to publish in, made when it is not there; or a place in an object
            store, such as `s3://bucket/asthma`.
        request: What to extract.
        progress: Is told how far it is, after every answer.

    Raises:
        ApiError: REDCap did not answer, or refused.
        ConfigError: The request names what the study has not.
        DesignError: The study's design contradicts itself.
        ExportError: Not everything came. As with the others, what readers see is unchanged.
        TableError: Tables could not be written, or `out_dir` holds another project's extract.
    """
    return _Extract(client, to_location(out_dir), request, progress).run()


class _Extract:
    """One extract, from the first request to the publication."""

    def __init__(
        self,
        client: RedcapClient,
        shelf: Location,
        request: ExtractRequest,
        tell: TellProgress | None,
    ) -> None:
        self._client = client
        self._shelf = shelf
        self._request = request
        self._tell = tell
        self._stats = client.stats
        self._began = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._export = ExportProgress()
        self._shows_groups = False

    def run(self) -> PublishedExtract:
        answers = read_answers(self._client, concurrency=self._request.concurrency)
        project = parse_project(answers)
        self._request.check(project)
        _refuse_another_project(self._shelf, project)
        # Values as they are in REDCap do not take the place of de-identified ones.
        tables_that_may_stay(self._shelf, None, ())
        groups = ask_or_refused(self._client.export_data_access_groups)[1]
        with self._open(project) as export:
            while True:
                with ExtractWriter(self._shelf, project, self._specs(project)) as writer:
                    for name, table in design_tables(answers).items():
                        writer.write_table(name, table)
                    for piece in gather_chunks(self._iter_tables(export)):
                        writer.write(piece)
                    writer.finish_rows()  # while REDCap is asked what has changed
                    if export.settle():
                        # Nothing of an older extract stays: it may have been asked for something
                        # else.
                        extract = writer.publish(
                            self._facts(project, export, groups), known_tables=()
                        )
                        export.done()
                        return extract

    def _open(self, project: RedcapProject) -> StudyExport:
        return StudyExport(
            self._client,
            project,
            select_records(self._client, project, self._request),
            instruments=self._request.instruments,
            settings=ExportSettings(self._request.concurrency, self._request.cells_per_request),
            spool=spool_folder(self._shelf),
            progress=self._export,
        )

    def _facts(
        self, project: RedcapProject, export: StudyExport, groups: Sequence[object] | None
    ) -> dict[str, Any]:
        return {
            **design_facts(project),
            "partition": None,
            "request": self._request.to_manifest(),
            **self._fence_facts(export.fence),
            "rights": self._rights(export.fence, groups),
            "completeness": export.facts(),
            **self._counts(),
        }

    def _specs(self, project: RedcapProject) -> list[TableSpec]:
        request = self._request
        specs = list(plan_tables(project, request.instruments, options=request.table_options))
        if request.with_records:
            specs.append(plan_records_table(project, request.instruments))
        return specs

    def _iter_tables(self, export: StudyExport) -> Iterator[pa.Table]:
        """What came, block by block; tells how far it is."""
        began = time.monotonic()
        for table in export.chunks():
            if self._tell is not None:
                retries = self._client.stats.retries - self._stats.retries
                self._tell(ExtractState(self._export, retries, time.monotonic() - began))
            self._shows_groups = self._shows_groups or _has_groups(table)
            yield table

    def _fence_facts(self, fence: ChangeFence | None) -> dict[str, Any]:
        if fence is None:
            return {"log_read_to": None}
        read_to = {"log_read_to": fence.newest}
        # A part of the study is no proof that the rest is up to date.
        return {**read_to, FENCE_FACT: fence.to_plain()} if self._request.is_whole else read_to

    def _rights(
        self, fence: ChangeFence | None, groups: Sequence[object] | None
    ) -> dict[str, Answer]:
        """What the token's user cannot see of the instruments asked for, which all came whole."""
        columns = [_GROUP_COLUMN] if self._shows_groups else []
        header = columns if self._export.rows else None
        return {
            "reads_log": "no" if fence is None else "yes",
            "sees_one_group_only": is_in_group(self._client, header, groups),
        }

    def _counts(self) -> dict[str, Any]:
        return {
            "export": export_facts(self._export),
            **request_facts(self._client.stats, self._stats),
            "began": self._began.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3),
        }


def _has_groups(table: pa.Table) -> bool:
    """Whether REDCap sent the column of data access groups, which a chunk has in any case."""
    column = table.column(_GROUP_COLUMN)
    return bool(column.null_count < len(column))


def _refuse_another_project(shelf: Location, project: RedcapProject) -> None:
    if not has_extract(shelf):
        return
    there = current_extract(shelf).facts.get("project_id")
    if there is not None and there != project.info.project_id:
        raise TableError(
            f"{shelf} holds an extract of project {there}, and this is project "
            f"{project.info.project_id}. Extract into another folder."
        )
