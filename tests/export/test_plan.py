"""The plan of an export."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.errors import ConfigError
from redcap_dagster.export import plan_export, record_bucket
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


@given(
    record_ids=st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=60),
    cells=st.integers(1, 200),
)
def test_every_record_id_is_in_one_batch_in_the_given_order(
    record_ids: list[str], cells: int
) -> None:
    plan = plan_export(classic_project(), record_ids, cells_per_request=cells)
    planned = [item for batch in plan.batches for item in batch.record_ids]
    assert planned == record_ids
    assert all(batch.record_ids for batch in plan.batches)
    assert plan.record_count == len(record_ids)


def test_a_batch_holds_as_many_records_as_the_budget_of_cells_allows() -> None:
    # Columns: record_id, data access group, two values, note and two form statuses.
    plan = plan_export(classic_project(), [str(i) for i in range(10)], cells_per_request=7 * 4)
    assert plan.columns_per_row == 7
    assert [len(batch.record_ids) for batch in plan.batches] == [4, 4, 2]


def test_events_and_repeats_count_as_rows_of_a_record() -> None:
    plan = plan_export(longitudinal_project(), ["1", "2"], cells_per_request=1_000)
    # Two events and one repeating form: three rows.
    assert plan.records_per_request == 1_000 // (plan.columns_per_row * 3)


def test_a_record_larger_than_the_budget_is_asked_for_alone() -> None:
    plan = plan_export(classic_project(), ["1", "2"], cells_per_request=1)
    assert [batch.record_ids for batch in plan.batches] == [("1",), ("2",)]


def test_only_the_selected_instruments_are_asked_for_in_dictionary_order() -> None:
    plan = plan_export(classic_project(), ["1"], instruments=["notes", "visit"])
    assert plan.instruments == ("visit", "notes")
    assert plan_export(classic_project(), ["1"], instruments=["notes"]).instruments == ("notes",)


def test_no_records_make_no_batches() -> None:
    assert plan_export(classic_project(), []).batches == ()


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Not instruments of this project: pain, zeal\. It has"):
        plan_export(classic_project(), ["1"], instruments=["zeal", "pain"])
    with pytest.raises(ConfigError, match="planned twice"):
        plan_export(classic_project(), ["1", "1"])
    with pytest.raises(ConfigError, match="at least 1"):
        plan_export(classic_project(), ["1"], cells_per_request=0)


def test_the_bucket_of_a_record_never_changes() -> None:
    # Written down once: a change here would scatter every partition already published.
    assert [record_bucket(item, 16) for item in ("1", "001", "S-1", "Ünal 7")] == [1, 15, 13, 12]


def test_buckets_are_about_equally_full() -> None:
    counts = Counter(record_bucket(str(number), 16) for number in range(16_000))
    assert set(counts) == set(range(16))
    assert all(850 < count < 1150 for count in counts.values())
