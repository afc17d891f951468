"""Published tables, loaded into DuckDB or PostgreSQL.

`load_extract` puts an extract into a `Destination` in one transaction: tables with types, primary
keys and comments. What it does when a table there is different is `SchemaChanges`.
"""

from redcap_dagster.destinations.changes import SchemaChanges
from redcap_dagster.destinations.destination import Destination, DestinationKind
from redcap_dagster.destinations.load import LoadedTable, TableLoad, load_extract, load_tables
from redcap_dagster.destinations.plan import PARTITION_COLUMN

__all__ = [
    "PARTITION_COLUMN",
    "Destination",
    "DestinationKind",
    "LoadedTable",
    "SchemaChanges",
    "TableLoad",
    "load_extract",
    "load_tables",
]
