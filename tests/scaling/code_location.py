"""A code location that workers on several machines would load, and the run of one partition.

`python -m tests.scaling.code_location celery bucket-0-of-2` runs a partition as `dagster` would:
its steps go to workers, which find code, Dagster's storage and the tables by their environment.
"""

import json
import os
import sys

import dagster as dg
from dagster_celery import celery_executor
from dagster_dask import dask_executor

from redcap_dagster import RedcapProject, RedcapResource, build_redcap_assets, record_partitions

PARTITIONS = record_partitions(2)
STUDIES = ("north", "south")


def study_assets(name: str) -> dg.AssetsDefinition:
    """A study's assets, which are one step. Both studies are the one that is served."""
    return build_redcap_assets(
        RedcapProject.from_snapshot(os.environ["STUDY_SNAPSHOT"]),
        out_dir=f"{os.environ['STUDY_TABLES']}/{name}",
        key_prefix=name,
        include=["records", "spirometry"],
        partitions_def=PARTITIONS,
        quality=None,
        op_tags={"dagster-celery/queue": os.environ["STUDY_QUEUE"]},
    )


def build_definitions() -> dg.Definitions:
    """Two studies: one for the workers of Celery, both for those of Dask."""
    north = dg.AssetSelection.key_prefixes("north")
    return dg.Definitions(
        assets=[study_assets(name) for name in STUDIES],
        resources={
            "redcap": RedcapResource(
                api_url=dg.EnvVar("REDCAP_API_URL"),
                api_token=dg.EnvVar("REDCAP_API_TOKEN"),
                cells_per_request=2_000,
                concurrency=1,
                share=0.5,
            )
        },
        jobs=[
            dg.define_asset_job("on_celery", north, executor_def=celery_executor),
            dg.define_asset_job("on_dask", executor_def=dask_executor),
        ],
    )


def celery_job() -> dg.JobDefinition:
    """Every asset, each step on a Celery worker."""
    return build_definitions().resolve_job_def("on_celery")


def dask_job() -> dg.JobDefinition:
    """Every asset, each step on a Dask worker."""
    return build_definitions().resolve_job_def("on_dask")


def main(engine: str, partition_key: str) -> None:
    """Run one partition; ends with 1 when it failed."""
    job = {"celery": celery_job, "dask": dask_job}[engine]
    with (
        dg.DagsterInstance.get() as instance,
        dg.execute_job(
            dg.reconstructable(job),
            instance=instance,
            run_config=json.loads(os.environ["STUDY_RUN_CONFIG"]),
            tags={"dagster/partition": partition_key},
        ) as result,
    ):
        sys.exit(0 if result.success else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
