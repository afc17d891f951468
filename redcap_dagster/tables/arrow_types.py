"""The Arrow type of each kind of value.

Only types that Parquet stores as they are, so that a table read back has the schema it was
written with: Parquet knows no seconds, so times and timestamps count milliseconds.
"""

import pyarrow as pa

from redcap_dagster.project import ValueKind

TEXT = pa.string()
INTEGER = pa.int64()
BOOLEAN = pa.bool_()
TIMESTAMP = pa.timestamp("ms")
TIME = pa.time32("ms")
CATEGORY = pa.dictionary(pa.int32(), TEXT, ordered=True)
# The name of the items is the one that Parquet gives them.
TEXT_LIST = pa.list_(pa.field("element", TEXT))

ARROW_TYPES: dict[ValueKind, pa.DataType] = {
    "text": TEXT,
    "choice": TEXT,
    "file": TEXT,
    "integer": INTEGER,
    "decimal": pa.float64(),
    "decimal_comma": pa.float64(),
    "date": pa.date32(),
    "datetime": TIMESTAMP,
    "datetime_seconds": TIMESTAMP,
    "time": TIME,
    "time_seconds": TIME,
    "minutes_seconds": TIME,
    "boolean": BOOLEAN,
}
"""Each kind of value that has an export column, and how a typed table holds it."""
