"""Hands a study's published tables to the assets that are made of them."""

from collections.abc import Sequence
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import dagster as dg
import pandas as pd
import pyarrow as pa
from pydantic import Field

from redcap_dagster.errors import ConfigError, TableError
from redcap_dagster.tables import (
    has_extract,
    read_published,
    read_side_by_side,
    to_location,
    to_pandas,
)

FrameKind = Literal["pandas", "arrow", "polars", "duckdb"]
"""As what a table is handed over."""

_COLUMNS = "columns"
_TABLE = "table"


class RedcapParquetIOManager(dg.ConfigurableIOManager):
    """Loads tables of a study: one partition, several or all, and the columns that are wanted.

    It only loads: the tables are written by the study's own assets. Name it as the input manager
    of what is made of them:

    ```python
    @dg.asset(ins={
        "spirometry": dg.AssetIn(
            key=["asthma", "spirometry"],
            input_manager_key="asthma_tables",
            metadata={"columns": ["participant_id", "fev1_l"]},
        )
    })
    def lung_function(spirometry: pd.DataFrame): ...

    resources = {"asthma_tables": RedcapParquetIOManager(out_dir="data/asthma")}
    ```

    A parameter annotated with `pd.DataFrame`, `pa.Table`, `pl.DataFrame` or
    `duckdb.DuckDBPyRelation`, or one of them or None, gets that; any other gets what `frame` says.
    The table is named by the last part of the asset key (`reports/12` is report 12), or by
    `"table"` in the input's metadata where a translator has changed the key.
    """

    out_dir: str = Field(
        description="The study's folder or its place in an object store, as given to "
        "`build_redcap_assets`."
    )
    frame: FrameKind = Field(
        default="pandas",
        description="What a parameter without an annotation gets: pandas, arrow, polars, duckdb.",
    )

    def load_input(self, context: dg.InputContext) -> Any:
        """The table of an upstream asset, or of its partitions that the step depends on.

        Rows of several partitions stand one after another, in the order of the partitions. A
        column that an older partition does not have is null there.

        Raises:
            TableError: A partition was never materialized, or the partitions do not fit together.
            ConfigError: The library of the wanted frame is not installed.
        """
        metadata = context.definition_metadata or {}
        name = str(metadata.get(_TABLE) or table_of(context.asset_key))
        columns = metadata.get(_COLUMNS)
        table = self.read(name, _partition_keys(context), columns)
        return _hand_over(table, _wanted_kind(context.dagster_type.typing_type) or self.frame)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ARG002
        """Refuse: a study's tables are written by the study's own assets.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "RedcapParquetIOManager loads the tables of a study and stores nothing. Use it as "
            "input_manager_key of an input, and another IO manager for what you make."
        )

    def read(
        self,
        table: str,
        partition_keys: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read a table without Dagster.

        Args:
            table: Name of the table.
            partition_keys: Partitions to read; None for a table that has none.
            columns: Names of columns, in the order wanted; None for all.

        Raises:
            TableError: A partition was never materialized, has no such table or column, or the
                partitions do not fit together.
            ConfigError: `columns` is a text.
        """
        if partition_keys is None:
            return read_published(self.out_dir, table, columns)
        out_dir = to_location(self.out_dir)
        shelves = [out_dir / key.replace("|", "+") for key in partition_keys]
        lacking = read_side_by_side(has_extract, shelves).count(False)
        if lacking or not shelves:
            raise TableError(
                f"{lacking} of the {len(shelves)} partitions of {table} were never materialized. "
                "Materialize them first."
            )
        pieces = read_side_by_side(lambda shelf: read_published(shelf, table, columns), shelves)
        try:
            return pa.concat_tables(pieces, promote_options="default")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise TableError(
                f"The partitions of {table} were made by different designs of the study, and a "
                "column has another type in some. Materialize the older ones again."
            ) from error


def table_of(key: dg.AssetKey) -> str:
    """Name of the table of an asset that a translator has not renamed."""
    path = key.path
    return f"report-{path[-1]}" if path[-2:-1] == ["reports"] else path[-1]


def _partition_keys(context: dg.InputContext) -> Sequence[str] | None:
    return context.asset_partition_keys if context.has_asset_partitions else None


def _wanted_kind(annotation: Any) -> FrameKind | None:
    if get_origin(annotation) in {Union, UnionType}:
        others = [item for item in get_args(annotation) if item is not NoneType]
        return _wanted_kind(others[0]) if len(others) == 1 else None
    if annotation is pd.DataFrame:
        return "pandas"
    if annotation is pa.Table:
        return "arrow"
    module, name = getattr(annotation, "__module__", ""), getattr(annotation, "__name__", "")
    if name == "DataFrame" and module.split(".")[0] == "polars":
        return "polars"
    if name == "DuckDBPyRelation":
        return "duckdb"
    return None


def _hand_over(table: pa.Table, kind: FrameKind) -> Any:
    if kind == "arrow":
        return table
    if kind == "pandas":
        return to_pandas(table)
    try:
        # Optional: neither is needed to export a study.
        library = import_module(kind)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"A table is wanted as a {kind} frame, and {kind} is not installed: pip install {kind}"
        ) from error
    if kind == "polars":
        return library.from_arrow(table)
    # On the connection of the module: relations of one connection can be joined, and before
    # DuckDB 2 a connection that nobody holds is closed under its relation.
    return library.from_arrow(table)
