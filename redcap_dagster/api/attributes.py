"""What PyCap's `Project` knows of a study: its first field, forms, events, arms and fields."""

from dataclasses import dataclass

from redcap_dagster.api.readers import Row


@dataclass(frozen=True, slots=True)
class ProjectAttributes:
    """A study at a glance, as it was when it was asked for. Names only, no data.

    Attributes:
        first_field: Name of the record id field.
        forms: Instrument names, in dictionary order.
        events: Unique event names, in the project's order; () in a classic project.
        arms: Arm number to its name; empty in a classic project.
        field_names: Fields of the data dictionary, in its order.
        field_labels: Label of each field, in the same order.
        field_types: Type of each field by its name.
        is_longitudinal: Whether the project has events.
    """

    first_field: str
    forms: tuple[str, ...]
    events: tuple[str, ...]
    arms: dict[int, str]
    field_names: tuple[str, ...]
    field_labels: tuple[str, ...]
    field_types: dict[str, str]
    is_longitudinal: bool


def read_attributes(
    metadata: list[Row], instruments: list[Row], events: list[Row], arms: list[Row]
) -> ProjectAttributes:
    """The attributes, from the answers of four list methods."""
    return ProjectAttributes(
        first_field=metadata[0]["field_name"],
        forms=tuple(row["instrument_name"] for row in instruments),
        events=tuple(row["unique_event_name"] for row in events),
        arms={int(row["arm_num"]): row["name"] for row in arms},
        field_names=tuple(row["field_name"] for row in metadata),
        field_labels=tuple(row["field_label"] for row in metadata),
        field_types={row["field_name"]: row["field_type"] for row in metadata},
        is_longitudinal=bool(events),
    )
