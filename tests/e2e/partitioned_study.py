"""A code location: a study in four buckets, and the sensor that keeps them up to date."""

import os

import dagster as dg

from redcap_dagster import (
    RedcapProject,
    RedcapResource,
    build_redcap_assets,
    build_redcap_change_sensor,
    record_partitions,
)

study = build_redcap_assets(
    RedcapProject.from_snapshot(os.environ["STUDY_SNAPSHOT"]),
    out_dir=os.environ["STUDY_OUT_DIR"],
    key_prefix="asthma",
    include=["records", "enrolment", "spirometry", "rejected_values", "quality_findings"],
    partitions_def=record_partitions(4),
    backfill_policy=dg.BackfillPolicy.multi_run(2),
)

defs = dg.Definitions(
    assets=[study],
    sensors=[build_redcap_change_sensor(study, name="asthma_changes", minimum_interval_seconds=5)],
    resources={
        "redcap": RedcapResource(
            api_url=dg.EnvVar("REDCAP_API_URL"), api_token=dg.EnvVar("REDCAP_API_TOKEN")
        )
    },
)
