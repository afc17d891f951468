"""Logic that looks at events where only some were exported: a value there would read as blank."""

from collections.abc import Collection

from redcap_dagster.errors import LogicUnsupportedError
from redcap_dagster.logic import Expression, references
from redcap_dagster.project import RedcapProject


def lacks_events(events: Collection[str] | None, project: RedcapProject) -> bool:
    """Whether rows of a record can be missing: an event of an arm is there, and another is not.

    Args:
        events: Unique names of the events that were exported; None for all.
        project: The study's design.
    """
    if events is None:
        return False
    arms = {event.arm_number for event in project.events if event.unique_name in events}
    whole = {event.unique_name for event in project.events if event.arm_number in arms}
    return not whole <= set(events)


def refuse_other_events(expression: Expression) -> None:
    """Make sure that logic looks at the event of its row alone.

    Raises:
        LogicUnsupportedError: It refers to another one, or may do so.
    """
    for reference in references(expression):
        if reference.event not in {None, "event-name"}:
            raise LogicUnsupportedError(
                "It refers to another event, and a partition by event holds one.",
                source=expression.source,
                start=reference.span.start,
                end=reference.span.end,
            )
