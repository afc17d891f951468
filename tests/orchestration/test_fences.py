"""Which fence the tables of a partition have, when a run makes some of them."""

import pytest

from redcap_dagster.export import ChangeFence
from redcap_dagster.orchestration.fences import _older

EARLY = ChangeFence("2026-11-30 10:00", {"a": 1})
LATE = ChangeFence("2026-11-30 10:05", {"a": 1, "b": 2})
SAME_MINUTE = ChangeFence("2026-11-30 10:05", {"b": 1, "c": 1})


@pytest.mark.parametrize(
    ("own", "published", "kept"),
    [
        (LATE, EARLY, EARLY),
        (EARLY, LATE, EARLY),  # a newer run has published meanwhile
        (LATE, SAME_MINUTE, ChangeFence("2026-11-30 10:05", {"a": 0, "b": 1})),
        (LATE, None, None),
        (None, LATE, LATE),
    ],
)
def test_no_fence_covers_what_one_of_the_tables_has_not_seen(
    own: ChangeFence | None, published: ChangeFence | None, kept: ChangeFence | None
) -> None:
    assert _older(own, published) == kept
