"""One stored row of data."""

from collections.abc import Mapping
from typing import NamedTuple


class StoredRow(NamedTuple):
    """One stored row; base rows have instrument "" and instance 0."""

    record_id: str
    group: str
    event: str
    instrument: str
    instance: int
    cells: Mapping[str, str]
