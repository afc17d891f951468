"""Column lineage: from the raw export to each column of an instrument's table."""

from collections.abc import Mapping

import dagster as dg

from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.tables import ColumnRole, TableColumn, TableSpec

# Columns that say what a row is, by the export column they are read from.
_ROW_SOURCES: dict[ColumnRole, str] = {
    "event_name": "redcap_event_name",
    "event_label": "redcap_event_name",
    "arm_number": "redcap_event_name",
    "arm_name": "redcap_event_name",
    "event_instance": "redcap_repeat_instance",
    "form_instance": "redcap_repeat_instance",
    "data_access_group": "redcap_data_access_group",
    "survey_identifier": "redcap_survey_identifier",
}


def column_lineage(
    spec: TableSpec, tables: Mapping[dg.AssetKey, RedcapTableProps]
) -> dg.TableColumnLineage | None:
    """Which columns of `records` each column of a table is made from.

    Args:
        spec: The table's layout.
        tables: Every table of the study, by asset key.

    Returns:
        None for a table that is no instrument's, and where `records` is no asset.
    """
    records = next((key for key, props in tables.items() if props.kind == "records"), None)
    if spec.instrument is None or records is None:
        return None
    return dg.TableColumnLineage(
        {
            column.name: [dg.TableColumnDep(records, name) for name in _sources(column, spec)]
            for column in spec.columns
        }
    )


def _sources(column: TableColumn, spec: TableSpec) -> list[str]:
    if column.role == "record_id":
        return [column.name]
    if column.role in _ROW_SOURCES:
        return [_ROW_SOURCES[column.role]]
    restated = spec.columns_by_name.get(column.restates, column)
    return [source.name for source in restated.export_columns]
