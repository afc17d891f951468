"""Arguments of another type, named where the first use of them would end in an AttributeError."""

from collections.abc import Mapping

import dagster as dg

from redcap_dagster.errors import ConfigError
from redcap_dagster.orchestration.translator import DagsterRedcapTranslator
from redcap_dagster.privacy import DeidentificationOptions
from redcap_dagster.project import RedcapProject
from redcap_dagster.quality import QualityOptions
from redcap_dagster.tables import TableOptions

_TYPES: Mapping[str, type] = {
    "translator": DagsterRedcapTranslator,
    "table_options": TableOptions,
    "quality": QualityOptions,
    "deidentification": DeidentificationOptions,
    "audit_log_partitions": dg.DailyPartitionsDefinition,
    "record_changes_partitions": dg.DailyPartitionsDefinition,
}
_NEVER_NONE = frozenset({"table_options"})
_LISTS = frozenset({"include", "reports"})


def check_types(project: object, options: Mapping[str, object]) -> None:
    """Refuse a project that is none, and options of another type.

    Args:
        project: What was given as the study's design.
        options: Name of an argument → what was given.

    Raises:
        ConfigError: One is of another type.
    """
    if not isinstance(project, RedcapProject):
        raise ConfigError(
            f"`project` must be a RedcapProject, not {type(project).__name__}. Read one from its "
            "snapshot: RedcapProject.from_snapshot(path)."
        )
    for name, value in options.items():
        if name in _LISTS and isinstance(value, str):
            raise ConfigError(f"`{name}` is one text. Give a list.")
        kind = _TYPES.get(name, object)
        if value is None and name not in _NEVER_NONE:
            continue
        if not isinstance(value, kind):
            wanted = kind.__name__ if name in _NEVER_NONE else f"{kind.__name__} or None"
            raise ConfigError(f"`{name}` must be {wanted}, not {type(value).__name__}.")
