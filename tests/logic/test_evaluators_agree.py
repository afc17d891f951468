"""The vectorised evaluator gives, on every row, what the row evaluator gives."""

from dataclasses import replace
from datetime import datetime
from random import Random

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.logic import (
    LogicOptions,
    StudyFrame,
    evaluate_row,
    evaluate_table,
    parse_logic,
)
from redcap_dagster.logic.functions import FUNCTIONS, Function, Parameter
from redcap_dagster.project import (
    Arm,
    Choice,
    DictionaryField,
    Event,
    FormEvent,
    Instrument,
    MissingDataCode,
    ProjectInfo,
    RedcapProject,
    RepeatRule,
)

Texts = st.SearchStrategy[str]

UNUSUAL = LogicOptions(
    numeric_text_equality=False,
    blank_orders_as_zero=True,
    mixed_date_order=True,
    negative_ties="up",
    directed_rounding="magnitude",
    mod_sign="divisor",
    sum_of_blanks="zero",
    stdev="population",
    find_is_case_sensitive=True,
)
AS_OF = datetime(2024, 3, 1, 14, 30, 5)  # noqa: DTZ001 - REDCap's dates have no time zone


def text_field(name: str, instrument: str, validation: str = "") -> DictionaryField:
    return DictionaryField(name, instrument, "text", validation=validation)


def instruments() -> tuple[Instrument, ...]:
    return (
        Instrument(
            "base",
            "Base form",
            (
                text_field("record_id", "base"),
                text_field("a", "base"),
                text_field("b", "base"),
                DictionaryField(
                    "race", "base", "checkbox", choices=(Choice("1", "A"), Choice("X-2", "B"))
                ),
                text_field("d1", "base", "date_ymd"),
            ),
        ),
        Instrument(
            "visit",
            "Visit",
            (text_field("w", "visit", "number_comma_decimal"), text_field("d2", "visit")),
        ),
        Instrument("meds", "Medication", (text_field("dose", "meds"),)),
    )


MISSING = (MissingDataCode("UNK", "Unknown"), MissingDataCode("-9", "Refused"))
LONGITUDINAL = RedcapProject(
    ProjectInfo(
        7, "generated", is_longitudinal=True, has_repeating=True, missing_data_codes=MISSING
    ),
    "14.0.0",
    instruments(),
    arms=(Arm(1, "Drug"), Arm(2, "Placebo")),
    events=(
        Event("start_arm_1", "Start", 1),
        Event("week_arm_1", "Week", 1),
        Event("extra_arm_1", "Extra", 1),
        Event("end_arm_1", "End", 1),
        Event("start_arm_2", "Start", 2),
    ),
    form_events=(
        FormEvent("start_arm_1", "base"),
        FormEvent("start_arm_1", "meds"),
        FormEvent("week_arm_1", "visit"),
        FormEvent("week_arm_1", "meds"),
        FormEvent("extra_arm_1", "base"),
        FormEvent("extra_arm_1", "visit"),
        FormEvent("end_arm_1", "base"),
        FormEvent("end_arm_1", "visit"),
        FormEvent("end_arm_1", "meds"),
        FormEvent("start_arm_2", "base"),
    ),
    repeats=(
        RepeatRule("start_arm_1", "meds"),
        RepeatRule("week_arm_1", "visit"),
        RepeatRule("extra_arm_1", None),
    ),
)
CLASSIC = RedcapProject(
    ProjectInfo(8, "generated", has_repeating=True, missing_data_codes=MISSING),
    "14.0.0",
    instruments(),
    repeats=(RepeatRule(None, "meds"),),
)

NUMBERS = [
    "0",
    "1",
    "2",
    "5",
    "05",
    "5.0",
    "-2.5",
    "0.1",
    " 7",
    "2.675",
    "-2.675",
    "1e3",
    "12345678901",
]
DATES = [
    "2024-02-29",
    "2000-02-29",
    "2023-12-31",
    "2024-03-01 08:30",
    "2024-03-01 8:30:15",
    "2024-02-30",
    "0000-01-01",
]
TEXTS = [
    "abc",
    "ABC ",
    "UNK",
    "-9",
    "9..9",
    "1,5",
    "08:15",
    "8:15:00",
    "élan",
    "today",
    "a'b",
    "1e999",
]
VALUES = ["", "", *NUMBERS, *DATES, *TEXTS]
FIELDS = [
    "record_id",
    "a",
    "b",
    "race___1",
    "race___x_2",
    "d1",
    "base_complete",
    "w",
    "d2",
    "visit_complete",
    "dose",
    "meds_complete",
]
NAMES = [
    "a",
    "b",
    "d1",
    "w",
    "d2",
    "dose",
    "race(1)",
    "race(X-2)",
    "race(UNK)",
    "record_id",
    "meds_complete",
]
EVENTS = [
    "start_arm_1",
    "week_arm_1",
    "extra_arm_1",
    "end_arm_1",
    "start_arm_2",
    "event-name",
    "first-event-name",
    "last-event-name",
    "previous-event-name",
    "next-event-name",
]
INSTANCES = [
    "1",
    "2",
    "3",
    "0",
    "first-instance",
    "last-instance",
    "previous-instance",
    "next-instance",
    "current-instance",
]
SMART = [
    "record-name",
    "event-name",
    "event-label",
    "event-number",
    "arm-number",
    "arm-label",
    "previous-event-name",
    "next-event-label",
    "first-event-name",
    "current-instance",
    "previous-instance",
    "next-instance",
    "first-instance",
    "last-instance",
    "new-instance",
    "instrument-name",
    "instrument-label",
    "project-id",
    "project-status",
    "redcap-version",
    "record-dag-name",
    "survey-date-completed:base:value",
    "survey-time-completed:meds:value",
]


def bracket(parts: tuple[str, ...]) -> str:
    return "".join(f"[{part}]" for part in parts)


def references(project: RedcapProject) -> Texts:
    names = st.sampled_from(NAMES)
    plain = names.map(lambda name: f"[{name}]")
    instance = st.tuples(names, st.sampled_from(INSTANCES)).map(bracket)
    smart = st.sampled_from(SMART).map(lambda name: f"[{name}]")
    if not project.events:
        return st.one_of(plain, plain, instance, smart)
    event = st.tuples(st.sampled_from(EVENTS), names).map(bracket)
    both = st.tuples(st.sampled_from(EVENTS), names, st.sampled_from(INSTANCES)).map(bracket)
    return st.one_of(plain, plain, instance, event, both, smart)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def literals() -> Texts:
    words = st.sampled_from([value for value in VALUES if value != "today"]).map(quoted)
    numbers = st.sampled_from(["0", "1", "2.5", "100", "0.1", "3"])
    return st.one_of(words, numbers, st.sampled_from(["true", "false"]))


def dates(project: RedcapProject) -> Texts:
    days = [value for value in DATES if value not in {"2024-02-30", "0000-01-01"}]
    return st.one_of(references(project), st.sampled_from([*days, "today", "now", ""]).map(quoted))


def calls(project: RedcapProject, inner: Texts) -> Texts:
    day = dates(project)
    unit = st.sampled_from(["'y'", "'M'", "'d'", "'h'", "'m'", "'s'"])
    tail = st.sampled_from(["", ", true", ", 'mdy'", ", 'dmy', true", ", false"])

    def of(template: str, *parts: Texts) -> Texts:
        return st.tuples(*parts).map(lambda made: template.format(*made))

    one = st.sampled_from(
        [
            "round",
            "roundup",
            "rounddown",
            "sqrt",
            "abs",
            "log",
            "exponential",
            "isnumber",
            "isinteger",
            "isblankormissingcode",
            "isblanknotmissingcode",
            "ismissingcode",
            "length",
            "trim",
            "upper",
            "lower",
        ]
    )
    two = st.sampled_from(
        [
            "round",
            "roundup",
            "rounddown",
            "log",
            "mod",
            "contains",
            "not_contain",
            "starts_with",
            "ends_with",
            "find",
            "left",
            "right",
            "concat",
            "concat_ws",
            "hasmissingcode",
        ]
    )
    three = st.sampled_from(["if", "if", "mid", "concat", "concat_ws", "replace_text"])
    many = st.sampled_from(["min", "max", "mean", "median", "sum", "stdev"])
    part = st.sampled_from(["year", "month", "day", "dayoftheweek"])
    return st.one_of(
        of("{}({})", one, inner),
        of("{}({}, {})", two, inner, inner),
        of("{}({}, {}, {})", three, inner, inner, inner),
        of("{}({}, {}, {}, {})", many, inner, inner, inner, inner),
        of("datediff({}, {}, {}{})", day, day, unit, tail),
        of("age_at_date({}, {})", day, day),
        of("{}({})", part, day),
    )


def expressions(project: RedcapProject) -> Texts:
    leaves = st.one_of(references(project), references(project), literals())

    def extend(inner: Texts) -> Texts:
        arithmetic = st.tuples(inner, st.sampled_from("+-*/"), inner).map(
            lambda made: "({} {} {})".format(*made)
        )
        power = inner.map(lambda made: f"({made})^2")
        sign = inner.map(lambda made: f"(-{made})")
        comparison = st.tuples(
            inner, st.sampled_from(["=", "<>", "<", ">", "<=", ">="]), inner
        ).map(lambda made: "({} {} {})".format(*made))
        joined = st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda made: "({} {} {})".format(*made)
        )
        negated = inner.map(lambda made: f"(not {made})")
        return st.one_of(
            arithmetic, power, sign, comparison, comparison, joined, negated, calls(project, inner)
        )

    return st.recursive(leaves, extend, max_leaves=8)


def study(project: RedcapProject, seed: int) -> list[dict[str, str]]:
    """Rows of a few records, as REDCap could export them, in any order.

    Cells come from a seed, not from hypothesis: one draw instead of hundreds.
    """
    chance = Random(seed)  # noqa: S311 - made-up cells, not secrets
    events = [item.unique_name for item in project.events] or [""]
    keys = {("1", events[0], "", "")}
    for record in ("1", "02", "a-3")[: chance.randint(1, 3)]:
        for event in events:
            keys |= {(record, event, "", "")} if chance.random() < 0.6 else set()
            for instrument in ("", "meds", "visit"):
                numbers = chance.sample(range(1, 5), chance.choice([0, 0, 1, 2]))
                keys |= {(record, event, instrument, str(number)) for number in numbers}
    rows = [row_at(place, chance) for place in sorted(keys)]
    chance.shuffle(rows)
    return rows


def row_at(place: tuple[str, str, str, str], chance: Random) -> dict[str, str]:
    stamps = ["", "[not completed]", "2024-01-02 03:04:05"]
    record, event, instrument, number = place
    ticks = {name: chance.choice(["", "0", "1"]) for name in FIELDS if "___" in name}
    return {
        **{name: chance.choice(VALUES) for name in FIELDS},
        **ticks,
        "record_id": record,
        "redcap_event_name": event,
        "redcap_repeat_instrument": instrument,
        "redcap_repeat_instance": number,
        "redcap_data_access_group": chance.choice(["", "north"]),
        "base_timestamp": chance.choice(stamps),
        "meds_timestamp": chance.choice(stamps),
    }


def options() -> st.SearchStrategy[LogicOptions]:
    return st.builds(
        LogicOptions,
        numeric_text_equality=st.booleans(),
        blank_orders_as_zero=st.booleans(),
        mixed_date_order=st.booleans(),
        negative_ties=st.sampled_from(["away_from_zero", "up"]),
        directed_rounding=st.sampled_from(["number_line", "magnitude"]),
        mod_sign=st.sampled_from(["dividend", "divisor"]),
        sum_of_blanks=st.sampled_from(["blank", "zero"]),
        stdev=st.sampled_from(["sample", "population"]),
        find_is_case_sensitive=st.booleans(),
    )


def assert_evaluators_agree(
    project: RedcapProject | None, expr: str, rows: list[dict[str, str]], chosen: LogicOptions
) -> None:
    expression = parse_logic(expr)
    records: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if "record_id" in row:
            records.setdefault(row["record_id"], []).append(row)
    by_row = [
        evaluate_row(
            expression,
            row,
            record_rows=records.get(row.get("record_id", ""), ()),
            project=project,
            instrument="base",
            as_of=AS_OF,
            options=chosen,
        )
        for row in rows
    ]
    frame = pd.DataFrame(rows)
    for table in (frame, pa.Table.from_pandas(frame)):
        found = evaluate_table(
            expression,
            StudyFrame(table, project),
            instrument="base",
            as_of=AS_OF,
            options=chosen,
        )
        assert found.is_true.tolist() == [value.is_true for value in by_row]
        assert found.text.tolist() == [value.text for value in by_row]
        numbers = [None if pd.isna(number) else number for number in found.number]
        assert numbers == [
            None if value.number is None else pytest.approx(value.number, rel=1e-9)
            for value in by_row
        ]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expr=expressions(LONGITUDINAL), seed=st.integers(0, 10**6), chosen=options())
def test_evaluators_agree_in_a_longitudinal_study(
    expr: str, seed: int, chosen: LogicOptions
) -> None:
    """Events, arms, repeating instruments and events, in any combination."""
    assert_evaluators_agree(LONGITUDINAL, expr, study(LONGITUDINAL, seed), chosen)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(expr=expressions(CLASSIC), seed=st.integers(0, 10**6), chosen=options())
def test_evaluators_agree_in_a_classic_study(expr: str, seed: int, chosen: LogicOptions) -> None:
    """One form repeats, there are no events."""
    assert_evaluators_agree(CLASSIC, expr, study(CLASSIC, seed), chosen)


def call_of(function: Function) -> str:
    fields = {Parameter.UNIT: "'h'", Parameter.SWITCH: "true"}
    names = ["[x]", "[y]", "[z]"]
    count = 3 if function.repeats_last else len(function.parameters)
    if function.name in {"datediff", "age_at_date"}:
        count -= 1
    made = [fields.get(function.parameter(place)) or names[place] for place in range(count)]
    return f"{function.name}({', '.join(made)})"


@pytest.mark.parametrize("chosen", [LogicOptions(), UNUSUAL], ids=["default", "unusual"])
@pytest.mark.parametrize("name", [*FUNCTIONS, "+", "-", "*", "/", "^", "=", "<", ">="])
def test_evaluators_agree_on_each_function_over_every_pair_of_values(
    name: str, chosen: LogicOptions
) -> None:
    """Two arguments take every pair of values; the third takes them by chance."""
    expr = call_of(FUNCTIONS[name]) if name in FUNCTIONS else f"[x] {name} [y]"
    chance = Random(name)  # noqa: S311 - made-up cells, not secrets
    values = ["", *NUMBERS[1:], *DATES[::2], *TEXTS[::2], "-0.5", "-1.25", "-7", "3"]
    rows = [{"x": x, "y": y, "z": chance.choice(values)} for x in values for y in values]
    chosen = replace(chosen, missing_codes=frozenset({"UNK", "-9"}))
    assert_evaluators_agree(None, expr, rows, chosen)
