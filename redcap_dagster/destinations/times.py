"""When the extracts were made that the partitions of a table are of, kept in a comment. Pure.

The comment of the column that names the partition says it, in the transaction that loads the rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from redcap_dagster.destinations.plan import PARTITION_COMMENT
from redcap_dagster.tables import PublishedExtract

_STATEMENT = f"{PARTITION_COMMENT}. Extracts that are loaded, from when to when they were made: "


@dataclass(frozen=True)
class ExtractTime:
    """A time in which a table was read from REDCap, to the second.

    Attributes:
        began: The export was not finished before: its last look at REDCap came later.
        ended: What was read is no newer.
    """

    began: datetime
    ended: datetime

    def is_before(self, other: "ExtractTime") -> bool:
        """Whether this is over when the other begins, so that the other's rows are newer.

        A record is in one partition at a time. If extracts of two partitions hold it, it moved
        between their last looks at REDCap, and the later look is right. Extracts that begin one
        after the other may end the other way round, so their beginnings alone prove nothing.

        The times are of the clocks of the machines that export, mostly one machine. Where they
        disagree by more than the time between two extracts, the order is wrong; REDCap's own clock
        in the log would be better, but it counts minutes and is hidden from tokens without the
        right to see the log. Extracts that are over within the same second have no order.
        """
        return self.ended <= other.began and not other.ended <= self.began


def time_of(extract: PublishedExtract, table: str) -> ExtractTime | None:
    """When a table of an extract was read; None where the manifest does not say it.

    It begins with the extract that wrote the file, since a table that was kept is older than the
    extract it lies in. How long that took is not known then: the end is the end of this extract.
    """
    try:
        written_by = extract.tables[table].extract_id
        began = datetime.strptime(written_by.split("-")[0], "%Y%m%dT%H%M%S%z")
        ended = datetime.fromisoformat(extract.facts["began"]) + timedelta(
            seconds=extract.facts["seconds"]
        )
    except (KeyError, TypeError, ValueError):
        return None
    return ExtractTime(began, ended.astimezone(timezone.utc).replace(microsecond=0))


def partition_comment(times: Mapping[str, ExtractTime]) -> str:
    """The comment that says of when the rows of each partition are."""
    plain = {
        key: [time.began.isoformat(), time.ended.isoformat()] for key, time in sorted(times.items())
    }
    return _STATEMENT + json.dumps(plain)


def read_partition_comment(comment: str) -> dict[str, ExtractTime]:
    """What `partition_comment` wrote; nothing where somebody else wrote the comment."""
    try:
        plain = json.loads(comment.removeprefix(_STATEMENT))
        return {
            key: ExtractTime(datetime.fromisoformat(began), datetime.fromisoformat(ended))
            for key, (began, ended) in plain.items()
        }
    except (AttributeError, TypeError, ValueError):
        return {}
