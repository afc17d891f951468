"""Exports the records that were changed on a day, and publishes them in the day's partition."""

from typing import Any

import dagster as dg
import pyarrow as pa

from redcap_dagster.errors import ConfigError, ExportError
from redcap_dagster.export import (
    ExportProgress,
    LogDay,
    RecordSelection,
    StudyExport,
    changes_in,
    read_log_day,
    spool_folder,
)
from redcap_dagster.extract import ExportFacts, Telling, ask_or_refused, is_in_group
from redcap_dagster.orchestration.audit_log import parse_day
from redcap_dagster.orchestration.own_tables import OwnTables
from redcap_dagster.orchestration.partition_export import PublishedPartition
from redcap_dagster.orchestration.progress import logged_progress
from redcap_dagster.orchestration.record_changes import (
    RECORD_CHANGES,
    DayOfChanges,
    refuse_taken_names,
)
from redcap_dagster.orchestration.step import Step
from redcap_dagster.orchestration.step_checks import StepChecks
from redcap_dagster.tables import ExtractWriter, gather_chunks

_GROUP_COLUMN = "redcap_data_access_group"


class ChangeDayExport:
    """The records that were changed on one day, from REDCap to the shelf.

    Args:
        step: What is selected, and the study as it is now.
        partition_key: The day.
        key: The asset.
    """

    def __init__(self, step: Step, partition_key: str | None, key: dg.AssetKey) -> None:
        self._step = step
        self._partition_key = partition_key
        self._key = key
        self._export_facts = ExportFacts(step.client, partition_key)

    def publish(self, own_tables: OwnTables) -> PublishedPartition | None:
        """Export and publish; None where the token's user may not read the log.

        Of a day on which nothing was changed, the log is read, and whether the token's user would
        be shown it: one request more, or two where the study has data access groups.

        Args:
            own_tables: Is told when REDCap does not give the log.

        Raises:
            ConfigError: The partition is no day, the token's user sees one data access group, or
                a field has the name of a column of the feed.
            ExportError: The day is not over where REDCap stands.
            RedcapDagsterError: It could not be done; what readers see is unchanged.
        """
        client, live = self._step.client, self._step.live
        refuse_taken_names(live)
        day = parse_day(self._partition_key, RECORD_CHANGES)
        log = own_tables.permitted(
            self._key, self._partition_key, lambda: read_log_day(client, day)
        )
        if log is None:
            return None
        self._refuse_open_day(log)
        found = DayOfChanges(live, changes_in(log.rows, client, live))
        if not found.record_ids and not found.holds_everything:
            self._refuse_user_of_a_group(None)
            with self._open_writer() as writer:
                writer.write_table(RECORD_CHANGES, found.first_rows())
                return self._publish(writer, log, found, None)
        progress = ExportProgress()
        with (
            logged_progress(self._step.context, client, progress) as telling,
            self._open_export(found, progress) as export,
        ):
            while True:
                with self._open_writer() as writer:
                    telling.begin("records")
                    self._write(writer, found, export, telling)
                    telling.begin("changes")
                    if export.settle():
                        there = frozenset(export.rows.record_ids)
                        writer.write_rows(RECORD_CHANGES, found.rows_of_deleted(there))
                        published = self._publish(writer, log, found, export)
                        export.done()
                        return published

    def _refuse_open_day(self, log: LogDay) -> None:
        if log.is_over:
            return
        if not self._step.study.takes_open_days:
            raise ExportError(
                f"{log.day} is not over yet by REDCap's clock, so not everything that changes on "
                "it is in the log. Give the partitions the time zone of REDCap's server "
                "(dg.DailyPartitionsDefinition(..., timezone=...), in YAML server_timezone), and "
                "materialize the day when it is over there. With end_offset=1 the present day may "
                "be materialized too.",
                retryable=True,
            )
        self._step.context.log.warning(
            "%s is not over yet by REDCap's clock: materialize it again when it is.", log.day
        )

    def _open_writer(self) -> ExtractWriter:
        step = self._step
        return ExtractWriter(step.study.shelf(self._partition_key), step.live, ())

    def _open_export(self, found: DayOfChanges, progress: ExportProgress) -> StudyExport:
        step = self._step
        return StudyExport(
            step.client,
            step.live,
            RecordSelection(record_ids=None if found.holds_everything else found.record_ids),
            settings=step.settings,
            series=step.series,
            spool=spool_folder(step.study.out_dir),
            progress=progress,
        )

    def _write(
        self, writer: ExtractWriter, found: DayOfChanges, export: StudyExport, telling: Telling
    ) -> None:
        step = self._step
        step.context.log.info(
            "%s: the log names %d records; exporting %d%s.",
            self._partition_key,
            len(found.record_ids),
            len(export.rows.record_ids),
            ", all there are" if found.holds_everything else "",
        )
        writer.write_rows(RECORD_CHANGES, found.first_rows())
        has_groups: bool | None = None
        for piece in gather_chunks(export.chunks(looks_ahead=True)):
            has_groups = bool(has_groups) or _says_groups(piece)
            writer.write_rows(RECORD_CHANGES, found.table(piece))
            telling.tell()
        try:
            self._refuse_user_of_a_group(has_groups)
        except ConfigError:
            export.done()  # nobody goes on with it: what was kept on disk goes
            raise

    def _refuse_user_of_a_group(self, has_groups: bool | None) -> None:
        """Refuse a token that sees one group: records that left it are not in its log.

        Args:
            has_groups: Whether the export named groups; None where it had no rows.
        """
        if has_groups:
            return
        client = self._step.client
        _, groups = ask_or_refused(client.export_data_access_groups)
        if is_in_group(client, None if has_groups is None else (), groups) == "yes":
            raise ConfigError(
                f"{RECORD_CHANGES} needs a token whose user is in no data access group: the log "
                "that REDCap shows to a user in a group says nothing of records that were deleted "
                "or left it."
            )

    def _publish(
        self, writer: ExtractWriter, log: LogDay, found: DayOfChanges, export: StudyExport | None
    ) -> PublishedPartition:
        step = self._step
        there = () if export is None else frozenset(export.rows.record_ids)
        facts: dict[str, Any] = {
            **self._export_facts.facts(step.live, export),
            RECORD_CHANGES: {
                **found.counts(there),
                "holds_everything": found.holds_everything,
                "day_is_over": log.is_over,
            },
        }
        known = {props.name for props in step.study.props.values()}
        return PublishedPartition(
            self._partition_key,
            writer.publish(facts, known_tables=known),
            StepChecks(step),
        )


def _says_groups(rows: pa.Table) -> bool:
    """Whether REDCap sent the column of data access groups."""
    return _GROUP_COLUMN in rows.column_names and bool(
        rows[_GROUP_COLUMN].null_count < rows.num_rows
    )
