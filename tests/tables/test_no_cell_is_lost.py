"""Of any design and any cells: each is in one table with its meaning, or listed as rejected."""

from collections.abc import Callable
from typing import get_args

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.project import (
    Choice,
    DictionaryField,
    ExportColumn,
    FieldType,
    RedcapProject,
    plan_export_columns,
)
from redcap_dagster.tables import SplitChunk, plan_tables, split_chunk

ODD_CODES = ["1", "0", "-1", "ABC", "9..9", "UNK", "\u00e9", "k>=9"]
VALIDATIONS = [
    "",
    "integer",
    "number",
    "number_1dp_comma_decimal",
    "date_mdy",
    "datetime_dmy",
    "datetime_seconds_ymd",
    "time",
    "time_hh_mm_ss",
    "time_mm_ss",
    "email",
]
TEXTS = [
    *ODD_CODES,
    " ",
    "007",
    "5.0",
    "1,5",
    " -100",
    "1e5",
    "NA",
    "None",
    "TRUE",
    "99999999999999999999",
    "2024-02-29",
    "2023-02-29",
    "2023-09-02 1:03",
    "2023-09-02 01:03:01",
    "8:10",
    "24:00",
    "08:59:59",
    "45:45",
    'line\r\nbreak, "quoted" \U0001f600',
    "[not completed]",
]
CODES = st.lists(st.sampled_from(ODD_CODES), min_size=1, unique_by=str.lower, max_size=4)


@st.composite
def fields(draw: st.DrawFn, form: str, number: int) -> DictionaryField:
    kind = draw(st.sampled_from(get_args(FieldType)))
    codes = draw(CODES) if kind in {"dropdown", "radio", "checkbox"} else []
    validation = draw(st.sampled_from(VALIDATIONS)) if kind == "text" else ""
    choices = tuple(Choice(code, code) for code in codes)
    return DictionaryField(f"{form}_f{number}", form, kind, choices=choices, validation=validation)


@st.composite
def designs(draw: st.DrawFn, make: Callable[..., RedcapProject]) -> RedcapProject:
    names = [f"form{number}" for number in range(draw(st.integers(1, 3)))]
    forms = {
        name: [draw(fields(name, number)) for number in range(draw(st.integers(0, 4)))]
        for name in names
    }
    forms[names[0]].insert(0, DictionaryField("record_id", names[0], "text"))
    events = None
    if draw(st.booleans()):
        unique = ["a_arm_1", "b_arm_1", "c_arm_2"][: draw(st.integers(1, 3))]
        events = {event: draw(st.lists(st.sampled_from(names), unique=True)) for event in unique}
    repeats: list[tuple[str | None, str | None]] = []
    for event in events or [None]:
        if event is not None and draw(st.integers(0, 2)) == 0:
            repeats.append((event, None))
        else:
            repeats += [(event, name) for name in names if draw(st.integers(0, 2)) == 0]
    return make(
        forms,
        events=events,
        repeats=repeats,
        missing_codes=draw(st.sampled_from([[], ["UNK"], ["UNK", "-999"]])),
        surveys=draw(st.booleans()),
    )


@st.composite
def exports(draw: st.DrawFn, project: RedcapProject) -> pa.Table:
    """Rows of any key, also impossible ones, and any cells."""
    columns = plan_export_columns(project)
    keys = draw(st.lists(row_keys(project), unique=True, max_size=8))
    rows = [
        {item.name: key.get(item.kind) or draw(cells(item)) for item in columns}
        for key in map(dict, keys)
    ]
    return pa.table(
        {item.name: pa.array([row[item.name] for row in rows], pa.string()) for item in columns}
    )


def row_keys(project: RedcapProject) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    events = [event.unique_name for event in project.events]
    names = [item.name for item in project.instruments]
    return (
        st.tuples(
            st.tuples(st.just("record_id"), st.sampled_from(["1", "01", "UNK"])),
            st.tuples(st.just("event"), st.sampled_from([*events, "gone_arm_1"])),
            st.tuples(st.just("repeat_instrument"), st.sampled_from(["", *names, "gone"])),
            st.tuples(st.just("repeat_instance"), st.sampled_from(["", "1", "2", "x"])),
        )
        .filter(lambda key: project.repeats or not (key[2][1] or key[3][1]))
        .map(lambda key: key if events else (key[0], *key[2:]))
    )


def cells(column: ExportColumn) -> st.SearchStrategy[str]:
    if column.kind in {"repeat_instrument", "repeat_instance"}:
        return st.just("")
    if column.kind in {"checkbox", "missing_code_checkbox", "form_status"}:
        return st.sampled_from(["", "", "0", "1", "2", "x"])
    return st.one_of(st.just(""), st.sampled_from(TEXTS))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_cell_of_any_export_of_any_design_is_accounted_for(
    data: st.DataObject,
    make_project: Callable[..., RedcapProject],
    account_for: Callable[[RedcapProject, pa.Table, SplitChunk], None],
) -> None:
    project = data.draw(designs(make_project))
    chunk = data.draw(exports(project))
    specs = plan_tables(project)
    done = split_chunk(chunk, project, specs)
    account_for(project, chunk, done)
    for spec in specs:
        table = done.tables[spec.name]
        assert table.schema.equals(spec.arrow_schema, check_metadata=True)
        keys = [tuple(row.values()) for row in table.select(spec.key_columns).to_pylist()]
        assert len(set(keys)) == len(keys)
        assert not any(None in key for key in keys)
    total = done.ledger.total
    assert total.received == total.typed + total.coded + total.rejected
    assert total.rejected == done.rejected.num_rows
