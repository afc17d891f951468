"""The frame that an IO manager of the user's own is handed for a table that was published."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.tables import PublishedExtract, read_table, to_pandas


def value_of_output(
    study: StudyAssets, table: str, extracts: Iterable[PublishedExtract]
) -> dict[str, Any]:
    """What a `MaterializeResult` of a table has beside its metadata.

    Args:
        study: Says whether an IO manager is handed anything.
        table: Name of the table.
        extracts: What the run published, one for each partition; nothing that came after it.

    Returns:
        `value`, the table as `to_pandas` makes it, rows of several partitions one after another;
        nothing where no IO manager was named, as `value=None` would be handed over as a None.
    """
    if not study.hands_over_frames:
        return {}
    pieces = [read_table(extract, table) for extract in extracts]
    return {"value": to_pandas(pa.concat_tables(pieces))}
