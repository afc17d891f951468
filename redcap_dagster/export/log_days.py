"""Reads one day of the project's log, by the server's local time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from redcap_dagster.api import RedcapClient
from redcap_dagster.export.changes import earliest_local_time, minutes_of

_DAY = len("2026-01-31")


@dataclass(frozen=True)
class LogDay:
    """What REDCap's log says of a day. Its `repr` shows no entries.

    Attributes:
        day: The day, of the server's local time.
        rows: Its entries as REDCap sent them, newest first.
        is_over: Whether the server's clock has left the day behind, so that no entry comes any
            more.
    """

    day: date
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    is_over: bool


def read_log_day(client: RedcapClient, day: date) -> LogDay:
    """Read one day of the log: one request.

    Of a day that may be the server's present one, what came after it is read too: our own requests
    are in the log, and say whether midnight has passed there.

    Args:
        client: Where to ask. Its user needs the Logging right.
        day: The day, of the server's local time.

    Raises:
        ApiError: REDCap did not answer, or refused, or its answer cannot be believed.
    """
    midnight = datetime.combine(day + timedelta(days=1), time.min)
    is_long_over = midnight < earliest_local_time()
    asked = client.export_logging(
        begin_time=datetime.combine(day, time.min),
        # To the next midnight, and the day picked out here: whether an end that is a minute
        # holds that minute's seconds is not known of every version.
        end_time=midnight if is_long_over else None,
    )
    days = [minute[:_DAY] for minute in minutes_of(asked)]
    name = day.isoformat()
    return LogDay(
        day,
        tuple(row for row, of_day in zip(asked, days, strict=True) if of_day == name),
        is_long_over or any(of_day > name for of_day in days),
    )
