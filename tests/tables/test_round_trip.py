"""Designs made up, filled, exported by an emulator, split, cast and joined: the export again."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.emulator.synthetic.shapes import Shape
from redcap_dagster.export import ExportSettings, StudyExport, read_design
from redcap_dagster.project import RedcapProject
from redcap_dagster.tables import TableOptions, gather_chunks, plan_tables, split_chunk

SUPER_TOKEN = "5" * 64
ODD_CODES = ["1", "0", "-1", "ABC", "9..9", "\u00e9", "01", "NA"]
MANY_CODES = [str(number) for number in range(300)]
LABELS = ["Yes", "No, never", "ja \u00e9\u6f22", "<b>5</b> > 4", "Yes"]
VALUES = {
    "": ["007", "1e5", "NA", "None", "TRUE", 'a, "b"\nc', "\u6f22\u5b57 \U0001f600", "1.50", "-"],
    "integer": ["0", "-7", "+8", "007", "9223372036854775807"],
    "number": ["1.50", "-.5", "10.000", "1e5"],
    "number_1dp_comma_decimal": ["1,5", "-0,0"],
    "date_mdy": ["2024-02-29", "0999-12-31"],
    "datetime_dmy": ["2023-09-02 01:03"],
    "datetime_seconds_ymd": ["2023-09-02 23:59:59"],
    "time": ["08:10", "23:59"],
    "time_hh_mm_ss": ["08:59:59"],
    "time_mm_ss": ["45:45"],
}
OPTIONS = [
    TableOptions(choices=choices, checkboxes=checkboxes, missing_reasons=True)
    for choices in ("codes", "labels", "both")
    for checkboxes in ("columns", "list")
]


@pytest.fixture(scope="module")
def redcap() -> Iterator[RedcapEmulator]:
    with RedcapEmulator(super_token=SUPER_TOKEN) as emulator:
        yield emulator


def export(client: RedcapClient, project: RedcapProject, cells: int) -> pa.Table:
    settings = ExportSettings(cells_per_request=cells)
    with StudyExport(client, project, settings=settings) as study:
        (piece,) = gather_chunks(study.chunks(), cells=10**9)
        assert study.settle()
    return piece


def check_every_layout(
    project: RedcapProject, chunk: pa.Table, account_for: Callable[..., None]
) -> None:
    """Each layout of tables holds the export, and by its keys gives it again."""
    for options in OPTIONS:
        specs = plan_tables(project, options=options)
        done = split_chunk(chunk, project, specs)
        account_for(project, chunk, done, options)
        assert done.rejected.num_rows == 0
        for spec in specs[:-1]:
            keys = done.tables[spec.name].select(spec.key_columns)
            assert keys.group_by(spec.key_columns).aggregate([]).num_rows == keys.num_rows
            assert sum(column.null_count for column in keys.columns) == 0


@pytest.mark.parametrize("shape", get_args(Shape))
def test_an_emulated_study_of_each_shape_is_its_tables_joined(
    shape: Shape, redcap: RedcapEmulator, account_for: Callable[..., None]
) -> None:
    columns = 300 if shape == "wide" else None
    token = redcap.add_project(synthetic_project(40, seed=5, shape=shape, columns=columns))
    with RedcapClient(redcap.url, token, requests_per_minute=6000) as client:
        project = read_design(client)
        check_every_layout(project, export(client, project, 2_000), account_for)


def test_a_study_of_five_thousand_columns_is_its_tables_joined(
    redcap: RedcapEmulator, account_for: Callable[..., None]
) -> None:
    token = redcap.add_project(synthetic_project(3, shape="wide", columns=5_000))
    with RedcapClient(redcap.url, token, requests_per_minute=6000) as client:
        project = read_design(client)
        chunk = export(client, project, 100_000)
    specs = plan_tables(project)
    done = split_chunk(chunk, project, specs)
    account_for(project, chunk, done)
    assert sum(len(spec.columns) for spec in specs) >= 5_000


Dictionary = list[dict[str, str]]


@st.composite
def dictionaries(draw: st.DrawFn) -> Dictionary:
    """A data dictionary of one to three instruments; the first holds the record id."""
    rows = [{"field_name": "record_id", "form_name": "form0", "field_type": "text"}]
    for form in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 4))
        rows += [draw(dictionary_rows(f"form{form}", f"f{form}_{n}")) for n in range(count)]
    return [{"field_label": "Label", **row} for row in rows]


@st.composite
def dictionary_rows(draw: st.DrawFn, form: str, name: str) -> dict[str, str]:
    kind = draw(st.sampled_from(["text", "notes", "radio", "dropdown", "checkbox", "yesno"]))
    row = {"field_name": name, "form_name": form, "field_type": kind}
    if kind in {"radio", "dropdown", "checkbox"}:
        some = st.lists(st.sampled_from(ODD_CODES), min_size=1, max_size=4, unique_by=column_ending)
        codes = draw(st.one_of(some, some, st.just(MANY_CODES)))
        choices = [f"{code}, {LABELS[place % len(LABELS)]}" for place, code in enumerate(codes)]
        row["select_choices_or_calculations"] = " | ".join(choices)
    if kind == "text":
        validation = draw(st.sampled_from(list(VALUES)))
        row["text_validation_type_or_show_slider_number"] = validation
    return row


def column_ending(code: str) -> str:
    """The end of a checkbox column, by which REDCap tells choices apart."""
    return re.sub("[^a-z0-9_]", "_", code.lower())


@st.composite
def set_ups(draw: st.DrawFn, dictionary: Dictionary) -> dict[str, Any]:
    """Events, their instruments, and what repeats."""
    forms = list(dict.fromkeys(row["form_name"] for row in dictionary))
    if draw(st.booleans()):
        repeating = draw(st.lists(st.sampled_from(forms), unique=True))
        return {"events": None, "repeats": [("", form) for form in repeating]}
    names = ["one_arm_1", "two_arm_1", "one_arm_2"][: draw(st.integers(1, 3))]
    some_forms = st.lists(st.sampled_from(forms), unique=True, min_size=1)
    events = {name: draw(some_forms) for name in names}
    repeats = []
    for event, used in events.items():
        if draw(st.booleans()):
            repeats.append((event, ""))
        else:
            single = draw(st.lists(st.sampled_from(used), unique=True))
            repeats += [(event, form) for form in single]
    return {"events": events, "repeats": repeats}


def fill(dictionary: Dictionary, set_up: Mapping[str, Any], chance: random.Random) -> Dictionary:
    """Rows of a flat export that a server would take: right places, right values."""
    forms = list(dict.fromkeys(row["form_name"] for row in dictionary))
    events = set_up["events"] or {"": forms}
    repeats = set(set_up["repeats"])
    rows = []
    for record in ("1", "02", "x 3"):
        arm = chance.choice([event[-1:] for event in events])
        for event, used in events.items():
            if event[-1:] != arm:
                continue
            key = {"record_id": record} | ({"redcap_event_name": event} if event else {})
            for form, instance, of in places(event, used, repeats):
                repeat = {"redcap_repeat_instrument": form, "redcap_repeat_instance": instance}
                rows.append(key | (repeat if repeats else {}) | fill_forms(dictionary, of, chance))
    return rows


def places(
    event: str, used: list[str], repeats: set[tuple[str, str]]
) -> Iterator[tuple[str, str, list[str]]]:
    """Repeat instrument, instance and forms of each row of a record in an event."""
    if (event, "") in repeats:
        yield from (("", instance, used) for instance in ("1", "3"))
        return
    single = [form for form in used if (event, form) not in repeats]
    if single:
        yield "", "", single
    for form in used:
        if (event, form) in repeats:
            yield from ((form, instance, [form]) for instance in ("1", "2"))


def fill_forms(dictionary: Dictionary, forms: list[str], chance: random.Random) -> dict[str, str]:
    cells = {}
    for row in dictionary:
        if row["form_name"] not in forms or row["field_name"] == "record_id":
            continue
        choices = row.get("select_choices_or_calculations", "")
        codes = [part.partition(",")[0].strip() for part in choices.split("|")]
        name, kind = row["field_name"], row["field_type"]
        if kind == "checkbox":
            for code in codes:
                cells[f"{name}___{column_ending(code)}"] = chance.choice("001")
        elif kind == "yesno":
            cells[name] = chance.choice(["0", "1", ""])
        elif kind in {"radio", "dropdown"}:
            cells[name] = chance.choice([*codes, ""])
        else:
            validation = row.get("text_validation_type_or_show_slider_number", "")
            cells[name] = chance.choice([*VALUES[validation], ""])
    return cells | {f"{form}_complete": chance.choice("012") for form in forms}


def build(redcap: RedcapEmulator, dictionary: Dictionary, set_up: Mapping[str, Any]) -> str:
    """Make the project on the server, as a person would through the API."""
    events = set_up["events"]
    with RedcapClient(redcap.url, SUPER_TOKEN, requests_per_minute=6000) as owner:
        facts = {"project_title": "Made up", "purpose": "0"}
        token = owner.create_project(facts | {"is_longitudinal": "1" if events else "0"})
    with RedcapClient(redcap.url, token, requests_per_minute=6000) as client:
        client.import_metadata(dictionary)
        if events:
            arms = sorted({event[-1] for event in events})
            client.import_arms(
                [{"arm_num": arm, "name": f"Arm {arm}"} for arm in arms], override=True
            )
            client.import_events(
                [{"event_name": event.split("_")[0], "arm_num": event[-1]} for event in events],
                override=True,
            )
            client.import_form_event_mappings(
                [
                    {"arm_num": event[-1], "unique_event_name": event, "form": form}
                    for event, used in events.items()
                    for form in used
                ]
            )
        if set_up["repeats"]:
            client.import_repeating_instruments_events(
                [
                    {"event_name": event, "form_name": form, "custom_form_label": ""}
                    for event, form in set_up["repeats"]
                ]
            )
    return token


def test_a_record_with_nothing_but_instances_has_no_row_of_its_own(redcap: RedcapEmulator) -> None:
    choices = " | ".join(f"{code}, Yes" for code in range(300))
    field = {"field_label": "Label", "field_type": "text"}
    dictionary = [
        {"field_name": "record_id", "form_name": "form0", **field},
        {"field_name": "note", "form_name": "form0", **field},
        {
            "field_name": "ticks",
            "form_name": "form1",
            **field,
            "field_type": "checkbox",
            "select_choices_or_calculations": choices,
        },
    ]
    events = {"one_arm_1": ["form0"], "one_arm_2": ["form1"]}
    token = build(redcap, dictionary, {"events": events, "repeats": [("one_arm_2", "form1")]})
    row = {"redcap_event_name": "one_arm_2", "redcap_repeat_instrument": "form1"}
    with RedcapClient(redcap.url, token, requests_per_minute=6000) as client:
        client.import_records(
            [{"record_id": "1", **row, "redcap_repeat_instance": n, "ticks___1": "1"} for n in "12"]
        )
        client.import_records(
            [{"record_id": "2", "redcap_event_name": "one_arm_1", "note": "here"}]
        )
        # So few cells that the forms are asked for apart: the first one's answer has a blank row.
        chunk = export(client, read_design(client), 500)
    assert chunk.column("redcap_repeat_instance").to_pylist() == ["1", "2", ""]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_study_filled_through_the_api_is_its_tables_joined(
    data: st.DataObject, redcap: RedcapEmulator, account_for: Callable[..., None]
) -> None:
    dictionary = data.draw(dictionaries())
    set_up = data.draw(set_ups(dictionary))
    rows = fill(dictionary, set_up, random.Random(data.draw(st.integers(0, 9))))  # noqa: S311
    token = build(redcap, dictionary, set_up)
    with RedcapClient(redcap.url, token, requests_per_minute=6000) as client:
        if rows:
            client.import_records(rows)
        project = read_design(client)
        chunk = export(client, project, 500)
    sent = [{name: text for name, text in row.items() if text} for row in rows]
    came = [{name: text for name, text in row.items() if text} for row in chunk.to_pylist()]
    for row in sent:
        assert any(row.items() <= other.items() for other in came)
    check_every_layout(project, chunk, account_for)
