"""What changed between two designs, and whether they are of one project."""

from dataclasses import dataclass, replace
from typing import Literal

from redcap_dagster.errors import ProjectMismatchError
from redcap_dagster.project.model import RedcapProject
from redcap_dagster.project.snapshot import SNAPSHOT_COMMANDS


@dataclass(frozen=True, slots=True)
class DesignChange:
    """One instrument or field that is new, gone or different.

    Attributes:
        kind: What happened to it.
        instrument: Unique name of the instrument; of a field, where it is now or last was.
        field: Name of the field, or None when the change is the instrument's own.
    """

    kind: Literal["added", "removed", "changed"]
    instrument: str
    field: str | None = None


def diff_projects(old: RedcapProject, new: RedcapProject) -> tuple[DesignChange, ...]:
    """List the instruments and fields that differ between two designs of one project.

    An instrument is changed when its label, its events or the way it repeats is; a field when any
    column of its dictionary line is. The order of fields is not compared.

    Returns:
        Changes of instruments, then of fields; what is there now in the new order, then what was
        removed in the old order.
    """
    return _diff_instruments(old, new) + _diff_fields(old, new)


def check_same_project(snapshot: RedcapProject, live: RedcapProject) -> None:
    """Make sure that a snapshot is of the project the API token opens.

    Raises:
        ProjectMismatchError: The project ids or the record id fields differ.
    """
    pairs = (
        ("project id", snapshot.info.project_id, live.info.project_id),
        ("record id field", snapshot.record_id_field, live.record_id_field),
    )
    differences = [f"{what} {ours}, not {theirs}" for what, ours, theirs in pairs if ours != theirs]
    if differences:
        raise ProjectMismatchError(
            f"The snapshot is of another project than the API token opens: it has "
            f"{' and '.join(differences)}. Use the token of that project, or write the snapshot "
            f"anew with {SNAPSHOT_COMMANDS}."
        )


def _diff_instruments(old: RedcapProject, new: RedcapProject) -> tuple[DesignChange, ...]:
    before, after = old.instruments_by_name, new.instruments_by_name
    changes = [
        DesignChange("changed" if name in before else "added", name)
        for name in after
        if name not in before or _use_of(old, name) != _use_of(new, name)
    ]
    changes += [DesignChange("removed", name) for name in before if name not in after]
    return tuple(changes)


def _use_of(project: RedcapProject, instrument: str) -> tuple[object, ...]:
    """Everything about an instrument but its fields."""
    events = project.events_of(instrument)
    return (
        replace(project.instruments_by_name[instrument], fields=()),
        events,
        [event for event in events if project.event_repeats(event)],
        [rule for rule in project.repeats if rule.instrument == instrument],
    )


def _diff_fields(old: RedcapProject, new: RedcapProject) -> tuple[DesignChange, ...]:
    before, after = old.fields_by_name, new.fields_by_name
    changes = [
        DesignChange("changed" if name in before else "added", field.instrument, name)
        for name, field in after.items()
        if before.get(name) != field
    ]
    changes += [
        DesignChange("removed", field.instrument, name)
        for name, field in before.items()
        if name not in after
    ]
    return tuple(changes)
