"""One study as Dagster sees it: its design, the tables it becomes, where they go, their keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import dagster as dg

from redcap_dagster.errors import ConfigError
from redcap_dagster.orchestration.attachments import DEFAULT_LARGEST_ATTACHMENT_BYTES
from redcap_dagster.orchestration.translator import RedcapTableProps
from redcap_dagster.privacy import DeidentificationOptions
from redcap_dagster.project import DEFAULT_DRIFT_POLICY, DriftKind, DriftPolicy, RedcapProject
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import DEFAULT_TABLE_OPTIONS, Location, TableOptions


@dataclass(frozen=True)
class StudyAssets:
    """What one `redcap_assets` function materializes.

    Attributes:
        project: The design that the definitions were made from.
        out_dir: Folder of the study's tables, or their place in an object store. Unpartitioned
            tables are published in it, those of a partition in the folder of that name inside it.
        props: Every table of the study, by the asset key the translator gave it.
        table_options: How the typed tables are laid out.
        partitions_def: Partitions of the records; None for none.
        largest_attachment_bytes: Files in fields that are larger are listed and not kept.
        quality: How the data-quality rules run; None for none of them.
        hands_over_frames: Whether an IO manager is handed each table as a pandas frame.
        drift_policy: What each kind of change of the design is worth.
        deidentification: What is taken out of the tables; None for nothing.
        partitioned_checks: Whether checks have a result for each partition of the records.
        takes_open_days: Whether `record_changes` may be made of a day that is not over.
    """

    project: RedcapProject
    out_dir: Location
    props: dict[dg.AssetKey, RedcapTableProps]
    table_options: TableOptions = DEFAULT_TABLE_OPTIONS
    partitions_def: dg.PartitionsDefinition[str] | None = None
    largest_attachment_bytes: int = DEFAULT_LARGEST_ATTACHMENT_BYTES
    quality: QualityOptions | None = None
    hands_over_frames: bool = False
    drift_policy: Mapping[DriftKind, DriftPolicy] = field(
        default_factory=lambda: DEFAULT_DRIFT_POLICY
    )
    deidentification: DeidentificationOptions | None = None
    partitioned_checks: bool = False
    takes_open_days: bool = False

    def shelf(self, partition_key: str | None) -> Location:
        """The place that a partition's tables are published in; None for the study's own.

        Its name is the partition key, with `+` for the `|` between crossed partitions.
        """
        if partition_key is None:
            return self.out_dir
        return self.out_dir / partition_key.replace("|", "+")


# Dagster rebuilds AssetsDefinition objects freely but keeps the op inside them, so the op is what
# a running step can be recognised by. Putting the study into the specs' metadata, as other
# integrations do, would show it in the page and in every snapshot of the code location.
_STUDIES: "WeakKeyDictionary[dg.OpDefinition, StudyAssets]" = WeakKeyDictionary()


def remember_study(assets: dg.AssetsDefinition, study: StudyAssets) -> None:
    """Let `study_of` find the study of a step that executes these assets."""
    _STUDIES[assets.op] = study


def study_of_assets(assets: dg.AssetsDefinition) -> StudyAssets:
    """The study that `redcap_assets` or `build_redcap_assets` made these assets of.

    Raises:
        ConfigError: They were made by neither, or are no assets.
    """
    if not isinstance(assets, dg.AssetsDefinition):
        raise ConfigError(
            f"`assets` must be what redcap_assets or build_redcap_assets made, not "
            f"{type(assets).__name__}."
        )
    study = _STUDIES.get(assets.op)
    if study is None:
        raise ConfigError("These assets were not made by redcap_assets or build_redcap_assets.")
    return study


def study_of(context: dg.AssetExecutionContext) -> StudyAssets:
    """The study whose assets the running step belongs to.

    Raises:
        ConfigError: The function was not decorated with `redcap_assets`.
    """
    study = _STUDIES.get(context.op_def)
    if study is None:
        raise ConfigError(
            "materialize(context) works in a function decorated with @redcap_assets. Elsewhere, "
            "give the study: materialize(context, study)."
        )
    return study
