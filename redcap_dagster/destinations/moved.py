"""Records that moved to another partition: the newest extract's rows stay, whatever comes last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from redcap_dagster.destinations.database import Database
from redcap_dagster.destinations.plan import PARTITION_COLUMN, PlannedTable
from redcap_dagster.destinations.rows import stream_rows
from redcap_dagster.destinations.statements import (
    address,
    delete_rows_of_keys,
    key_table,
    list_pairs,
    quoted,
    select_shared_keys,
)
from redcap_dagster.destinations.times import ExtractTime
from redcap_dagster.errors import DestinationError
from redcap_dagster.tables import Location

RowKey: TypeAlias = tuple[Any, ...]
"""The values of a row's key columns."""

_KEYS = "redcap_incoming_keys"


@dataclass(frozen=True)
class MovedRecords:
    """Finds rows that two partitions hold under the same key, and decides which stay.

    Attributes:
        database: Where the table is. It holds no rows of the partitions that come.
        table: Name of the published table.
        planned: What it is in the database.
        files: The file of each partition that comes.
        times: When the extract of a partition was made, of those that come and those there.
    """

    database: Database
    table: str
    planned: PlannedTable
    files: Mapping[str, Location]
    times: Mapping[str, ExtractTime]

    def settle(self, *, is_new: bool) -> dict[str | None, set[RowKey]]:
        """Delete rows that newer ones take the place of.

        Args:
            is_new: Whether the table has no rows.

        Returns:
            For each partition the keys of rows that must not be loaded: there are newer ones.

        Raises:
            DestinationError: It is not known which are newer.
        """
        place = address(self.database.schema, self.planned.name)
        others = [*([] if is_new else [place]), *([quoted(_KEYS)] if len(self.files) > 1 else [])]
        if not others:
            return {}
        self._list_keys()
        left_out: dict[str | None, set[RowKey]] = {}
        key = self.planned.key_columns
        for rows in others:
            for coming, other in self.database.execute(list_pairs(quoted(_KEYS), rows, key)):
                if self._newer(coming, other) == other:
                    shared = select_shared_keys(quoted(_KEYS), rows, key, (coming, other))
                    left_out.setdefault(coming, set()).update(self.database.execute(shared))
                elif rows == place:
                    self.database.execute(
                        delete_rows_of_keys(place, quoted(_KEYS), key, (coming, other))
                    )
        self.database.execute(f"drop table {quoted(_KEYS)}")
        return left_out

    def _list_keys(self) -> None:
        """Put the keys of all rows that come into a table of the load's own."""
        self.database.execute(key_table(_KEYS, self.planned))
        wanted = (*self.planned.key_columns, PARTITION_COLUMN)
        for partition_key, file in self.files.items():
            keys = stream_rows(file, self.planned, partition_key, only=wanted)
            self.database.append(_KEYS, keys, is_temporary=True)

    def _newer(self, one: str, two: str) -> str:
        first, second = self.times.get(one), self.times.get(two)
        if first is not None and second is not None:
            if first.is_before(second):
                return two
            if second.is_before(first):
                return one
        older, newer = sorted((one, two), key=self._probable_age)
        raise DestinationError(
            f"The extracts of the partitions {older} and {newer} hold rows of table {self.table} "
            "under the same key: a record moved. Which of them are newer is not known, as the "
            "extracts were made at the same time or do not say when. Nothing was loaded. "
            f"Materialize {older} again and load it, then {newer}.",
            retryable=True,
        )

    def _probable_age(self, partition_key: str) -> tuple[str, str]:
        time = self.times.get(partition_key)
        return ("" if time is None else time.began.isoformat(), partition_key)
