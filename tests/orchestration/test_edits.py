"""After any edits, partitions that the sensor keeps up to date equal a full export."""

import random
from functools import partial
from typing import TYPE_CHECKING

import pytest

from redcap_dagster import data_access_group_partitions, event_partitions, record_partitions
from redcap_dagster.api import RedcapClient
from tests.orchestration.edits import random_edit
from tests.orchestration.watched import BUCKETS, TABLES, Watch, bucket_of

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study


def test_a_rename_runs_the_partitions_of_both_ids(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    old = watched.ids()[0]
    new = next(f"N{n}" for n in range(99) if bucket_of(f"N{n}") != bucket_of(old))
    watched.client.rename_record(old, new)
    assert {bucket_of(old), bucket_of(new)} <= set(watched.run(watched.tick()))
    watched.assert_equals_a_full_export()


@pytest.mark.parametrize(
    ("kind", "seed"),
    [("bucket", 0), ("bucket", 1), ("group", 2), ("event", 3), ("no raw records", 4)],
)
def test_after_any_edits_the_partitions_equal_a_full_export(
    watch: Watch, study: "Study", kind: str, seed: int
) -> None:
    rng = random.Random(f"{kind} {seed}")  # noqa: S311 - edits, not secrets
    with RedcapClient(study.emulator.url, study.token) as client:
        groups = [row["unique_group_name"] for row in client.export_data_access_groups()]
    watched = watch(
        {
            "bucket": record_partitions(BUCKETS),
            "group": data_access_group_partitions(groups),
            "event": event_partitions(study.project),
            "no raw records": record_partitions(BUCKETS),
        }[kind],
        tables=TABLES[1:] if kind == "no raw records" else TABLES,
    )
    edit = partial(random_edit, watched.client, study.project)
    watched.tick()
    for _ in range(1 if kind == "event" else 2):  # there are many events
        done = [edit(rng) for _ in range(rng.randrange(1, 6))]
        result = watched.tick()
        if rng.random() < 0.4:
            # The daemon is killed before it starts a run, and the cursor may be lost with it.
            watched.cursor = rng.choice([watched.cursor, None])
            done.append(edit(rng))
            result = watched.tick()
        watched.run(result)
        assert watched.tick().run_requests == [], done
    watched.assert_equals_a_full_export()
