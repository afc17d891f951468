"""Carries out what a Dagster step selects, and tells Dagster what came of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import name_some
from redcap_dagster.export import ExportSettings, read_design
from redcap_dagster.extract import refuse_another_project
from redcap_dagster.orchestration.change_days import ChangeDayExport
from redcap_dagster.orchestration.check_of_partition import evaluation_of_partition
from redcap_dagster.orchestration.handed_over import value_of_output
from redcap_dagster.orchestration.kinds import RECORD_KINDS
from redcap_dagster.orchestration.lineage import column_lineage
from redcap_dagster.orchestration.metadata import (
    EXTRACT_ID,
    RawMetadata,
    export_metadata,
    table_metadata,
)
from redcap_dagster.orchestration.own_tables import OwnTables
from redcap_dagster.orchestration.partition_export import PartitionExport, PublishedPartition
from redcap_dagster.orchestration.published_checks import check_published
from redcap_dagster.orchestration.record_changes import RECORD_CHANGES
from redcap_dagster.orchestration.selection import warn_of_other_groups
from redcap_dagster.orchestration.step import Step
from redcap_dagster.orchestration.step_checks import StepChecks
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.project import (
    SNAPSHOT_COMMANDS,
    DesignChange,
    RedcapProject,
    check_same_project,
    diff_projects,
)
from redcap_dagster.tables import find_extracts, open_shelf

Plan: TypeAlias = Sequence[tuple[str | None, Sequence[dg.AssetKey]]]
RedcapEvent: TypeAlias = dg.MaterializeResult[Any] | dg.AssetCheckResult | dg.AssetCheckEvaluation

_MOST_CHANGES_LOGGED = 20


def materialize_study(
    context: dg.AssetExecutionContext,
    study: StudyAssets,
    client: RedcapClient,
    settings: ExportSettings,
) -> Iterator[RedcapEvent]:
    """Export, publish and report what a step selects.

    Args:
        context: Says which assets, checks and partitions are wanted.
        study: The study the assets belong to.
        client: Where to export from.
        settings: How to export.

    Yields:
        One result for each selected asset, after everything of its partition was published, and
        in a run of several partitions an evaluation of each check for each, where checks have
        partitions; then what came of the checks that were selected without their asset.

    Raises:
        RedcapDagsterError: It could not be done; what readers see is unchanged.
    """
    client = client.with_concurrency(settings.concurrency)
    live = read_design(client, concurrency=settings.concurrency)
    check_same_project(study.project, live)
    _log_design_changes(context, study.project, live)
    step = Step(context, study, client, settings, live)
    own_tables = OwnTables(context, study, client, live)
    plan = step.plan()
    if any(study.props[key].kind in RECORD_KINDS for _, keys in plan for key in keys):
        warn_of_other_groups(context, client, live, step.partition_keys())
    yield from _report(step, plan, _publish_all(step, plan, own_tables))
    yield from check_published(step)
    own_tables.refuse_if_nothing_is_left()


def _publish_all(step: Step, plan: Plan, own_tables: OwnTables) -> list[PublishedPartition]:
    """Publish what was planned. Where that fails, Dagster is told of what readers see by then."""
    published: list[PublishedPartition] = []
    with ExitStack() as on_failure:
        on_failure.callback(_tell_apart, step, step.study.props, published)
        published.extend(_publish(step, plan, own_tables))
        on_failure.pop_all()
    return published


def _publish(step: Step, plan: Plan, own_tables: OwnTables) -> Iterator[PublishedPartition]:
    """Publish what was planned, partition by partition."""
    _refuse_another_project(step, plan)
    together = StepChecks(step)
    for partition_key, keys in plan:
        feeds = [key for key in keys if step.kind_of(key) == RECORD_CHANGES]
        others = [key for key in keys if key not in feeds]
        checks = StepChecks(step) if step.study.partitioned_checks else together
        exports: list[PartitionExport | ChangeDayExport] = [
            *([PartitionExport(step, checks, partition_key, others)] if others else []),
            *(ChangeDayExport(step, partition_key, key) for key in feeds),
        ]
        for export in exports:
            published = export.publish(own_tables)
            if published is not None:
                yield published


def _refuse_another_project(step: Step, plan: Plan) -> None:
    """Two studies in one place would be mixed, table by table: its own shelf tells it, too."""
    keys = dict.fromkeys([None, *(partition_key for partition_key, _ in plan)])
    shelves = [step.study.shelf(key) for key in keys]
    for shelf, last in zip(shelves, find_extracts(shelves), strict=True):
        refuse_another_project(shelf, last, step.live)


def _log_design_changes(
    context: dg.AssetExecutionContext, snapshot: RedcapProject, live: RedcapProject
) -> None:
    changes = diff_projects(snapshot, live)
    if not changes:
        return
    context.log.warning(
        "The study's design has %d change%s since the snapshot that these assets were defined "
        "from: %s. Tables are made by the design as it is now; to define the assets by it too, "
        "write the snapshot anew with %s.",
        len(changes),
        "" if len(changes) == 1 else "s",
        name_some([_change_sentence(change) for change in changes], _MOST_CHANGES_LOGGED, "; "),
        SNAPSHOT_COMMANDS,
    )


def _change_sentence(change: DesignChange) -> str:
    what = f"field {change.field}" if change.field else f"instrument {change.instrument}"
    return f"{what} {change.kind}"


def _report(
    step: Step, plan: Plan, published: Sequence[PublishedPartition]
) -> Iterator[RedcapEvent]:
    """Tell Dagster of every table that was written, selected or not."""
    for key, props in step.study.props.items():
        written = [item for item in published if item.wrote(props.name)]
        planned = sum(key in keys for _, keys in plan)
        # A result is one for every partition of the run, so there is none where REDCap refused
        # some. Not planned, and written: `rejected_values` with its instrument, say.
        if written and len(written) == planned:
            yield from _results(step, key, props, written)
        else:
            _tell_apart(step, {key: props}, written)


def _tell_apart(
    step: Step, props: Mapping[dg.AssetKey, RedcapTableProps], written: Iterable[PublishedPartition]
) -> None:
    """Tell Dagster of each table in each partition by itself, as far as it was written there."""
    for key, item_props in props.items():
        for item in written:
            if item.wrote(item_props.name):
                metadata = _metadata(step, item_props, item)
                step.context.log_event(
                    dg.AssetMaterialization(key, metadata=metadata, partition=item.partition_key)
                )


def _results(
    step: Step,
    key: dg.AssetKey,
    props: RedcapTableProps,
    written: Sequence[PublishedPartition],
) -> Iterator[RedcapEvent]:
    checks = step.checks_of(key)
    apart = step.is_checked_by_partition(key) and step.context.has_partition_key_range
    check_results = (
        [] if apart else written[0].checks.results(checks, [item.extract for item in written])
    )
    value = value_of_output(step.study, props.name, [item.extract for item in written])
    if len(written) == 1:
        yield dg.MaterializeResult(
            asset_key=key,
            metadata=_metadata(step, props, written[0]),
            data_version=dg.DataVersion(written[0].extract.tables[props.name].sha256),
            check_results=check_results,
            **value,
        )
    else:
        # A run of several partitions yields one result an asset; what is said of each partition
        # is said apart. A data version would be taken for every partition's, so there is none.
        for item in written:
            step.context.add_asset_metadata(
                _metadata(step, props, item), asset_key=key, partition_key=item.partition_key
            )
        yield dg.MaterializeResult(asset_key=key, check_results=check_results, **value)
    for item in written if apart else ():
        if item.partition_key is not None:
            for result in item.checks.results(checks, [item.extract]):
                yield evaluation_of_partition(step.context, result, item.partition_key)


def _metadata(
    step: Step, props: RedcapTableProps, item: PublishedPartition
) -> dict[str, RawMetadata]:
    spec = step.published_spec(props)
    metadata = table_metadata(
        spec,
        item.extract.tables[props.name],
        uri=open_shelf(step.study.shelf(item.partition_key)).address(item.extract, props.name),
        is_partition=item.partition_key is not None,
    )
    lineage = column_lineage(spec, step.study.props)
    if lineage is not None:
        metadata["dagster/column_lineage"] = lineage
    metadata[EXTRACT_ID] = item.extract.extract_id
    if props.kind in RECORD_KINDS or props.kind == RECORD_CHANGES:
        metadata |= export_metadata(item.extract)
    if props.kind == RECORD_CHANGES:
        facts: dict[str, int] = item.extract.facts[RECORD_CHANGES]
        metadata |= {f"redcap/{name}": fact for name, fact in facts.items()}
    return metadata
