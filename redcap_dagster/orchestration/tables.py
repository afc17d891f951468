"""Every table of a study that becomes an asset, and the small ones made from API answers."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from redcap_dagster.api import RedcapClient
from redcap_dagster.orchestration.metadata import as_text
from redcap_dagster.orchestration.translator import RedcapTableProps, TableKind
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import (
    DEFAULT_TABLE_OPTIONS,
    MISSING_REASONS,
    TableColumn,
    TableOptions,
    TableSpec,
    plan_records_table,
    plan_rejected_values_table,
    plan_tables,
)

_METADATA_COLUMNS = (
    "field_name",
    "form_name",
    "section_header",
    "field_type",
    "field_label",
    "select_choices_or_calculations",
    "field_note",
    "text_validation_type_or_show_slider_number",
    "text_validation_min",
    "text_validation_max",
    "identifier",
    "branching_logic",
    "required_field",
    "custom_alignment",
    "question_number",
    "matrix_group_name",
    "matrix_ranking",
    "field_annotation",
)
_MAPPING_COLUMNS = ("arm_num", "unique_event_name", "form")
_USER_COLUMNS = ("username", "email", "firstname", "lastname", "expiration", "data_access_group")
"""The columns every REDCap version has; newer ones add rights, which are kept as they come."""


def plan_study_tables(
    project: RedcapProject, options: TableOptions = DEFAULT_TABLE_OPTIONS
) -> tuple[RedcapTableProps, ...]:
    """Every table of the study: `records`, the instruments, what is said of cells, the others."""
    planned = plan_tables(project, options=options)
    return (
        RedcapTableProps("records", "records", project, plan_records_table(project)),
        *(
            RedcapTableProps(
                spec.name,
                "instrument",
                project,
                spec,
                project.instruments_by_name[spec.instrument],
            )
            for spec in planned
            if spec.instrument is not None
        ),
        RedcapTableProps(
            "rejected_values", "rejected_values", project, plan_rejected_values_table(project)
        ),
        *(
            RedcapTableProps(MISSING_REASONS, "missing_reasons", project, spec)
            for spec in planned
            if spec.name == MISSING_REASONS
        ),
        *(
            RedcapTableProps(kind, kind, project, _text_spec(kind, label, columns, key))
            for kind, label, columns, key in _SMALL_TABLES
        ),
    )


_SMALL_TABLES: tuple[tuple[TableKind, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("metadata", "Data dictionary", _METADATA_COLUMNS, ("field_name",)),
    ("users", "Users and rights", _USER_COLUMNS, ("username",)),
    (
        "form_event_mappings",
        "Form-event mappings",
        _MAPPING_COLUMNS,
        ("unique_event_name", "form"),
    ),
)


def read_small_table(client: RedcapClient, kind: TableKind, project: RedcapProject) -> pa.Table:
    """One of the study's small tables, every cell as text, columns as REDCap sends them.

    A classic project has no form-event mappings: the table is empty, with its columns.

    Raises:
        ApiError: REDCap did not answer, or refused.
    """
    if kind == "metadata":
        return _text_table(client.export_metadata(), _METADATA_COLUMNS)
    if kind == "users":
        return _text_table(client.export_users(), _USER_COLUMNS)
    rows = client.export_form_event_mappings() if project.info.is_longitudinal else []
    return _text_table(rows, _MAPPING_COLUMNS)


def _text_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pa.Table:
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    return pa.table(
        {name: pa.array([as_text(row.get(name)) for row in rows], pa.string()) for name in names}
    )


def _text_spec(name: str, label: str, columns: Sequence[str], key: tuple[str, ...]) -> TableSpec:
    return TableSpec(
        name=name,
        instrument=None,
        label=label,
        structure="flat",
        key_columns=key,
        columns=tuple(
            TableColumn(column, pa.string(), "text", nullable=column not in key)
            for column in columns
        ),
    )
