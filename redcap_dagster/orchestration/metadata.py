"""What Dagster shows of a table: columns with their meaning. Never values."""

import re
from collections.abc import Iterable
from typing import TypeAlias

import dagster as dg

from redcap_dagster.errors import name_some
from redcap_dagster.tables import Location, PublishedExtract, PublishedTable, TableColumn, TableSpec

RawMetadata: TypeAlias = int | str | dg.TableSchema | dg.TableColumnLineage
"""The kinds of metadata values that a table has."""

EXTRACT_ID = "redcap/extract_id"
"""Metadata that says which extract a materialization is of."""

_MOST_CHOICES_SHOWN = 20
_ROLES_OF_FIELDS = frozenset({"value", "choice_label", "checkbox", "checkbox_list", "record_id"})
_MOST_LETTERS_SHOWN = 300


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """The columns of a table: type, the field's label, constraints of the dictionary, tags."""
    return dg.TableSchema(
        columns=[_column(column, spec) for column in spec.columns],
        constraints=dg.TableConstraints(other=[f"unique by {', '.join(spec.key_columns)}"])
        if spec.key_columns
        else None,
    )


def table_metadata(
    spec: TableSpec, table: PublishedTable, *, uri: Location, is_partition: bool
) -> dict[str, RawMetadata]:
    """What Dagster shows of a table that was published: rows, size, columns, where it is."""
    rows = "dagster/partition_row_count" if is_partition else "dagster/row_count"
    return {
        rows: table.rows,
        "dagster/size_bytes": table.bytes,
        "dagster/uri": str(uri),
        "dagster/column_schema": _schema_of(spec, table),
        "redcap/sha256": table.sha256,
    }


def export_metadata(extract: PublishedExtract) -> dict[str, RawMetadata]:
    """What the export of records that a table is made from came to and cost: numbers to plot.

    All tables of a partition come from one export, and say the same.
    """
    facts, export = extract.facts, extract.facts["export"]
    metadata: dict[str, RawMetadata] = {
        "redcap/records_exported": export["records_done"],
        "redcap/cells_exported": export["cells"],
        "redcap/requests": facts["requests"],
        "redcap/retries": facts["retries"],
        "redcap/requests_split": export["batches_split"],
        "redcap/answers_refused": export["answers_refused"],
        "redcap/export_seconds": facts["seconds"],
    }
    moment = facts["completeness"]
    if moment is not None:
        metadata["redcap/is_state_of_one_moment"] = moment["is_state_of_one_moment"]
        if moment["state_of"] is not None:
            metadata["redcap/state_of"] = moment["state_of"]
    return metadata


def _schema_of(spec: TableSpec, table: PublishedTable) -> dg.TableSchema:
    """The columns planned, and those that REDCap sent beside them: newer versions have more."""
    planned = column_schema(spec)
    known = spec.columns_by_name
    others = [
        dg.TableColumn(name, kind) for name, kind in table.columns.items() if name not in known
    ]
    return dg.TableSchema([*planned.columns, *others], planned.constraints)


def _column(column: TableColumn, spec: TableSpec) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        type=str(column.arrow_type),
        description=_one_line(column.description) or None,
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable,
            unique=spec.key_columns == (column.name,),
            other=list(_constraints(column)),
        ),
        tags=_tags(column),
    )


def _constraints(column: TableColumn) -> Iterable[str]:
    field = column.field
    if field is None or column.role not in _ROLES_OF_FIELDS:
        return
    if field.is_required:
        yield "required"
    if field.validation:
        yield f"format {field.validation}"
    if field.minimum:
        yield f"at least {field.minimum}"
    if field.maximum:
        yield f"at most {field.maximum}"
    if field.choices and column.role != "checkbox":
        codes = column.categories or [choice.code for choice in field.choices]
        yield f"one of {name_some(codes, _MOST_CHOICES_SHOWN)}"
    if field.branching_logic:
        yield f"shown if {_one_line(field.branching_logic)}"


def _tags(column: TableColumn) -> dict[str, str]:
    tags: dict[str, str] = {}
    if column.role not in {"value", "text"}:
        tags["redcap/role"] = column.role
    if column.field is not None:
        tags["redcap/form"] = column.field.instrument
        tags["redcap/field_type"] = column.field.field_type
        if column.field.name != column.name:
            tags["redcap/field"] = column.field.name
        if column.field.is_identifier:
            tags["redcap/identifier"] = "y"
    elif column.source is not None and column.source.instrument:
        tags["redcap/form"] = column.source.instrument
    return tags


def _one_line(text: str) -> str:
    """Text without HTML and line breaks, cut where it is long."""
    plain = re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", "", text)).strip()
    if len(plain) <= _MOST_LETTERS_SHOWN:
        return plain
    return f"{plain[:_MOST_LETTERS_SHOWN]}…"
