"""`redcap_assets` and `build_redcap_assets`: a study's tables as one Dagster multi-asset."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from upath import UPath

from redcap_dagster.errors import ConfigError
from redcap_dagster.orchestration.arguments import check_types
from redcap_dagster.orchestration.attachments import DEFAULT_LARGEST_ATTACHMENT_BYTES
from redcap_dagster.orchestration.check_plan import plan_checks
from redcap_dagster.orchestration.deidentification import deidentified_props
from redcap_dagster.orchestration.kinds import DEFAULT_KINDS, RECORD_KINDS, TableKind
from redcap_dagster.orchestration.materialize import RedcapEvent
from redcap_dagster.orchestration.partitions import check_partitions
from redcap_dagster.orchestration.resource import RedcapResource
from redcap_dagster.orchestration.study import StudyAssets, remember_study
from redcap_dagster.orchestration.tables import plan_study_tables
from redcap_dagster.orchestration.translator import (
    DagsterRedcapTranslator,
    RedcapTableProps,
    group_name,
)
from redcap_dagster.privacy import DeidentificationOptions
from redcap_dagster.project import DriftKind, DriftPolicy, RedcapProject, merge_drift_policy
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import DEFAULT_TABLE_OPTIONS, TableOptions, to_location

_DEFAULT_QUALITY = QualityOptions()


def redcap_assets(
    project: RedcapProject,
    *,
    out_dir: str | Path | UPath | None = None,
    name: str | None = None,
    key_prefix: str | Sequence[str] | None = None,
    translator: DagsterRedcapTranslator | None = None,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    pool: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    required_resource_keys: set[str] | None = None,
    table_options: TableOptions = DEFAULT_TABLE_OPTIONS,
    include: Sequence[str] | None = None,
    reports: Sequence[int] = (),
    audit_log_partitions: dg.DailyPartitionsDefinition | None = None,
    record_changes_partitions: dg.DailyPartitionsDefinition | None = None,
    largest_attachment_bytes: int = DEFAULT_LARGEST_ATTACHMENT_BYTES,
    quality: QualityOptions | None = _DEFAULT_QUALITY,
    io_manager_key: str | None = None,
    drift_policy: Mapping[DriftKind, DriftPolicy] | None = None,
    deidentification: DeidentificationOptions | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
    partitioned_checks: bool = False,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make the decorated function the body of a study's assets.

    ```python
    @redcap_assets(RedcapProject.from_snapshot("asthma.snapshot.json"), key_prefix="asthma")
    def asthma(context: dg.AssetExecutionContext, redcap: RedcapResource):
        yield from redcap.materialize(context)
    ```

    Assets: `records` (as sent, all text), one for each instrument with a `schema` check
    and REDCap's data-quality rules (`docs/quality.md`), `rejected_values`, `quality_findings`, and
    the study's own tables: dictionary, events, users and so on (`docs/assets.md`). They can be
    selected one by one: REDCap is asked only for what is.

    Args:
        project: The study's design, from a snapshot. Nothing is asked of REDCap here.
        out_dir: Folder to publish the Parquet files in, made when it is not there; or a place in
            an object store, such as `s3://bucket/asthma` (`docs/tables.md`). Of these assets
            alone: tables in it that are none of theirs go with the next run. None for
            `data/<prefix>`, or `data/<title of the project>` without a prefix.
        name: Name of the op; None makes one from prefix and project id. Unique in a code location.
        key_prefix: Put before every asset key.
        translator: Makes the asset specs; None for `DagsterRedcapTranslator()`.
        partitions_def: Partitions of the records, instruments and rejected values: by bucket,
            data access group, event or arm, or `dg.MultiPartitionsDefinition` of two of them
            (`docs/partitions.md`). None for no partitions.
        backfill_policy: How a backfill is cut into runs; None for a run each partition.
        pool: Concurrency pool of the step. One pool for each server keeps runs from piling up.
        op_tags: Tags of the step, for the executor: a Celery queue, a Kubernetes pod's memory
            (`docs/scaling.md`).
        retry_policy: Retries of the step, beside the retries of each request.
        required_resource_keys: For a function that takes its resources from the context.
        table_options: How choices and checkboxes are shown, and whether there is an asset
            `missing_reasons`.
        include: Kinds of tables that shall be assets (`records`, `instrument`, `users`, …) or
            names of instruments; None for all but `survey_participants`, `audit_log`,
            `record_changes` and `attachments`.
        reports: Numbers of saved REDCap reports that shall be assets, as `reports/<number>`.
        audit_log_partitions: Makes `audit_log` an asset, with these daily partitions: the first
            day to export, in the server's time zone.
        record_changes_partitions: Makes `record_changes` an asset, with these daily partitions: the
            records that were changed on each day (`docs/partitions.md`). A day that is not over is
            refused, unless they have an `end_offset`.
        largest_attachment_bytes: Where `attachments` is an asset: files in fields that are larger
            are listed and not kept.
        quality: Which data-quality rules run, and how; None for none of them, and no findings.
        io_manager_key: Key of an IO manager that is handed each selected table as a pandas frame,
            after it was published (`docs/assets.md`). None hands over nothing.
        drift_policy: Kinds of changes of the design that are worth something else than in
            `DEFAULT_DRIFT_POLICY` (`docs/partitions.md`): to note, to warn of, or to block.
        deidentification: What is taken out of the tables before they are written
            (`docs/privacy.md`). None for nothing.
        freshness_policy: How old each table may get (`docs/assets.md`), where the translator gives
            it no policy of its own. None for any age.
        partitioned_checks: Whether the checks of records, instruments and findings have a result
            for each partition (`docs/partitions.md`), not one for all partitions of a run. A
            preview of Dagster, which warns of it.

    Raises:
        ConfigError: Two tables get the same asset key, an option names what is not there or
            is of another type, or `out_dir` is a place that nothing can be published in.
    """
    check_types(
        project,
        {
            "translator": translator,
            "table_options": table_options,
            "include": include,
            "reports": reports,
            "audit_log_partitions": audit_log_partitions,
            "record_changes_partitions": record_changes_partitions,
            "quality": quality,
            "deidentification": deidentification,
        },
    )
    if partitioned_checks and partitions_def is None:
        raise ConfigError("partitioned_checks needs partitions_def: the partitions of the records.")
    translator = translator or DagsterRedcapTranslator()
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix or [])
    specs: list[dg.AssetSpec] = []
    props_by_key: dict[dg.AssetKey, RedcapTableProps] = {}
    days: dict[TableKind, dg.DailyPartitionsDefinition | None] = {
        "audit_log": audit_log_partitions,
        "record_changes": record_changes_partitions,
    }
    check_partitions(partitions_def, project)
    include = _with_daily_tables(include, days)
    tables = plan_study_tables(
        project, table_options, include=include, reports=reports, has_rules=quality is not None
    )
    for props in deidentified_props(tables, project, deidentification, include):
        spec = translator.get_asset_spec(props)
        if prefix:
            spec = spec.replace_attributes(key=spec.key.with_prefix(prefix))
        if props.kind in RECORD_KINDS and partitions_def is not None:
            spec = spec.replace_attributes(partitions_def=partitions_def)
        if props.kind in days:
            spec = spec.replace_attributes(partitions_def=days[props.kind])
        spec = _with_options(spec, io_manager_key, freshness_policy)
        if spec.key in props_by_key:
            raise ConfigError(
                f"Two tables have the asset key {spec.key.to_user_string()}: "
                f"{props_by_key[spec.key].name} and {props.name}. Give them different keys in the "
                "translator's get_asset_spec."
            )
        props_by_key[spec.key] = props
        specs.append(spec)
    default_dir = Path("data", *(prefix or [group_name(project)]))
    policy = merge_drift_policy(drift_policy or {})
    study = StudyAssets(
        project,
        to_location(default_dir if out_dir is None else out_dir),
        props_by_key,
        table_options,
        partitions_def,
        largest_attachment_bytes,
        quality,
        hands_over_frames=io_manager_key is not None,
        drift_policy=policy,
        deidentification=deidentification,
        partitioned_checks=partitioned_checks,
        takes_open_days=record_changes_partitions is not None
        and record_changes_partitions.end_offset > 0,
    )

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        assets = dg.multi_asset(
            name=name or _op_name(prefix, project),
            specs=specs,
            check_specs=plan_checks(
                props_by_key, quality, policy, partitions_def if partitioned_checks else None
            ),
            can_subset=True,
            backfill_policy=backfill_policy,
            pool=pool,
            op_tags=op_tags,
            retry_policy=retry_policy,
            required_resource_keys=required_resource_keys,
        )(function)
        remember_study(assets, study)
        return assets

    return decorate


def build_redcap_assets(
    project: RedcapProject,
    *,
    out_dir: str | Path | UPath | None = None,
    resource_key: str = "redcap",
    name: str | None = None,
    key_prefix: str | Sequence[str] | None = None,
    translator: DagsterRedcapTranslator | None = None,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    pool: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    table_options: TableOptions = DEFAULT_TABLE_OPTIONS,
    include: Sequence[str] | None = None,
    reports: Sequence[int] = (),
    audit_log_partitions: dg.DailyPartitionsDefinition | None = None,
    record_changes_partitions: dg.DailyPartitionsDefinition | None = None,
    largest_attachment_bytes: int = DEFAULT_LARGEST_ATTACHMENT_BYTES,
    quality: QualityOptions | None = _DEFAULT_QUALITY,
    io_manager_key: str | None = None,
    drift_policy: Mapping[DriftKind, DriftPolicy] | None = None,
    deidentification: DeidentificationOptions | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
    partitioned_checks: bool = False,
) -> dg.AssetsDefinition:
    """A study's assets, ready for `dg.Definitions(assets=[...])`.

    The same as `redcap_assets` over a function that yields `redcap.materialize(context)`.

    Args:
        project: The study's design, from a snapshot.
        out_dir: Where to publish the Parquet files; see `redcap_assets`, as for all but
            `resource_key`.
        resource_key: Key of the `RedcapResource` in the definitions.
        name: See there.
        key_prefix: See there.
        translator: See there.
        partitions_def: See there.
        backfill_policy: See there.
        pool: See there.
        op_tags: See there.
        retry_policy: See there.
        table_options: See there.
        include: See there.
        reports: See there.
        audit_log_partitions: See there.
        record_changes_partitions: See there.
        largest_attachment_bytes: See there.
        quality: See there.
        io_manager_key: See there.
        drift_policy: See there.
        deidentification: See there.
        freshness_policy: See there.
        partitioned_checks: See there.
    """

    @redcap_assets(
        project,
        out_dir=out_dir,
        name=name,
        key_prefix=key_prefix,
        translator=translator,
        partitions_def=partitions_def,
        backfill_policy=backfill_policy,
        pool=pool,
        op_tags=op_tags,
        retry_policy=retry_policy,
        required_resource_keys={resource_key},
        table_options=table_options,
        include=include,
        reports=reports,
        audit_log_partitions=audit_log_partitions,
        record_changes_partitions=record_changes_partitions,
        largest_attachment_bytes=largest_attachment_bytes,
        quality=quality,
        io_manager_key=io_manager_key,
        drift_policy=drift_policy,
        deidentification=deidentification,
        freshness_policy=freshness_policy,
        partitioned_checks=partitioned_checks,
    )
    def study_assets(context: dg.AssetExecutionContext) -> Iterator[RedcapEvent]:
        redcap = getattr(context.resources, resource_key)
        if not isinstance(redcap, RedcapResource):
            raise ConfigError(
                f"The resource {resource_key!r} is a {type(redcap).__name__}; these assets need a "
                "RedcapResource."
            )
        yield from redcap.materialize(context)

    return study_assets


def _with_daily_tables(
    include: Sequence[str] | None, days: Mapping[TableKind, dg.DailyPartitionsDefinition | None]
) -> Sequence[str] | None:
    """What is included, with the tables that were given days."""
    given = [kind for kind, partitions in days.items() if partitions is not None]
    for kind in days:
        if kind in (include or ()) and kind not in given:
            raise ConfigError(f"The asset {kind} needs {kind}_partitions: the first day to keep.")
    return [*(DEFAULT_KINDS if include is None else include), *given] if given else include


def _with_options(
    spec: dg.AssetSpec, io_manager_key: str | None, freshness_policy: dg.FreshnessPolicy | None
) -> dg.AssetSpec:
    """The spec with what holds for every table of a study."""
    if io_manager_key is not None:
        spec = spec.with_io_manager_key(io_manager_key)
    if freshness_policy is not None:
        spec = dg.apply_freshness_policy(spec, freshness_policy, overwrite_existing=False)
    return spec


def _op_name(prefix: Sequence[str], project: RedcapProject) -> str:
    words = "_".join(re.sub(r"[^A-Za-z0-9_]", "_", part) for part in prefix)
    return f"redcap_{words or project.info.project_id}"
