"""Of any design and any cells: each is in one table with its meaning, or listed as rejected."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import get_args

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.errors import LogicError
from redcap_dagster.logic import check_logic, evaluate_row, parse_logic
from redcap_dagster.project import (
    Choice,
    DictionaryField,
    ExportColumn,
    FieldType,
    Instrument,
    RedcapProject,
    plan_export_columns,
)
from redcap_dagster.tables import TableOptions, plan_tables, split_chunk

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
    "299",
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
BRANCHING = [
    "",
    "",
    "[record_id] = '1'",
    "[form0_f0] <> ''",
    "[form0_f0(1)] = '1'",
    "[gone] = '1'",
    "[form0_f0] >",
]
MANY_CODES = [str(number) for number in range(300)]
CODES = st.lists(st.sampled_from(ODD_CODES), min_size=1, unique_by=str.lower, max_size=4)


@st.composite
def fields(draw: st.DrawFn, form: str, number: int) -> DictionaryField:
    kind = draw(st.sampled_from(get_args(FieldType)))
    codes = draw(CODES) if kind in {"dropdown", "radio", "checkbox"} else []
    if kind == "dropdown" and draw(st.booleans()):
        codes = MANY_CODES
    validation = draw(st.sampled_from(VALIDATIONS)) if kind == "text" else ""
    labels = st.sampled_from(["Yes", "yes", "", "ja \u00e9", "<b>No</b>"])
    drawn = [draw(labels) for _ in codes[: len(ODD_CODES)]]
    choices = tuple(Choice(code, drawn[place % len(drawn)]) for place, code in enumerate(codes))
    return DictionaryField(
        f"{form}_f{number}",
        form,
        kind,
        choices=choices,
        validation=validation,
        branching_logic=draw(st.sampled_from(BRANCHING)),
    )


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
def exports(draw: st.DrawFn, project: RedcapProject, *, any_keys: bool = True) -> pa.Table:
    """Rows of any key, also impossible ones if asked for, and any cells."""
    columns = plan_export_columns(project)
    row_key = (
        row_keys(project)
        if any_keys
        else row_keys(project).filter(lambda key: is_possible(project, dict(key)))
    )
    keys = draw(st.lists(row_key, unique=True, max_size=8))
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


def is_possible(project: RedcapProject, key: Mapping[str, str]) -> bool:
    """Whether a server could send a row of this key."""
    event, form, instance = key.get("event"), key["repeat_instrument"], key["repeat_instance"]
    if event == "gone_arm_1" or instance == "x":
        return False
    if form:
        return bool(instance) and project.repeats_as_form(form, event)
    repeats = event is not None and project.event_repeats(event)
    return bool(instance) == repeats


def cells(column: ExportColumn) -> st.SearchStrategy[str]:
    if column.kind in {"repeat_instrument", "repeat_instance"}:
        return st.just("")
    if column.kind in {"checkbox", "missing_code_checkbox", "form_status"}:
        return st.sampled_from(["", "", "0", "1", "2", "x"])
    return st.one_of(st.just(""), st.sampled_from(TEXTS))


OPTIONS = st.builds(
    TableOptions,
    choices=st.sampled_from(["codes", "labels", "both"]),
    checkboxes=st.sampled_from(["columns", "list"]),
    missing_reasons=st.booleans(),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_cell_of_any_export_of_any_design_is_accounted_for(
    data: st.DataObject,
    make_project: Callable[..., RedcapProject],
    account_for: Callable[..., None],
) -> None:
    project = data.draw(designs(make_project))
    chunk = data.draw(exports(project))
    options = data.draw(OPTIONS)
    specs = plan_tables(project, options=options)
    done = split_chunk(chunk, project, specs)
    account_for(project, chunk, done, options)
    for spec in plan_tables(project, options=replace(options, missing_reasons=False)):
        table = done.tables[spec.name]
        assert table.schema.equals(spec.arrow_schema, check_metadata=True)
        keys = [tuple(row.values()) for row in table.select(spec.key_columns).to_pylist()]
        assert len(set(keys)) == len(keys)
        assert not any(None in key for key in keys)
    total = done.ledger.total
    assert total.received == total.typed + total.coded + total.rejected
    assert total.rejected == done.rejected.num_rows


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_blank_of_any_export_has_the_reason_that_a_person_would_find(
    data: st.DataObject, make_project: Callable[..., RedcapProject]
) -> None:
    project = data.draw(designs(make_project))
    chunk = data.draw(exports(project, any_keys=False))
    specs = plan_tables(project, options=TableOptions(missing_reasons=True))
    done = split_chunk(chunk, project, specs)
    assert done.missing_reasons is not None
    rejected: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
    for row in done.rejected.to_pylist():
        rejected[tuple(map(row.get, ROW_KEY))].add(row["field"])
    expected = [
        (*key, *reason)
        for row in chunk.to_pylist()
        for key in [tuple(row.get(name) or None for name in ROW_KEY)]
        for form in project.instruments
        for reason in reasons_of(project, form, chunk, row, rejected[key])
    ]
    assert [tuple(row.values()) for row in done.missing_reasons.to_pylist()] == expected


ROW_KEY = ("record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")


def reasons_of(
    project: RedcapProject,
    form: Instrument,
    chunk: pa.Table,
    row: Mapping[str, str],
    rejected: AbstractSet[str],
) -> Iterator[tuple[str | None, ...]]:
    """Instrument, field, reason and missing code of each blank of a row, found one by one."""
    event = row.get("redcap_event_name")
    repeat = row.get("redcap_repeat_instrument", "")
    instance = row.get("redcap_repeat_instance", "")
    sources = [item for item in plan_export_columns(project) if item.instrument == form.name]
    sources = [item for item in sources if item.kind != "record_id"]
    if event is not None and event not in project.events_of(form.name):
        if not repeat and event in {item.unique_name for item in project.events}:
            yield form.name, None, "not_designated", None
        return
    if project.repeats_as_form(form.name, event):
        applies = repeat == form.name and instance in {"1", "2"}
    elif event is not None and project.event_repeats(event):
        applies = not repeat and instance in {"1", "2"}
    else:
        applies = not repeat and not instance
    if not applies:
        return
    if not any(row[i.name] and (row[i.name] != "0" or "___" not in i.name) for i in sources):
        yield form.name, None, "form_not_started", None
        return
    for field in form.fields:
        own = [item for item in sources if item.field == field.name]
        if own:
            reason = reason_of(project, field, own, chunk, row, rejected)
            if reason:
                yield form.name, field.name, *reason


def reason_of(
    project: RedcapProject,
    field: DictionaryField,
    sources: Sequence[ExportColumn],
    chunk: pa.Table,
    row: Mapping[str, str],
    rejected: AbstractSet[str],
) -> tuple[str, str | None] | None:
    code = code_of(project, field, sources, row)
    if code is not None:
        return "coded", code
    if field.field_type == "checkbox":
        has_value = any(row[item.name] == "1" for item in sources if item.kind == "checkbox")
    else:
        has_value = row[sources[0].name] != "" and sources[0].name not in rejected
    if has_value:
        return None
    if rejected & {item.name for item in sources}:
        return "rejected", None
    return reason_of_blank(project, field, chunk, row), None


def code_of(
    project: RedcapProject,
    field: DictionaryField,
    sources: Sequence[ExportColumn],
    row: Mapping[str, str],
) -> str | None:
    if field.field_type == "checkbox":
        codes = [item for item in sources if item.kind == "missing_code_checkbox"]
        return next((item.choice_code for item in codes if row[item.name] == "1"), None)
    text, own = row[sources[0].name], {choice.code for choice in field.choices}
    known = {item.code for item in project.info.missing_data_codes} - own
    return text if text in known else None


def reason_of_blank(
    project: RedcapProject, field: DictionaryField, chunk: pa.Table, row: Mapping[str, str]
) -> str:
    if not field.branching_logic:
        return "blank"
    try:
        logic = parse_logic(field.branching_logic)
        if check_logic(logic, project):
            return "undetermined"
        same = [other for other in chunk.to_pylist() if other["record_id"] == row["record_id"]]
        shown = evaluate_row(logic, row, record_rows=same, project=project)
    except LogicError:
        return "undetermined"
    return "blank" if shown.is_true else "not_asked"
