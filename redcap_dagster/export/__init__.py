"""Reads a study from REDCap: plan, requests, judged answers, one moment's rows.

Knows no tables and no Dagster.
"""

from redcap_dagster.export.changes import (
    Change,
    ChangeFence,
    ChangeKind,
    changes_in,
    read_changes,
)
from redcap_dagster.export.chunks import Chunk, read_chunk
from redcap_dagster.export.design import read_answers, read_design
from redcap_dagster.export.log_days import LogDay, read_log_day
from redcap_dagster.export.pace import Pace, PaceFacts
from redcap_dagster.export.plan import Batch, ExportPlan, plan_export
from redcap_dagster.export.progress import ExportProgress
from redcap_dagster.export.row_keys import RowKeySpace, RowList
from redcap_dagster.export.row_list import RowLists, read_row_list
from redcap_dagster.export.selection import RecordOrder, RecordSelection, record_bucket
from redcap_dagster.export.series import ExportSeries
from redcap_dagster.export.settings import ExportSettings
from redcap_dagster.export.shares import DEFAULT_CELLS_PER_REQUEST, select_instruments
from redcap_dagster.export.spool import spool_folder
from redcap_dagster.export.study_export import StudyExport

__all__ = [
    "DEFAULT_CELLS_PER_REQUEST",
    "Batch",
    "Change",
    "ChangeFence",
    "ChangeKind",
    "Chunk",
    "ExportPlan",
    "ExportProgress",
    "ExportSeries",
    "ExportSettings",
    "LogDay",
    "Pace",
    "PaceFacts",
    "RecordOrder",
    "RecordSelection",
    "RowKeySpace",
    "RowList",
    "RowLists",
    "StudyExport",
    "changes_in",
    "plan_export",
    "read_answers",
    "read_changes",
    "read_chunk",
    "read_design",
    "read_log_day",
    "read_row_list",
    "record_bucket",
    "select_instruments",
    "spool_folder",
]
