"""Small studies and exports, built in one line each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project import (
    Arm,
    DictionaryField,
    Event,
    FormEvent,
    Instrument,
    MissingDataCode,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
    plan_export_columns,
)
from tests.tables.visits import AGE


def _project(
    forms: Mapping[str, Sequence[DictionaryField | str]],
    *,
    events: Mapping[str, Sequence[str]] | None = None,
    repeats: Sequence[tuple[str | None, str | None]] = (),
    missing_codes: Sequence[str] = (),
    surveys: bool = False,
) -> RedcapProject:
    """A study: form → fields (a name is a text field); event → its forms; (event, form) repeats.

    The arm of an event is read from the end of its unique name.
    """
    arms = sorted({int(event.rpartition("_")[2]) for event in events or {}})
    return RedcapProject(
        info=ProjectInfo(
            project_id=1,
            title="Study",
            is_longitudinal=events is not None,
            has_repeating=bool(repeats),
            surveys_enabled=surveys,
            missing_data_codes=tuple(MissingDataCode(code, code) for code in missing_codes),
        ),
        redcap_version="14.7.3",
        instruments=tuple(
            Instrument(name, name.title(), tuple(_field(name, item) for item in fields))
            for name, fields in forms.items()
        ),
        arms=tuple(Arm(number, f"Arm {number}") for number in arms),
        events=tuple(
            Event(event, event.partition("_arm_")[0].title(), int(event.rpartition("_")[2]))
            for event in events or {}
        ),
        form_events=tuple(
            FormEvent(event, form) for event, used in (events or {}).items() for form in used
        ),
        repeats=tuple(RepeatRule(event, form) for event, form in repeats),
    )


def _field(instrument: str, item: DictionaryField | str) -> DictionaryField:
    if isinstance(item, str):
        return DictionaryField(item, instrument, "text", label=item.title())
    return item


def _chunk(project: RedcapProject, rows: Sequence[Mapping[str, str]]) -> pa.Table:
    """An export of every column of a study; a cell that a row does not name is blank."""
    names = [column.name for column in plan_export_columns(project)]
    assert {name for row in rows for name in row} <= set(names)
    return pa.table({name: pa.array([row.get(name, "") for row in rows]) for name in names})


@pytest.fixture(scope="session")
def make_project() -> Callable[..., RedcapProject]:
    return _project


@pytest.fixture(scope="session")
def make_chunk() -> Callable[..., Any]:
    return _chunk


@pytest.fixture
def project() -> RedcapProject:
    """A study of two instruments."""
    return _project({"enrolment": ["record_id", "name"], "visit": [AGE]})
