"""Record exports of any size: the ids first, then batches of them."""

from collections.abc import Iterator, Sequence

from redcap_dagster.api.lookup import Lookup
from redcap_dagster.api.records import RecordOptions, record_call
from redcap_dagster.errors import ConfigError

DEFAULT_BATCH_SIZE = 200
_MOST_IDS = 900


def read_record_ids(
    lookup: Lookup, options: RecordOptions, record_id_field: str
) -> tuple[str, ...]:
    """Ids of the records an export would hold, each once, in the server's order.

    A record of which only repeating instances are stored has no row of its own, so the form status
    of every repeating instrument is asked for beside the id.

    Args:
        lookup: Asks REDCap.
        options: What the export asks for.
        record_id_field: Name of the record id field.
    """
    repeating = [f"{name}_complete" for name in lookup.repeating_instruments()]
    asked = RecordOptions(
        fields=[record_id_field, *repeating],
        events=options.get("events"),
        filter_logic=options.get("filter_logic"),
        date_range_begin=options.get("date_range_begin"),
        date_range_end=options.get("date_range_end"),
    )
    rows = lookup.send(record_call(asked, "json"), [record_id_field])
    return tuple(dict.fromkeys(row[record_id_field] for row in rows))


def split_batches(record_ids: Sequence[str], size: int) -> Iterator[list[str]]:
    """The ids in lists of at most `size`.

    Raises:
        ConfigError: A size below 1, or beyond what every server reads.
    """
    if not 1 <= size <= _MOST_IDS:
        raise ConfigError(f"`batch_size` must be from 1 to {_MOST_IDS} records.")
    for start in range(0, len(record_ids), size):
        yield list(record_ids[start : start + size])
