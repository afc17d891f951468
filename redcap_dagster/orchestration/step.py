"""A running Dagster step of a study: what is selected, and the study as it is now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.export import ExportSeries, ExportSettings
from redcap_dagster.extract import last_pace
from redcap_dagster.orchestration.deidentification import plan_deidentifier
from redcap_dagster.orchestration.kinds import RECORD_KINDS, TableKind
from redcap_dagster.orchestration.record_changes import plan_record_changes_table
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.privacy import Deidentifier
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import (
    Location,
    TableSpec,
    find_extract,
    plan_records_table,
    plan_tables,
)

_MOST_ASSETS_NAMED = 3


@dataclass(frozen=True)
class Step:
    """What everything that a step does works with.

    Attributes:
        context: Says which assets, checks and partitions are wanted.
        study: The study the assets belong to.
        client: Where to export from.
        settings: How to export.
        live: The study's design as it is now.
    """

    context: dg.AssetExecutionContext
    study: StudyAssets
    client: RedcapClient
    settings: ExportSettings
    live: RedcapProject

    @cached_property
    def deidentifier(self) -> Deidentifier | None:
        """What de-identifies the tables of the step; None where the study does not ask for it.

        Raises:
            ConfigError: The environment has no key.
        """
        return plan_deidentifier(self.study, self.live)

    @cached_property
    def table_specs(self) -> Mapping[str, TableSpec]:
        """The tables that are made with instruments, by name, by the design as it is now."""
        # Once: of a study of 200 forms it takes a tenth of a second, and each asset asks for it.
        planned = plan_tables(self.live, options=self.study.table_options)
        return {spec.name: spec for spec in planned}

    @cached_property
    def series(self) -> ExportSeries:
        """What its partitions' exports hand on; the pace begins with what was borne last time."""
        partition_key, _ = self.plan()[-1]
        last = last_pace(find_extract(self.study.shelf(partition_key)))
        return ExportSeries.begin(self.live, self.settings, last)

    def plan(self) -> list[tuple[str | None, list[dg.AssetKey]]]:
        """The selected assets by the partition they are published in; None for the study's own.

        Raises:
            ConfigError: Assets with partitions are selected, and the run has none.
        """
        selected = [key for key in self.study.props if key in self.context.selected_asset_keys]
        # Each table by its own partitions: the log has its days where the records have none, and
        # the small tables never have any.
        specs = self.context.assets_def.specs_by_key
        parts = [key for key in selected if specs[key].partitions_def is not None]
        if not self.context.has_partition_key and not self.context.has_partition_key_range:
            _refuse_without_partition(parts)
            return [(None, selected)] if selected else []
        others = [key for key in selected if key not in parts]
        own: list[tuple[str | None, list[dg.AssetKey]]] = [(None, others)] if others else []
        return own + [(key, parts) for key in self.context.partition_keys if parts]

    def kind_of(self, key: dg.AssetKey) -> TableKind:
        """What the table of an asset holds."""
        return self.study.props[key].kind

    def is_checked_by_partition(self, key: dg.AssetKey) -> bool:
        """Whether the checks of an asset have a result for each of its partitions."""
        return self.study.partitioned_checks and self.study.props[key].kind in RECORD_KINDS

    def checks_of(self, key: dg.AssetKey) -> list[dg.AssetCheckKey]:
        """The selected checks of an asset, in a fixed order."""
        selected = self.context.selected_asset_check_keys
        return sorted((item for item in selected if item.asset_key == key), key=str)

    def partition_keys(self) -> Sequence[str]:
        """Every partition of the study's records; none without partitions."""
        partitions = self.study.partitions_def
        if partitions is None:
            return ()
        return partitions.get_partition_keys(dynamic_partitions_store=self.context.instance)

    def shelves_of(self, key: dg.AssetKey) -> list[Location]:
        """The places that an asset's table is published in: of each of its partitions, or one."""
        partitions = self.context.assets_def.specs_by_key[key].partitions_def
        if partitions is None:
            return [self.study.shelf(None)]
        names = partitions.get_partition_keys(dynamic_partitions_store=self.context.instance)
        return [self.study.shelf(name) for name in names]

    def published_spec(self, props: RedcapTableProps) -> TableSpec:
        """The columns as they are published; those of the snapshot where the instrument is gone."""
        spec = self._planned_spec(props)
        return spec if self.deidentifier is None else self.deidentifier.published_spec(spec)

    def _planned_spec(self, props: RedcapTableProps) -> TableSpec:
        if props.kind == "records":
            return plan_records_table(self.live)
        if props.kind == "record_changes":
            return plan_record_changes_table(self.live)
        return self.table_specs.get(props.name, props.spec)


def _refuse_without_partition(keys: Sequence[dg.AssetKey]) -> None:
    """They would be published where no reader of the partitions looks, and never again."""
    if keys:
        shown = ", ".join(key.to_user_string() for key in keys[:_MOST_ASSETS_NAMED])
        more = len(keys) - _MOST_ASSETS_NAMED
        raise ConfigError(
            f"The run has no partition, and {shown}{f' and {more} more' if more > 0 else ''} "
            f"{'has' if len(keys) == 1 else 'have'} partitions. Choose one, or several as a "
            "backfill; a schedule or a sensor names one in each RunRequest (partition_key=...)."
        )
