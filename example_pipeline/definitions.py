"""The example as a Dagster code location: a study, what is made of it, a nightly refresh.

Without any environment variable it runs on the synthetic asthma cohort in an emulator of its own.
With `REDCAP_API_URL` and `REDCAP_API_TOKEN` the same code reads from your server; `REDCAP_SNAPSHOT`
then names the snapshot of your project (`redcap-dagster snapshot FILE`). Where the study is not
the asthma cohort, its own assets are there and the downstream ones, which know the cohort, are not.
`EXAMPLE_OUT_DIR` names another folder for what is published than `data`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from example_pipeline.analytics import INSTRUMENTS_READ, build_analytics
from example_pipeline.sample_redcap import SampleStudyResource
from redcap_dagster import RedcapProject, RedcapResource, build_redcap_assets
from redcap_dagster.errors import ConfigError

HERE = Path(__file__).parent
STUDY_XML = HERE / "study" / "asthma_cohort.xml"
STUDY_SNAPSHOT = HERE / "study" / "asthma_cohort.snapshot.json"
OUT_DIR = Path(os.environ.get("EXAMPLE_OUT_DIR") or HERE.parent / "data")
PREFIX = "asthma"


def build_definitions(environment: Mapping[str, str]) -> dg.Definitions:
    """The code location for an environment.

    Args:
        environment: Environment variables; values are only looked at for being there.

    Raises:
        ConfigError: Only one of address and token is set.
        SnapshotError: The named snapshot cannot be read.
    """
    project = RedcapProject.from_snapshot(environment.get("REDCAP_SNAPSHOT") or STUDY_SNAPSHOT)
    study = build_redcap_assets(project, out_dir=OUT_DIR / PREFIX, key_prefix=PREFIX)
    is_the_cohort = project.instruments_by_name.keys() >= INSTRUMENTS_READ
    downstream = (
        build_analytics(OUT_DIR / PREFIX, OUT_DIR / "analytics", prefix=PREFIX)
        if is_the_cohort
        else dg.Definitions()
    )
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[study],
            resources={"redcap": _redcap(environment)},
            schedules=[
                dg.ScheduleDefinition(
                    name="nightly_refresh",
                    target=dg.AssetSelection.all(),
                    cron_schedule="0 3 * * *",
                    description="Exports the whole study and everything made of it, at 3 at night. "
                    "Turn it on in Dagster's page.",
                )
            ],
        ),
        downstream,
    )


def _redcap(environment: Mapping[str, str]) -> RedcapResource:
    given = [name for name in ("REDCAP_API_URL", "REDCAP_API_TOKEN") if environment.get(name)]
    if not given:
        return SampleStudyResource(project_xml=str(STUDY_XML))
    if len(given) == 1:
        raise ConfigError(
            f"{given[0]} is set, but REDCAP_API_URL and REDCAP_API_TOKEN go together. Set both to "
            "read from your server, or none for the sample study."
        )
    return RedcapResource(
        api_url=dg.EnvVar("REDCAP_API_URL"), api_token=dg.EnvVar("REDCAP_API_TOKEN")
    )


defs = build_definitions(os.environ)
