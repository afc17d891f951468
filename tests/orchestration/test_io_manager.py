"""Published tables, handed to the assets that are made of them."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from redcap_dagster import RedcapParquetIOManager, build_redcap_assets, record_partitions
from redcap_dagster.errors import ConfigError, TableError
from redcap_dagster.tables import read_published, to_pandas

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

COLUMNS = ["fev1_l", "participant_id"]


def handed(study: "Study", annotation: Any, assets: dg.AssetsDefinition, **options: Any) -> Any:
    """What an asset with a parameter of this annotation gets."""
    got = []
    metadata = options.pop("metadata", None)

    def downstream(spirometry: Any) -> None:
        got.append(spirometry)

    downstream.__annotations__["spirometry"] = annotation
    asset = dg.asset(
        ins={
            "spirometry": dg.AssetIn(
                key="spirometry", input_manager_key="tables", metadata=metadata
            )
        },
        partitions_def=options.pop("partitions_def", None),
    )(downstream)
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    dg.materialize(
        [assets, asset],
        selection=[asset],
        resources={
            "tables": RedcapParquetIOManager(out_dir=str(study.out_dir)),
            "redcap": study.resource(),
        },
        run_config=quiet,
        **options,
    )
    return got[0]


def test_the_annotation_says_what_a_table_is_handed_over_as(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    study.materialize(assets=assets, selection=["spirometry"])
    table = read_published(study.out_dir, "spirometry")
    assert handed(study, pa.Table, assets).equals(table)
    pd.testing.assert_frame_equal(handed(study, pd.DataFrame, assets), to_pandas(table))
    pd.testing.assert_frame_equal(handed(study, Any, assets), to_pandas(table))
    assert handed(study, pa.Table | None, assets).equals(table)
    assert handed(study, pl.DataFrame, assets).equals(pl.from_arrow(table))
    relation = handed(study, duckdb.DuckDBPyRelation, assets)
    assert relation.columns == table.column_names
    assert len(relation.fetchall()) == table.num_rows


def test_only_the_columns_that_are_wanted_are_read(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    study.materialize(assets=assets, selection=["spirometry"])
    table = handed(study, pa.Table, assets, metadata={"columns": COLUMNS})
    assert table.equals(read_published(study.out_dir, "spirometry").select(COLUMNS))
    with pytest.raises(ConfigError, match="`columns` is one text"):
        handed(study, pa.Table, assets, metadata={"columns": "fev1_l"})


def test_one_partition_or_all_of_them(study: "Study") -> None:
    partitions = record_partitions(3)
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, partitions_def=partitions)
    keys = partitions.get_partition_keys()
    for key in keys[:2]:
        study.materialize(assets=assets, selection=["spirometry"], partition_key=key)
    one = handed(study, pa.Table, assets, partitions_def=partitions, partition_key=keys[1])
    assert one.equals(read_published(study.out_dir / keys[1], "spirometry"))
    with pytest.raises(TableError, match="1 of the 3 partitions of spirometry were never"):
        handed(study, pa.Table, assets)
    study.materialize(assets=assets, selection=["spirometry"], partition_key=keys[2])
    pieces = [read_published(study.out_dir / key, "spirometry") for key in keys]
    assert handed(study, pa.Table, assets).equals(pa.concat_tables(pieces))


def test_it_stores_nothing(study: "Study") -> None:
    @dg.asset(io_manager_key="tables")
    def mine() -> int:
        return 1

    with pytest.raises(ConfigError, match="loads the tables of a study and stores nothing"):
        dg.materialize(
            [mine], resources={"tables": RedcapParquetIOManager(out_dir=str(study.out_dir))}
        )
