"""Carries out what a step of destination assets selects, and says what came of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from redcap_dagster.destinations import (
    Destination,
    LoadedTable,
    SchemaChanges,
    TableLoad,
    load_tables,
)
from redcap_dagster.errors import TableError
from redcap_dagster.orchestration.kinds import DAILY_KINDS, RECORD_KINDS
from redcap_dagster.orchestration.metadata import EXTRACT_ID, RawMetadata, column_schema
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.tables import PublishedExtract, find_extract


@dataclass(frozen=True)
class DestinationStep:
    """One Dagster step that loads tables.

    Attributes:
        context: Says which assets and partitions are wanted.
        study: The study that the tables are of.
        sources: Key of each asset in the database → key of the asset it is loaded from, and that
            table.
    """

    context: dg.AssetExecutionContext
    study: StudyAssets
    sources: Mapping[dg.AssetKey, tuple[dg.AssetKey, RedcapTableProps]]

    def load(
        self, destination: Destination, schema_changes: SchemaChanges
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Load what is selected, in one transaction.

        Yields:
            One result for each selected asset.

        Raises:
            TableError: A table was never published.
            DestinationError: It could not be loaded; the database is as it was.
        """
        loads = {
            key: self._plan(props)
            for key, (_, props) in self.sources.items()
            if key in self.context.selected_asset_keys
        }
        self.context.log.info("Loading %d tables into %s.", len(loads), destination.kind)
        loaded = load_tables([*loads.values()], destination, schema_changes=schema_changes)
        tables = {item.table: item for item in loaded}
        for key, planned in loads.items():
            yield self._result(key, planned, tables[planned.table])

    def _plan(self, props: RedcapTableProps) -> TableLoad:
        keys = self._partition_keys(props)
        extracts = {key: self._extract(props.name, key) for key in keys}
        partitions = self.study.partitions_def if props.kind in RECORD_KINDS else None
        return TableLoad(
            props.name,
            extracts,
            partition_keys=None
            if partitions is None
            else frozenset(
                partitions.get_partition_keys(dynamic_partitions_store=self.context.instance)
            ),
        )

    def _partition_keys(self, props: RedcapTableProps) -> list[str] | list[None]:
        is_partitioned = props.kind in DAILY_KINDS or (
            props.kind in RECORD_KINDS and self.study.partitions_def is not None
        )
        return list(self.context.partition_keys) if is_partitioned else [None]

    def _extract(self, table: str, partition_key: str | None) -> PublishedExtract:
        shelf = self.study.shelf(partition_key)
        extract = find_extract(shelf)
        if extract is None or table not in extract.tables:
            raise TableError(
                f"The table {table} was never published in {shelf}. Materialize "
                f"{'it' if partition_key is None else f'its partition {partition_key}'} first."
            )
        return extract

    def _result(
        self, key: dg.AssetKey, load: TableLoad, loaded: LoadedTable
    ) -> dg.MaterializeResult[None]:
        source, props = self.sources[key]
        if len(load.extracts) == 1:
            ((partition_key, extract),) = load.extracts.items()
            return dg.MaterializeResult(
                asset_key=key,
                metadata=_metadata(source, props, loaded, partition_key, extract),
                # Unchanged rows wake nothing downstream.
                data_version=dg.DataVersion(extract.tables[props.name].sha256),
            )
        # As in materialize.py: what is said of each partition is said apart.
        for partition_key, extract in load.extracts.items():
            metadata = _metadata(source, props, loaded, partition_key, extract)
            self.context.add_asset_metadata(metadata, asset_key=key, partition_key=partition_key)
        return dg.MaterializeResult(asset_key=key)


def _metadata(
    source: dg.AssetKey,
    props: RedcapTableProps,
    loaded: LoadedTable,
    partition_key: str | None,
    extract: PublishedExtract,
) -> dict[str, RawMetadata]:
    rows = "dagster/row_count" if partition_key is None else "dagster/partition_row_count"
    left_out = loaded.left_out.get(partition_key, 0)
    metadata: dict[str, RawMetadata] = {
        rows: extract.tables[props.name].rows - left_out,
        "dagster/table_name": f"{loaded.schema}.{loaded.name}",
        "dagster/column_schema": _schema_in_database(props, loaded),
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(source, name)]
                for name in extract.tables[props.name].columns
                if name in loaded.columns
            }
        ),
        EXTRACT_ID: extract.extract_id,
    }
    if left_out:
        metadata["redcap/rows_left_out"] = left_out
    if loaded.added:
        metadata["redcap/columns_added"] = ", ".join(loaded.added)
    return metadata


def _schema_in_database(props: RedcapTableProps, loaded: LoadedTable) -> dg.TableSchema:
    """The columns with the database's types, and what is known of them."""
    planned = column_schema(props.spec)
    known = {column.name: column for column in planned.columns}
    return dg.TableSchema(
        [_column(name, kind, known.get(name)) for name, kind in loaded.columns.items()],
        planned.constraints,
    )


def _column(name: str, kind: str, known: dg.TableColumn | None) -> dg.TableColumn:
    if known is None:
        return dg.TableColumn(name, kind)
    return dg.TableColumn(name, kind, known.description, known.constraints, known.tags)
