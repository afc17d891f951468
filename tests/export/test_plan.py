"""The plan of an export."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.errors import ConfigError
from redcap_dagster.export import RowKeySpace, RowList, plan_export, record_bucket
from redcap_dagster.export.plan import BlockCutter
from redcap_dagster.project import (
    Arm,
    DictionaryField,
    Event,
    FormEvent,
    Instrument,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
)


def classic_project(fields: int = 3) -> RedcapProject:
    first = DictionaryField("record_id", "visit", "text")
    others = [DictionaryField(f"value_{number}", "visit", "text") for number in range(1, fields)]
    return RedcapProject(
        info=ProjectInfo(1, "Classic"),
        redcap_version="14.7.3",
        instruments=(
            Instrument("visit", "Visit", (first, *others)),
            Instrument("notes", "Notes", (DictionaryField("note", "notes", "notes"),)),
        ),
    )


def longitudinal_project() -> RedcapProject:
    return RedcapProject(
        info=ProjectInfo(2, "Longitudinal", is_longitudinal=True, has_repeating=True),
        redcap_version="14.7.3",
        instruments=classic_project().instruments,
        arms=(Arm(1, "Arm 1"),),
        events=(Event("a_arm_1", "A", 1), Event("b_arm_1", "B", 1)),
        form_events=(FormEvent("a_arm_1", "visit"), FormEvent("b_arm_1", "notes")),
        repeats=(RepeatRule("b_arm_1", "notes"),),
    )


def classic_rows(project: RedcapProject, records: int) -> RowList:
    space = RowKeySpace.of(project)
    ids = tuple(f"S-{number}" for number in range(records))
    return RowList(space, ids, np.arange(records) * space.stride)


def rows_of(project: RedcapProject, rows: dict[str, list[tuple[str, str, str]]]) -> RowList:
    """A list of rows: record id to event, repeating instrument and instance of each of its rows."""
    space = RowKeySpace.of(project)
    flat = [(number, *row) for number, own in enumerate(rows.values()) for row in own]
    names = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
    table = pa.table(
        {name: [row[place + 1] for row in flat] for place, name in enumerate(names)},
        pa.schema([(name, pa.string()) for name in names]),
    )
    keys = space.encode(table, np.array([row[0] for row in flat], np.int64))
    return RowList(space, tuple(rows), np.unique(keys))


def visits_with_notes(project: RedcapProject) -> RowList:
    """30,000 records of `longitudinal_project`, each a visit and two instances of notes."""
    own = [("a_arm_1", "", ""), ("b_arm_1", "notes", "1"), ("b_arm_1", "notes", "2")]
    return rows_of(project, {f"{number}": own for number in range(30_000)})


def wide_project(instruments: int, fields: int) -> RedcapProject:
    names = [f"form_{number}" for number in range(instruments)]
    return RedcapProject(
        ProjectInfo(3, "Wide"),
        "14.7.3",
        tuple(
            Instrument(
                name,
                name,
                tuple(DictionaryField(f"{name}_{n}", name, "text") for n in range(fields)),
            )
            for name in names
        ),
    )


@given(records=st.integers(0, 60), cells=st.integers(1, 300), instruments=st.integers(1, 4))
def test_every_record_and_instrument_is_asked_for_once_in_order(
    records: int, cells: int, instruments: int
) -> None:
    project = wide_project(instruments, 3)
    plan = plan_export(project, classic_rows(project, records), cells_per_request=cells)
    asked = [n for block in plan.blocks for n in range(block.first, block.last)]
    assert asked == list(range(records))
    for block in plan.blocks:
        assert [name for part in block.parts for name in part.instruments] == list(
            project.instruments_by_name
        )
        for part in block.parts:
            assert part.cells <= cells or len(part.instruments) == 1
            assert part.rows == block.last - block.first


def test_a_request_holds_as_many_cells_as_the_budget_allows() -> None:
    # Columns: record_id, data access group, two values, note and two form statuses.
    project = classic_project()
    plan = plan_export(project, classic_rows(project, 1_000), cells_per_request=7 * 400)
    assert plan.columns_per_request == 7
    assert [part.rows for block in plan.blocks for part in block.parts] == [400, 400, 200]
    assert plan.cells == plan.whole_cells == 7_000


def test_a_request_names_at_most_5000_records() -> None:
    project = classic_project()
    plan = plan_export(project, classic_rows(project, 12_000))
    assert [block.last - block.first for block in plan.blocks] == [5_000, 5_000, 2_000]


def test_a_wide_study_is_cut_by_instrument_so_that_requests_stay_tall() -> None:
    project = wide_project(instruments=100, fields=49)
    plan = plan_export(project, classic_rows(project, 1_200))
    assert all(part.rows == 300 for block in plan.blocks for part in block.parts)
    assert plan.requests == 4 * 4
    assert max(part.cells for block in plan.blocks for part in block.parts) <= 400_000


def test_an_event_is_asked_only_for_the_instruments_that_are_used_in_it() -> None:
    project = longitudinal_project()
    rows = visits_with_notes(project)
    plan = plan_export(project, rows)
    parts = {(part.instruments, part.events) for block in plan.blocks for part in block.parts}
    assert parts == {(("visit",), ("a_arm_1",)), (("notes",), ("b_arm_1",))}
    assert plan.cells < plan.whole_cells
    first = plan.blocks[0]
    assert [part.rows for part in first.parts] == [2 * first.last, first.last]  # largest first


def test_a_size_that_is_tried_is_that_of_one_request_of_a_block() -> None:
    project = longitudinal_project()
    rows = visits_with_notes(project)
    cutter = BlockCutter(project, rows)
    tried = [part.cells for part in cutter.cut(0, 40_000, 20_000).parts]
    assert 20_000 < tried[0] <= 40_000
    assert max(tried[1:]) <= 20_000
    wide = wide_project(instruments=20, fields=19)
    cutter = BlockCutter(wide, classic_rows(wide, 600))
    tried = [part.cells for part in cutter.cut(0, 40_000, 20_000).parts]
    assert 20_000 < tried[0] <= 40_000
    assert len(tried) > 2
    assert max(tried[1:]) <= 20_000


def test_events_are_asked_together_where_another_request_would_cost_more() -> None:
    project = longitudinal_project()
    rows = rows_of(project, {"1": [("a_arm_1", "", ""), ("b_arm_1", "notes", "1")]})
    plan = plan_export(project, rows)
    assert [(part.instruments, part.events) for part in plan.blocks[0].parts] == [
        (("visit", "notes"), ("a_arm_1", "b_arm_1"))
    ]


def test_a_record_larger_than_the_budget_is_asked_for_alone_and_by_instrument() -> None:
    project = classic_project()
    plan = plan_export(project, classic_rows(project, 2), cells_per_request=1)
    assert [(block.first, block.last) for block in plan.blocks] == [(0, 1), (1, 2)]
    assert [part.instruments for part in plan.blocks[0].parts] == [("visit",), ("notes",)]


def test_only_the_selected_instruments_and_events_are_asked_for() -> None:
    project = classic_project()
    rows = classic_rows(project, 1)
    plan = plan_export(project, rows, instruments=["notes", "visit"])
    assert plan.instruments == ("visit", "notes")
    assert plan_export(project, rows, instruments=["notes"]).instruments == ("notes",)
    project = longitudinal_project()
    rows = rows_of(project, {"1": [("a_arm_1", "", ""), ("b_arm_1", "notes", "1")]})
    plan = plan_export(project, rows, events=["b_arm_1"])
    assert [part.events for block in plan.blocks for part in block.parts] == [("b_arm_1",)]


def test_no_records_make_no_requests() -> None:
    project = classic_project()
    assert plan_export(project, classic_rows(project, 0)).requests == 0


def test_what_cannot_be_planned_is_refused() -> None:
    project = classic_project()
    rows = classic_rows(project, 1)
    with pytest.raises(ConfigError, match=r"Not instruments of this project: pain, zeal\. It has"):
        plan_export(project, rows, instruments=["zeal", "pain"])
    with pytest.raises(ConfigError, match=r"Not events of this project: a_arm_1\. It is classic"):
        plan_export(project, rows, events=["a_arm_1"])
    with pytest.raises(ConfigError, match="at least 1"):
        plan_export(project, rows, cells_per_request=0)


def test_the_bucket_of_a_record_never_changes() -> None:
    # Written down once: a change here would scatter every partition already published.
    assert [record_bucket(item, 16) for item in ("1", "001", "S-1", "Ünal 7")] == [1, 15, 13, 12]


def test_buckets_are_about_equally_full() -> None:
    counts = Counter(record_bucket(str(number), 16) for number in range(16_000))
    assert set(counts) == set(range(16))
    assert all(850 < count < 1150 for count in counts.values())
