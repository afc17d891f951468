"""Reads a study from REDCap: plan, batches, judged chunks. Knows no files, tables or Dagster."""

from redcap_dagster.export.changes import (
    Change,
    ChangeFence,
    ChangeKind,
    read_changes,
    read_fence,
)
from redcap_dagster.export.chunks import Chunk, read_chunk
from redcap_dagster.export.design import read_answers, read_design
from redcap_dagster.export.plan import (
    DEFAULT_CELLS_PER_REQUEST,
    Batch,
    ExportPlan,
    plan_export,
    record_bucket,
    select_instruments,
)
from redcap_dagster.export.record_list import read_record_groups, read_record_ids_of_events
from redcap_dagster.export.run import ExportProgress, iter_chunks, read_record_ids

__all__ = [
    "DEFAULT_CELLS_PER_REQUEST",
    "Batch",
    "Change",
    "ChangeFence",
    "ChangeKind",
    "Chunk",
    "ExportPlan",
    "ExportProgress",
    "iter_chunks",
    "plan_export",
    "read_answers",
    "read_changes",
    "read_chunk",
    "read_design",
    "read_fence",
    "read_record_groups",
    "read_record_ids",
    "read_record_ids_of_events",
    "record_bucket",
    "select_instruments",
]
