"""Published tables, loaded into DuckDB or PostgreSQL.

`load_study` and `load_extract` put what was published into a `Destination` in one transaction:
tables with types, primary keys and comments. What they do when a table there is different is
`SchemaChanges`.
"""

from redcap_dagster.destinations.changes import SchemaChanges
from redcap_dagster.destinations.destination import Destination, DestinationKind
from redcap_dagster.destinations.load import LoadedTable, TableLoad, load_extract, load_tables
from redcap_dagster.destinations.plan import PARTITION_COLUMN
from redcap_dagster.destinations.study import load_study

__all__ = [
    "PARTITION_COLUMN",
    "Destination",
    "DestinationKind",
    "LoadedTable",
    "SchemaChanges",
    "TableLoad",
    "load_extract",
    "load_study",
    "load_tables",
]
