"""What the caller hands in to be imported, as the text that goes over the wire."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd

from redcap_dagster.errors import ConfigError

DataFormat = Literal["csv", "json", "xml", "odm"]

_CSV_MARKS = frozenset('"\r\n')

Data = Sequence[Mapping[str, Any]] | pd.DataFrame | str
"""Rows to import: dicts, a frame, or text that is sent as it is."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Data as REDCap reads them.

    Attributes:
        text: The `data` parameter.
        data_format: What it is written in.
        names: Names of its columns, where they are certainly names; else empty.
    """

    text: str = field(repr=False)
    data_format: DataFormat
    names: frozenset[str] = frozenset()


def build_payload(data: Data, data_format: DataFormat | None = None, sep: str = ",") -> Payload:
    """Write rows as REDCap reads them: dicts as JSON, frames as csv, text as it is.

    None and NaN become blank; dates and times are written as `YYYY-MM-DD` and
    `YYYY-MM-DD HH:MM:SS`, times of day as `HH:MM:SS`, booleans as 1 and 0. A field of dates, or of
    times without seconds, takes no such text: give it a `date`, or a text of yours. Rights by
    instrument in a frame become `name:code,name:code`. A frame's named index goes along as
    columns. Numbers of a frame are written as pandas writes them: a column of whole
    numbers with gaps should be `Int64` or text, as `1.0` is no integer to REDCap.

    Args:
        data: The rows.
        data_format: What a text is written in; only for texts.
        sep: Character between the cells of the csv of a frame.

    Raises:
        ConfigError: No rows, or other things than rows; one row where a list is due; a text without
            its format; a value that is neither text, finite number, date, time, boolean, dict nor
            blank.
    """
    if isinstance(data, (bytes, bytearray)):
        raise ConfigError("The data are bytes: decode them, so that they are text.")
    if isinstance(data, str):
        return _from_text(data, data_format)
    if data_format is not None:
        raise ConfigError("`data_format` belongs to data that are text; leave it out.")
    if isinstance(data, pd.DataFrame):
        return _from_frame(data, sep)
    if isinstance(data, Mapping):
        raise ConfigError(
            "The data are one row. REDCap takes nothing from a single row without saying so: put "
            "it into a list."
        )
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in _rows(data)]
    if not rows:
        raise ConfigError("There are no rows to import.")
    names = frozenset(name for row in rows for name in row)
    return Payload(json.dumps(rows, ensure_ascii=False), "json", names)


def _rows(data: object) -> list[Any]:
    rows = list(data) if isinstance(data, Iterable) else [data]
    if all(isinstance(row, (Mapping, pd.Series)) for row in rows):
        return rows
    raise ConfigError("The data to import are rows: a list of dicts, a frame, or a text.")


def _from_text(text: str, data_format: DataFormat | None) -> Payload:
    if data_format is None:
        raise ConfigError("Data that are text need their `data_format`: csv, json, xml or odm.")
    if data_format not in {"csv", "json", "xml", "odm"}:
        raise ConfigError("`data_format` must be one of 'csv', 'json', 'xml', 'odm'.")
    if not text.strip():
        raise ConfigError("The data to import are blank.")
    return Payload(text, data_format)


def _from_frame(frame: pd.DataFrame, sep: str) -> Payload:
    if frame.empty:
        raise ConfigError("There are no rows to import.")
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    cells = frame.astype(object).map(_plain_cell)
    names = [str(name) for name in frame.columns]
    lines = (_csv_line(row, sep) for row in [names, *cells.itertuples(index=False, name=None)])
    return Payload("".join(lines), "csv", frozenset(names))


def _csv_line(cells: Iterable[Any], sep: str) -> str:
    """One line of a csv, with quotes around every cell that needs them and no other.

    Python's own writer leaves a carriage return bare before 3.13, which PHP takes for the end of a
    line; and PHP takes a backslash before a quote for a part of the cell, so quotes are not put
    around everything.
    """
    return (sep.join(_csv_cell(str(cell), sep) for cell in cells) or '""') + "\n"


def _csv_cell(text: str, sep: str) -> str:
    if sep in text or not _CSV_MARKS.isdisjoint(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain_cell(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, dict):
        return ",".join(f"{name}:{code}" for name, code in plain.items())
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):  # rights by instrument
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, np.generic):
        value = _python_value(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (float, Decimal)):
        return _number(value)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, (date, time)):
        return value.isoformat() if isinstance(value, date) else value.strftime("%H:%M:%S")
    if isinstance(value, (str, int)):
        return value
    raise ConfigError(
        f"A value to import is of type {type(value).__name__}, which REDCap cannot take: make it a "
        "text, a number, a date or None."
    )


def _python_value(value: np.generic) -> Any:
    """What numpy holds, as Python has it; a span of time stays numpy's, to be refused."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        if np.isnat(value):
            return None
        if isinstance(value, np.timedelta64):
            return value
        plain = value.item()
        # Python's moments are no finer than microseconds; of finer ones numpy gives a count.
        return value.astype("datetime64[us]").item() if isinstance(plain, int) else plain
    return value.item()


def _number(value: float | Decimal) -> float | str:
    if math.isnan(value):
        return ""
    if math.isinf(value):
        raise ConfigError("A value to import is infinite, which REDCap has no number for.")
    return str(value) if isinstance(value, Decimal) else value


def _moment(value: datetime) -> str:
    if value.tzinfo is not None:
        raise ConfigError(
            "A time to import has a time zone, which REDCap does not keep: convert it to the "
            "study's local time and drop the zone."
        )
    return value.strftime("%Y-%m-%d %H:%M:%S")
