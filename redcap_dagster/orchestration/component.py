"""`RedcapProjectComponent`: a study in a few lines of YAML."""

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from dagster_shared.serdes.objects.models.defs_state_info import DefsStateManagementType
from pydantic import Field

from redcap_dagster.api import check_variable_name
from redcap_dagster.export import read_design
from redcap_dagster.orchestration.assets import redcap_assets
from redcap_dagster.orchestration.attachments import DEFAULT_LARGEST_ATTACHMENT_BYTES
from redcap_dagster.orchestration.component_schedules import build_study_schedules
from redcap_dagster.orchestration.component_settings import (
    AT_LEAST_ONE,
    CRON,
    DAY,
    ChangeSensorSettings,
    DeidentificationSettings,
    DestinationSettings,
    FreshnessSettings,
    PartitionsByName,
    QualitySettings,
    TableSettings,
    days_since,
    partitions_by_name,
    pointed_at,
)
from redcap_dagster.orchestration.materialize import RedcapEvent
from redcap_dagster.orchestration.resource import RedcapResource
from redcap_dagster.orchestration.scaffolder import RedcapProjectScaffolder
from redcap_dagster.orchestration.sensors import build_redcap_change_sensor
from redcap_dagster.orchestration.translator import DagsterRedcapTranslator, RedcapTableProps
from redcap_dagster.project import DriftKind, DriftPolicy, RedcapProject

logger = logging.getLogger(__name__)

# Nothing asks REDCap while a code location loads, not even `dagster dev`: a server that is down
# would take every asset from the page.
_STATE_IN_A_FILE = DefsStateConfigArgs(
    management_type=DefsStateManagementType.LOCAL_FILESYSTEM, refresh_if_dev=False
)


@dg.scaffold_with(RedcapProjectScaffolder)
class RedcapProjectComponent(dg.StateBackedComponent, dg.Model, dg.Resolvable):
    """A REDCap project as Dagster assets: raw records, one typed table for each instrument, checks.

    The study's design is fetched when the component's state is refreshed
    (`dg utils refresh-defs-state`), and at no other time. Override `get_asset_spec` to change how
    tables become assets, and `execute` to change what a run does:

    ```python
    class OurStudy(RedcapProjectComponent):
        def execute(self, context, redcap):
            context.log.info("before the export")
            yield from super().execute(context, redcap)
    ```
    """

    api_url_env: str = Field(
        default="REDCAP_API_URL",
        description="Name of the environment variable that holds the address of the REDCap API.",
    )
    api_token_env: str = Field(
        default="REDCAP_API_TOKEN",
        description="Name of the environment variable that holds the project's API token.",
    )
    key_prefix: str | list[str] | None = Field(
        default=None, description="Put before every asset key.", examples=["asthma"]
    )
    out_dir: str | None = Field(
        default=None,
        description="Folder to publish the Parquet files in, or a place in an object store; "
        "`data/<prefix>` by default.",
        examples=["data/asthma", "s3://bucket/asthma"],
    )
    include: list[str] | None = Field(
        default=None,
        description="Kinds of tables that shall be assets (records, instrument, users, …) or names "
        "of instruments; all but survey_participants, audit_log, record_changes and attachments "
        "by default.",
        examples=[["records", "instrument", "rejected_values"]],
    )
    reports: list[int] = Field(
        default=[], description="Numbers of saved REDCap reports that shall be assets."
    )
    audit_log_since: str | None = Field(
        default=None,
        description="First day of the asset audit_log, which has a partition for each day.",
        examples=["2026-01-01"],
        json_schema_extra=DAY,
    )
    record_changes_since: str | None = Field(
        default=None,
        description="First day of the asset record_changes, which has a partition for each day: "
        "the records that were changed on it.",
        examples=["2026-01-01"],
        json_schema_extra=DAY,
    )
    server_timezone: str | None = Field(
        default=None,
        description="Time zone of the REDCap server: when a day of audit_log and record_changes "
        "ends, and what the sensor goes by where the token has no Logging right.",
        examples=["Europe/Berlin"],
    )
    largest_attachment_bytes: int = Field(
        default=DEFAULT_LARGEST_ATTACHMENT_BYTES,
        description="Where attachments is included: larger files are listed and not kept.",
    )
    table_options: TableSettings = Field(
        default=TableSettings(),
        description="How the typed tables show choices, checkboxes and the reasons of blanks.",
        examples=[{"choices": "labels", "checkboxes": "list"}],
        json_schema_extra=pointed_at,
    )
    quality: QualitySettings = Field(
        default=QualitySettings(),
        description="Which data-quality rules run, and how severe what they find is.",
        examples=[{"severities": {"outliers": "warn"}, "blocking": ["unique_key"]}],
        json_schema_extra=pointed_at,
    )
    drift_policy: dict[DriftKind, DriftPolicy] = Field(
        default={},
        description="What kinds of changes of the design are worth, where it is not the default.",
        examples=[{"field_removed": "block", "choice_added": "warn"}],
        json_schema_extra=pointed_at,
    )
    deidentification: DeidentificationSettings | None = Field(
        default=None,
        description="What is taken out of the tables before they are written; nothing by default.",
        examples=[{"keep": ["visit_notes"], "key_env": "OUR_STUDY_KEY"}],
        json_schema_extra=pointed_at,
    )
    record_buckets: int | None = Field(
        default=None,
        description="Split the records into so many stable partitions; none by default.",
        examples=[16],
        json_schema_extra=AT_LEAST_ONE,
    )
    partitions: PartitionsByName | None = Field(
        default=None,
        description="Split the records by event, arm or data access group instead; with "
        "record_buckets, by both.",
        examples=["event", "arm", {"data_access_groups": ["north", "south"]}],
        json_schema_extra=pointed_at,
    )
    partitioned_checks: bool = Field(
        default=False,
        description="Whether checks have a result for each partition, not one for all partitions "
        "of a run. A preview of Dagster.",
    )
    change_sensor: bool | ChangeSensorSettings = Field(
        default=False,
        description="A sensor that runs what changed in REDCap. It is off until you turn it on in "
        "Dagster's page.",
        examples=[True, {"minimum_interval_seconds": 600, "full_every_days": 7}],
        json_schema_extra=pointed_at,
    )
    io_manager_key: str | None = Field(
        default=None,
        description="Key of an IO manager that is handed each table as a pandas frame, beside the "
        "Parquet files.",
        examples=["warehouse"],
    )
    destination: DestinationSettings | None = Field(
        default=None,
        description="DuckDB or PostgreSQL that the tables are loaded into, as assets downstream.",
        examples=[{"kind": "postgresql", "url_env": "WAREHOUSE_URL", "schema_name": "asthma"}],
        json_schema_extra=pointed_at,
    )
    freshness: FreshnessSettings | None = Field(
        default=None,
        description="How old the tables may get; any age by default.",
        examples=[{"fail_after_hours": 36, "warn_after_hours": 26}],
        json_schema_extra=pointed_at,
    )
    op_tags: dict[str, Any] = Field(
        default={},
        description="Tags of the step, for the executor: a Celery queue, a pod's memory.",
        examples=[{"dagster-celery/queue": "redcap"}],
    )
    pool: str | None = Field(
        default=None, description="Concurrency pool of the export; one for each server is good."
    )
    schedule: str | None = Field(
        default=None,
        description="Cron schedule that materializes the whole study.",
        examples=["0 3 * * *"],
        json_schema_extra=CRON,
    )
    verify_tls: bool = Field(default=True, description="Check the server's certificate.")
    ca_bundle: str | None = Field(default=None, description="File of certificates to trust.")
    requests_per_minute: int = Field(
        default=300,
        description="Most requests a minute. REDCap bans an address for good at 600.",
        json_schema_extra=AT_LEAST_ONE,
    )
    share: float = Field(
        default=1.0,
        description="This machine's part of requests_per_minute, where several machines work.",
        examples=[0.25],
        json_schema_extra={"exclusiveMinimum": 0, "maximum": 1},
    )
    concurrency: int = Field(
        default=4, description="Requests under way side by side.", json_schema_extra=AT_LEAST_ONE
    )
    translation: (
        Annotated[
            TranslationFn[RedcapTableProps],
            TranslationFnResolver[RedcapTableProps](lambda props: {"props": props}),
        ]
        | None
    ) = Field(default=None, description="Changes asset specs; `props` and `spec` are at hand.")
    defs_state: ResolvedDefsStateConfig = _STATE_IN_A_FILE

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Where the design is kept. The key names no token."""
        return DefsStateConfig.from_args(
            self.defs_state, default_key=f"RedcapProjectComponent[{self._name}]"
        )

    def write_state_to_path(self, state_path: Path) -> None:
        """Fetch the study's design and write it as a snapshot file."""
        with self._resource().process_config_and_initialize_cm() as redcap:
            read_design(redcap.get_client()).snapshot(state_path)

    def build_defs_from_state(
        self,
        context: dg.ComponentLoadContext,
        state_path: Path | None,
    ) -> dg.Definitions:
        """The study's definitions from its snapshot; none, and a loud warning, without one."""
        if state_path is None:
            logger.warning(
                "The REDCap study %s has NO ASSETS: its design was never fetched. Set %s and %s, "
                "then run: dg utils refresh-defs-state",
                self._name,
                self.api_url_env,
                self._token_variable,
            )
            return dg.Definitions()
        assets = self._assets(RedcapProject.from_snapshot(state_path), context.path)
        schedules = list(self._schedules(assets))
        resources: dict[str, object] = {self._resource_key: self._resource()}
        loaded = []
        if self.destination is not None:
            destination_key = f"{self._resource_key}_destination"
            resources[destination_key] = self.destination.to_resource()
            loaded = self.destination.build_assets(assets, destination_key)
        return dg.Definitions(
            assets=[assets, *loaded],
            resources=resources,
            schedules=schedules,
            sensors=list(self._sensors(assets)),
        )

    def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
        """The spec of one table. Override it to change keys, groups, owners and so on."""
        spec = DagsterRedcapTranslator().get_asset_spec(props)
        return spec if self.translation is None else self.translation(spec, props)

    def execute(
        self, context: dg.AssetExecutionContext, redcap: RedcapResource
    ) -> Iterator[RedcapEvent]:
        """What a run does. Override it to do something before or after the export."""
        yield from redcap.materialize(context)

    @property
    def _name(self) -> str:
        prefix = [self.key_prefix] if isinstance(self.key_prefix, str) else self.key_prefix
        return "/".join(prefix or [self._token_variable])

    @property
    def _token_variable(self) -> str:
        # Not checked by pydantic, whose errors show what was given.
        return check_variable_name(self.api_token_env)

    @property
    def _resource_key(self) -> str:
        """A key of its own: several studies of a code location have resources side by side."""
        return f"redcap_{re.sub('[^A-Za-z0-9]', '_', self._name)}"

    def _resource(self) -> RedcapResource:
        return RedcapResource(
            api_url=dg.EnvVar(check_variable_name(self.api_url_env)),
            api_token=dg.EnvVar(self._token_variable),
            verify_tls=self.verify_tls,
            ca_bundle=self.ca_bundle,
            requests_per_minute=self.requests_per_minute,
            share=self.share,
            concurrency=self.concurrency,
        )

    def _assets(self, project: RedcapProject, folder: Path) -> dg.AssetsDefinition:
        @redcap_assets(
            project,
            name=self._resource_key,
            out_dir=self.out_dir,
            key_prefix=self.key_prefix,
            translator=_ComponentSpecs(self),
            partitions_def=partitions_by_name(project, self.partitions, self.record_buckets),
            include=self.include,
            reports=self.reports,
            audit_log_partitions=days_since(
                "audit_log_since", self.audit_log_since, self.server_timezone
            ),
            record_changes_partitions=days_since(
                "record_changes_since", self.record_changes_since, self.server_timezone
            ),
            largest_attachment_bytes=self.largest_attachment_bytes,
            table_options=self.table_options.to_options(),
            quality=self.quality.to_options(folder),
            drift_policy=self.drift_policy,
            deidentification=None
            if self.deidentification is None
            else self.deidentification.to_options(),
            freshness_policy=None if self.freshness is None else self.freshness.to_policy(),
            pool=self.pool,
            op_tags=self.op_tags,
            io_manager_key=self.io_manager_key,
            required_resource_keys={self._resource_key},
            partitioned_checks=self.partitioned_checks,
        )
        def study_assets(context: dg.AssetExecutionContext) -> Iterator[RedcapEvent]:
            yield from self.execute(context, getattr(context.resources, self._resource_key))

        return study_assets

    def _sensors(self, assets: dg.AssetsDefinition) -> Iterator[dg.SensorDefinition]:
        if self.change_sensor is False:
            return
        given = self.change_sensor
        settings = ChangeSensorSettings() if isinstance(given, bool) else given
        days = settings.full_every_days
        yield build_redcap_change_sensor(
            assets,
            resource_key=self._resource_key,
            minimum_interval_seconds=settings.minimum_interval_seconds,
            full_every=None if days is None else timedelta(days=days),
            server_timezone=self.server_timezone,
            inbox=settings.inbox,
        )

    def _schedules(self, assets: dg.AssetsDefinition) -> Iterator[dg.ScheduleDefinition]:
        if self.schedule is not None:
            yield from build_study_schedules(
                assets, self.schedule, f"{self._resource_key}_schedule"
            )


class _ComponentSpecs(DagsterRedcapTranslator):
    """Asks the component, whose subclass may have overridden `get_asset_spec`."""

    def __init__(self, component: RedcapProjectComponent) -> None:
        self._component = component

    def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
        """The component's spec."""
        return self._component.get_asset_spec(props)
