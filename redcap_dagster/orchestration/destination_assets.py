"""`build_redcap_destination_assets`: a study's tables in a database, as assets downstream."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias, get_args

import dagster as dg

from redcap_dagster.destinations import DestinationKind, SchemaChanges
from redcap_dagster.errors import ConfigError
from redcap_dagster.extract import DESIGN_TABLES
from redcap_dagster.orchestration.destination_load import DestinationStep
from redcap_dagster.orchestration.destination_resource import RedcapDestination
from redcap_dagster.orchestration.failure import as_dagster_failure
from redcap_dagster.orchestration.kinds import RECORD_KINDS, TableKind
from redcap_dagster.orchestration.study import StudyAssets, study_of_assets
from redcap_dagster.orchestration.translator import RedcapTableProps

SpecTranslation: TypeAlias = Callable[[dg.AssetSpec, RedcapTableProps], dg.AssetSpec]
"""Changes an asset spec, as the component's `translation` does."""

_NEVER_REFUSED: frozenset[TableKind] = RECORD_KINDS | DESIGN_TABLES
"""Kinds that every run of the study makes: it has read the design before anything else."""

_USER_RIGHTS: frozenset[TableKind] = frozenset({"users", "user_form_rights", "user_roles"})


@dataclass(frozen=True)
class _LoadedAsset:
    """One table of the study and what it is in the database.

    Attributes:
        spec: The asset in the database.
        source: Key of the asset that it is loaded from.
        props: The table.
    """

    spec: dg.AssetSpec
    source: dg.AssetKey
    props: RedcapTableProps

    @property
    def step(self) -> str:
        """The step it is loaded in: a part of a name, "" for the first.

        Dagster skips a step when anything that it depends on was skipped, and a table that the
        token may not see is. So what can be skipped has a step of its own.
        """
        if self.props.kind in _NEVER_REFUSED:
            return ""
        return "users" if self.props.kind in _USER_RIGHTS else self.props.name.replace("-", "_")


def build_redcap_destination_assets(
    assets: dg.AssetsDefinition,
    *,
    kind: DestinationKind,
    resource_key: str = "destination",
    key_prefix: str | Sequence[str] | None = None,
    tables: Sequence[str] | None = None,
    schema_changes: SchemaChanges = "add",
    translation: SpecTranslation | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
) -> list[dg.AssetsDefinition]:
    """A study's tables in DuckDB or PostgreSQL, one asset downstream of each.

    ```python
    asthma = build_redcap_assets(project, key_prefix="asthma")
    defs = dg.Definitions(
        assets=[asthma, *build_redcap_destination_assets(asthma, kind="postgresql")],
        resources={
            "redcap": ...,
            "destination": RedcapDestination(url=dg.EnvVar("WAREHOUSE_URL"), schema_name="asthma"),
        },
    )
    ```

    They have the partitions, group, owners, tags and description of what they are loaded from.
    What one step loads is loaded in one transaction: the tables of the records and of the design
    in one, tables that need further rights of REDCap in a step each.

    Args:
        assets: What `redcap_assets` or `build_redcap_assets` made.
        kind: The kind of database, which Dagster shows.
        resource_key: Key of the `RedcapDestination` in the definitions.
        key_prefix: Put before the asset keys of the study; None for the kind.
        tables: Names of the tables to load; None for all that are assets.
        schema_changes: What may be done where a table in the database is different:
            `docs/destinations.md`.
        translation: Changes the asset specs; None for no change.
        backfill_policy: How a backfill is cut into runs; None for a run each partition.
        pool: Concurrency pool of the steps. Loads into one schema wait for each other anyway.
        retry_policy: Retries of the steps.

    Raises:
        ConfigError: `tables` names what is no asset of the study, `assets` is no study, or there is
            no such `kind`.
    """
    if kind not in get_args(DestinationKind):
        raise ConfigError(f"`kind` is {kind!r}; there are: {', '.join(get_args(DestinationKind))}.")
    study = study_of_assets(assets)
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix or [kind])
    loaded = [
        _loaded_asset(assets.specs_by_key[key], props, prefix, kind, translation)
        for key, props in _chosen(study, tables).items()
    ]
    name = re.sub(r"[^A-Za-z0-9_]", "_", "_".join([*prefix, assets.op.name]))
    options = _StepOptions(resource_key, schema_changes, backfill_policy, pool, retry_policy)
    by_step = attrgetter("step")
    return [
        _build_step(study, list(group), f"{name}_{step}".rstrip("_"), options)
        for step, group in groupby(sorted(loaded, key=by_step), key=by_step)
    ]


@dataclass(frozen=True)
class _StepOptions:
    """What all steps of a destination have in common."""

    resource_key: str
    schema_changes: SchemaChanges
    backfill_policy: dg.BackfillPolicy | None
    pool: str | None
    retry_policy: dg.RetryPolicy | None


def _chosen(
    study: StudyAssets, tables: Sequence[str] | None
) -> dict[dg.AssetKey, RedcapTableProps]:
    if tables is None:
        return study.props
    chosen = {key: props for key, props in study.props.items() if props.name in set(tables)}
    unknown = set(tables) - {props.name for props in chosen.values()}
    if unknown:
        raise ConfigError(
            f"`tables` names {', '.join(sorted(unknown))}, which is no asset of this study. It "
            f"has: {', '.join(props.name for props in study.props.values())}."
        )
    return chosen


def _loaded_asset(
    source: dg.AssetSpec,
    props: RedcapTableProps,
    prefix: Sequence[str],
    kind: DestinationKind,
    translation: SpecTranslation | None,
) -> _LoadedAsset:
    spec = dg.AssetSpec(
        key=source.key.with_prefix(prefix),
        deps=[source.key],
        description=source.description,
        metadata={
            name: value
            for name, value in source.metadata.items()
            if name == "dagster/column_schema"
        },
        group_name=source.group_name,
        code_version=source.code_version,
        owners=source.owners,
        tags={
            name: value
            for name, value in source.tags.items()
            if not name.startswith("dagster/kind/")
        },
        kinds={"redcap", kind},
        partitions_def=source.partitions_def,
        skippable=True,
    )
    if translation is not None:
        spec = translation(spec, props)
    return _LoadedAsset(spec, source.key, props)


def _build_step(
    study: StudyAssets, loaded: Sequence[_LoadedAsset], name: str, options: _StepOptions
) -> dg.AssetsDefinition:
    sources = {item.spec.key: (item.source, item.props) for item in loaded}

    @dg.multi_asset(
        name=name,
        specs=[item.spec for item in loaded],
        can_subset=True,
        backfill_policy=options.backfill_policy,
        pool=options.pool,
        retry_policy=options.retry_policy,
        required_resource_keys={options.resource_key},
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        resource = getattr(context.resources, options.resource_key)
        if not isinstance(resource, RedcapDestination):
            raise ConfigError(
                f"The resource {options.resource_key!r} is a {type(resource).__name__}; these "
                "assets need a RedcapDestination."
            )
        with as_dagster_failure():
            yield from DestinationStep(context, study, sources).load(
                resource.get_destination(), options.schema_changes
            )

    return load
