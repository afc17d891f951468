"""REDCap studies as Dagster assets.

The public names of this package, resolved when they are first used (PEP 562): `redcap-dagster
emulator` and `from redcap_dagster.api import RedcapClient` need not import Dagster.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redcap_dagster.orchestration import (
        DagsterRedcapTranslator,
        RedcapDestination,
        RedcapParquetIOManager,
        RedcapProjectComponent,
        RedcapResource,
        RedcapTableProps,
        arm_partitions,
        build_redcap_assets,
        build_redcap_change_sensor,
        build_redcap_destination_assets,
        data_access_group_partitions,
        event_partitions,
        record_partitions,
        redcap_assets,
    )
    from redcap_dagster.project import RedcapProject
    from redcap_dagster.tables import TableOptions

__version__ = version("redcap-dagster")

_ROOMS = {
    "DagsterRedcapTranslator": "orchestration",
    "RedcapDestination": "orchestration",
    "RedcapParquetIOManager": "orchestration",
    "RedcapProject": "project",
    "RedcapProjectComponent": "orchestration",
    "RedcapResource": "orchestration",
    "RedcapTableProps": "orchestration",
    "TableOptions": "tables",
    "arm_partitions": "orchestration",
    "build_redcap_assets": "orchestration",
    "build_redcap_change_sensor": "orchestration",
    "build_redcap_destination_assets": "orchestration",
    "data_access_group_partitions": "orchestration",
    "event_partitions": "orchestration",
    "record_partitions": "orchestration",
    "redcap_assets": "orchestration",
}

__all__ = [
    "DagsterRedcapTranslator",
    "RedcapDestination",
    "RedcapParquetIOManager",
    "RedcapProject",
    "RedcapProjectComponent",
    "RedcapResource",
    "RedcapTableProps",
    "TableOptions",
    "arm_partitions",
    "build_redcap_assets",
    "build_redcap_change_sensor",
    "build_redcap_destination_assets",
    "data_access_group_partitions",
    "event_partitions",
    "record_partitions",
    "redcap_assets",
]


def __getattr__(name: str) -> object:
    """Import the room that holds a public name."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """The public names; `dg` looks here for components."""
    return sorted([*__all__, "__version__"])
