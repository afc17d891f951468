"""A study whose partitions a sensor keeps up to date, with the daemon's part played here."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from redcap_dagster import build_redcap_assets, build_redcap_change_sensor, record_partitions
from redcap_dagster.api import RedcapClient
from redcap_dagster.export import record_bucket
from redcap_dagster.privacy import DeidentificationOptions
from tests.orchestration.edits import ids_of
from tests.orchestration.runs import in_one_run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

BUCKETS = 3
BASELINE = {"redcap_event_name": "baseline_arm_1"}
TABLES = ["records", "spirometry", "medications", "demographics"]


@dataclass
class Watched:
    """A study whose partitions a sensor keeps up to date, with the daemon's part played here."""

    study: "Study"
    client: RedcapClient
    instance: dg.DagsterInstance
    assets: dg.AssetsDefinition
    sensor: dg.SensorDefinition
    keys: list[str]
    tables: list[str]
    cursor: str | None = None

    def tick(self, **resource: Any) -> dg.SensorResult:
        """What one look says; the cursor is kept."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"redcap": self.study.resource(**resource)},
        ) as context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        return result

    def run(self, result: dg.SensorResult) -> list[str]:
        """Run what was requested; gives the partitions."""
        for request in result.run_requests or []:
            assert set(request.asset_selection or []) == {
                key for key in self.assets.keys if self.assets.specs_by_key[key].partitions_def
            }
            self.materialize(request.partition_key, **{"dagster/run_key": str(request.run_key)})
        return [str(request.partition_key) for request in result.run_requests or []]

    def materialize(self, partition_key: str | None, **tags: str) -> None:
        self.study.materialize(
            assets=self.assets,
            instance=self.instance,
            partition_key=partition_key,
            selection=[
                key for key in self.assets.keys if self.assets.specs_by_key[key].partitions_def
            ],
            tags=tags,
            raise_on_error=False,
        )

    def asked(self) -> list[str]:
        """What the emulator was asked since last time."""
        contents = [request.content for request in self.study.emulator.requests]
        self.study.emulator.requests.clear()
        return contents

    def import_rows(self, *rows: dict[str, Any]) -> None:
        self.client.import_records(list(rows), overwrite_behavior="overwrite")

    def ids(self) -> list[str]:
        return ids_of(self.client)

    def published(self, table: str) -> Counter[tuple[Any, ...]]:
        """Rows of a table over all partitions."""
        folders = [key.replace("|", "+") for key in self.keys]
        return Counter(
            tuple(row.items()) for folder in folders for row in self.study.table(table, folder)
        )

    def assert_equals_a_full_export(self) -> None:
        fresh = replace(self.study, out_dir=self.study.out_dir / "full")
        assets = build_redcap_assets(
            fresh.project, out_dir=fresh.out_dir, include=self.tables, quality=None
        )
        fresh.materialize(assets=assets)
        for table in self.tables:
            full = Counter(tuple(row.items()) for row in fresh.table(table))
            assert self.published(table) == full, table


Watch = Callable[..., Watched]


def bucket_of(record_id: str) -> str:
    return f"bucket-{record_bucket(record_id, BUCKETS)}-of-{BUCKETS}"


@contextmanager
def watching(study: "Study") -> Iterator[Watch]:
    """Gives what makes a watched study, materialized once."""
    with (
        dg.DagsterInstance.ephemeral() as instance,
        RedcapClient(study.emulator.url, study.token, retries=0) as client,
    ):

        def watch(
            partitions: dg.PartitionsDefinition[str] | None = None,
            *,
            tables: list[str] = TABLES,
            deidentification: DeidentificationOptions | None = None,
            **options: Any,
        ) -> Watched:
            definition = partitions or record_partitions(BUCKETS)
            assets = build_redcap_assets(
                study.project,
                out_dir=study.out_dir,
                partitions_def=definition,
                include=[*tables, "rejected_values"],
                quality=None,  # a hundred checks a run, of which nothing is asked here
                deidentification=deidentification,
            )
            sensor = build_redcap_change_sensor(assets, **options)
            keys = [*definition.get_partition_keys()]
            watched = Watched(study, client, instance, assets, sensor, keys, tables)
            watched.materialize(None, **in_one_run(keys))
            return watched

        yield watch
