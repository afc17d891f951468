"""The project's log as a table with a partition for each day. Rows are only ever added."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import pyarrow as pa

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.export import read_log_day
from redcap_dagster.extract import as_text, text_spec, text_table
from redcap_dagster.tables import (
    Location,
    TableSpec,
    find_extract,
    read_table,
)

AUDIT_LOG = "audit_log"
_COLUMNS = ("timestamp", "username", "action", "details", "record")


def plan_audit_log_table() -> TableSpec:
    """The layout of the log. It has no key: two entries of one minute can be the same."""
    return text_spec(AUDIT_LOG, "Audit log", _COLUMNS, ())


def read_audit_log(client: RedcapClient, shelf: Location, partition_key: str | None) -> pa.Table:
    """One day of the log, with what was published of it before.

    An entry stays once it was published, also where REDCap forgets it later: deleting a record
    can blank the log of it.

    Args:
        client: Where to ask. Its user needs the Logging right.
        shelf: The place in which this day was published before, or not.
        partition_key: The day of the server's local time, `2026-11-21`.

    Returns:
        Entries from the oldest to the newest, every cell as text.

    Raises:
        ApiError: REDCap did not answer, or refused.
        ConfigError: The partition is no day.
    """
    log = read_log_day(client, parse_day(partition_key, AUDIT_LOG))
    now = [*reversed(log.rows)]
    return text_table(_merge(_published_rows(shelf), now), _COLUMNS)


def parse_day(partition_key: str | None, table: str) -> date:
    """The day that a partition key stands for.

    Args:
        partition_key: The day of the server's local time, `2026-11-21`.
        table: The table that is exported by day.

    Raises:
        ConfigError: The partition is no day.
    """
    try:
        return date.fromisoformat(partition_key or "")
    except ValueError:
        raise ConfigError(
            f"{table} is exported day by day: give it daily partitions "
            f"({table}_partitions=dg.DailyPartitionsDefinition(...)) and choose a day."
        ) from None


def _published_rows(shelf: Location) -> list[Mapping[str, str]]:
    extract = find_extract(shelf)
    if extract is None or AUDIT_LOG not in extract.tables:
        return []
    rows: list[Mapping[str, str]] = read_table(extract, AUDIT_LOG).to_pylist()
    return rows


def _merge(
    before: Sequence[Mapping[str, object]], now: Sequence[Mapping[str, object]]
) -> list[Mapping[str, object]]:
    """What was there before and what is new, by time; entries of one minute in their order."""
    rows = [*before, *_beyond(before, now)]
    return sorted(rows, key=lambda row: str(row["timestamp"]))


def _beyond(
    before: Sequence[Mapping[str, object]], now: Sequence[Mapping[str, object]]
) -> Iterator[Mapping[str, object]]:
    """Entries of `now` that are not among `before`, each as often as it is there once more."""
    known = Counter(_identity(row) for row in before)
    for row in now:
        identity = _identity(row)
        if known[identity]:
            known[identity] -= 1
        else:
            yield row


def _identity(row: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(as_text(row.get(name)) for name in _COLUMNS)
