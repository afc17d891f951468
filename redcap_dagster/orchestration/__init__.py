"""Dagster: the only room that imports it. Resource, translator, assets, checks, partitions."""

from importlib.metadata import version

from dagster_shared.libraries import DagsterLibraryRegistry

from redcap_dagster.orchestration.assets import build_redcap_assets, redcap_assets
from redcap_dagster.orchestration.component import RedcapProjectComponent
from redcap_dagster.orchestration.destination_assets import build_redcap_destination_assets
from redcap_dagster.orchestration.destination_resource import RedcapDestination
from redcap_dagster.orchestration.io_manager import RedcapParquetIOManager
from redcap_dagster.orchestration.partitions import (
    arm_partitions,
    data_access_group_partitions,
    event_partitions,
    record_partitions,
)
from redcap_dagster.orchestration.resource import RedcapResource
from redcap_dagster.orchestration.sensors import build_redcap_change_sensor
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.orchestration.translator import DagsterRedcapTranslator, RedcapTableProps

__all__ = [
    "DagsterRedcapTranslator",
    "RedcapDestination",
    "RedcapParquetIOManager",
    "RedcapProjectComponent",
    "RedcapResource",
    "RedcapTableProps",
    "StudyAssets",
    "arm_partitions",
    "build_redcap_assets",
    "build_redcap_change_sensor",
    "build_redcap_destination_assets",
    "data_access_group_partitions",
    "event_partitions",
    "record_partitions",
    "redcap_assets",
]

# `is_dagster_package=False` keeps Dagster from comparing our version with its own.
DagsterLibraryRegistry.register(
    "redcap-dagster", version("redcap-dagster"), is_dagster_package=False
)
