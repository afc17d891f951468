"""Collecting what is wrong with a study's design, so that one error tells all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redcap_dagster.errors import DesignError

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One thing wrong with a design, as a sentence without its full stop."""

    sentence: str
    instrument: str = ""
    field: str = ""


def raise_contradictions(contradictions: Sequence[Contradiction]) -> None:
    """Raise one DesignError that tells all contradictions; do nothing when there are none.

    Raises:
        DesignError: With the count and the first twenty sentences, and with the instrument and
            field when there is a single contradiction.
    """
    if not contradictions:
        return
    count = len(contradictions)
    told = [item.sentence for item in contradictions[:_MOST_NAMED]]
    if count > _MOST_NAMED:
        told.append(f"and {count - _MOST_NAMED} more")
    noun = "contradiction" if count == 1 else "contradictions"
    only = contradictions[0] if count == 1 else Contradiction("")
    raise DesignError(
        f"The project's design has {count} {noun}: {'; '.join(told)}.",
        instrument=only.instrument,
        field=only.field,
    )


def join_names(names: Iterable[str]) -> str:
    """Names for a sentence, quoted, in their order."""
    return ", ".join(f"'{name}'" for name in names)
