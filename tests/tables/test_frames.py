"""A typed table as a pandas frame: the same dtypes whatever is null."""

from datetime import date, datetime, time

import pandas as pd
import pyarrow as pa

from redcap_dagster.tables import to_pandas
from redcap_dagster.tables.arrow_types import TIME, TIMESTAMP

TABLE = pa.table(
    {
        "text": pa.array(["NA", None]),
        "whole": pa.array([9223372036854775807, None]),
        "part": pa.array([0.5, None]),
        "flag": pa.array([True, None]),
        "day": pa.array([date(1066, 10, 14), None]),
        "moment": pa.array([datetime.fromisoformat("2024-02-29T01:02:03"), None], TIMESTAMP),
        "clock": pa.array([time(8, 10), None], TIME),
    }
)


def test_every_kind_of_column_has_its_dtype_with_and_without_rows() -> None:
    expected = {
        "text": "string",
        "whole": "Int64",
        "part": "Float64",
        "flag": "boolean",
        "day": "datetime64[s]",
        "moment": "datetime64[s]",
        "clock": "timedelta64[s]",
    }
    for table in (TABLE, TABLE.slice(1), TABLE.slice(0, 0)):
        frame = to_pandas(table)
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == expected
        assert isinstance(frame.dtypes["text"], pd.StringDtype)


def test_values_are_the_tables() -> None:
    row = to_pandas(TABLE).iloc[0].to_dict()
    assert row == {
        "text": "NA",
        "whole": 9223372036854775807,
        "part": 0.5,
        "flag": True,
        "day": pd.Timestamp("1066-10-14"),
        "moment": pd.Timestamp("2024-02-29 01:02:03"),
        "clock": pd.Timedelta(hours=8, minutes=10),
    }
    assert to_pandas(TABLE).isna().to_numpy().tolist() == [[False] * 7, [True] * 7]
