"""Tables that belong to no instrument: the raw export, and what is said of single cells."""

from collections.abc import Collection

import pyarrow as pa

from redcap_dagster.errors import TableError
from redcap_dagster.project import RedcapProject, plan_export_columns
from redcap_dagster.tables.arrow_types import TEXT
from redcap_dagster.tables.names import MISSING_REASONS, RECORDS, REJECTED_VALUES
from redcap_dagster.tables.spec import TableColumn, TableSpec
from redcap_dagster.tables.value_columns import describe_column


def plan_records_table(
    project: RedcapProject, instruments: Collection[str] | None = None
) -> TableSpec:
    """Plan the table `records`: the flat export as REDCap sends it, every cell as text.

    Columns in the order of the export. "" is blank; null is a column the server did not send.

    Args:
        project: The study's design.
        instruments: Unique names of the instruments that were asked for; None for all.

    Raises:
        DesignError: An instrument is not in the project.
    """
    columns = plan_export_columns(project, instruments)
    key_kinds = {"record_id", "event", "repeat_instrument", "repeat_instance"}
    return TableSpec(
        name=RECORDS,
        instrument=None,
        label="Records as REDCap sent them",
        structure="flat",
        key_columns=tuple(item.name for item in columns if item.kind in key_kinds),
        columns=tuple(
            TableColumn(
                name=item.name,
                arrow_type=TEXT,
                role="text",
                description=describe_column(project.fields_by_name.get(item.field or ""), item),
                nullable=item.is_optional,
                source=item,
                field=project.fields_by_name.get(item.field or ""),
            )
            for item in columns
        ),
    )


def plan_rejected_values_table(project: RedcapProject) -> TableSpec:
    """Plan the table `rejected_values`: what fits no typed table, with its raw text.

    The same columns in every project, all text; the first is named as the record id field, unless
    that name is one of the others. It has no key: one cell is one row.
    """
    return _plan_cell_table(
        project,
        REJECTED_VALUES,
        "Values that fit no table",
        {
            "instrument": "Unique name of the instrument.",
            "field": "Column of the export that holds the value.",
            "value": "The value as REDCap sent it.",
            "rule": "Why it is in no table: the rule it breaks.",
        },
    )


def plan_missing_reasons_table(project: RedcapProject) -> TableSpec:
    """Plan the table `missing_reasons`: why each blank of the export is blank.

    Columns as in `rejected_values`: all text, and the row of the export named as it was sent.
    """
    return _plan_cell_table(
        project,
        MISSING_REASONS,
        "Why values are missing",
        {
            "instrument": "Unique name of the instrument.",
            "field": "Name of the field; null where the reason is that of the whole form.",
            "reason": "coded, rejected, not_asked, blank, undetermined, form_not_started or "
            "not_designated.",
            "missing_code": "The missing data code, where the reason is coded; else null.",
        },
    )


def _plan_cell_table(
    project: RedcapProject, name: str, label: str, facts: dict[str, str]
) -> TableSpec:
    """A table of facts about cells, each with the row of the export it stands in."""
    others = {
        "redcap_event_name": "Unique name of the event; null in a classic project.",
        "redcap_repeat_instrument": "As exported; null where blank.",
        "redcap_repeat_instance": "As exported; null where blank.",
        **facts,
    }
    record_id = project.record_id_field
    descriptions = {
        record_id if record_id not in others else "record_id": "Record id.",
        **others,
    }
    return TableSpec(
        name=name,
        instrument=None,
        label=label,
        structure="flat",
        key_columns=(),
        columns=tuple(
            TableColumn(column, TEXT, "text", description, nullable=column in _OPTIONAL[name])
            for column, description in descriptions.items()
        ),
    )


_OPTIONAL_OF_ROW = frozenset(
    {"redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"}
)
_OPTIONAL = {
    REJECTED_VALUES: _OPTIONAL_OF_ROW,
    MISSING_REASONS: _OPTIONAL_OF_ROW | {"field", "missing_code"},
}


def as_records(chunk: pa.Table, spec: TableSpec) -> pa.Table:
    """A chunk's cells as they are, in the columns of `records`.

    Raises:
        TableError: The chunk lacks columns of the design.
    """
    present = set(chunk.column_names)
    lacking = [item.name for item in spec.columns if not item.nullable and item.name not in present]
    if lacking:
        raise TableError(
            f"The export lacks {len(lacking)} columns of {spec.name}: {', '.join(lacking[:8])}. "
            "Read the design again, then export again."
        )
    columns = dict(zip(chunk.column_names, chunk.columns, strict=True))
    not_sent = pa.nulls(chunk.num_rows, pa.string())
    return pa.Table.from_arrays(
        [columns.get(item.name, not_sent) for item in spec.columns], schema=spec.arrow_schema
    )
