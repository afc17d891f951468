"""Expressions of every kind, and the options to evaluate them by, for hypothesis."""

from hypothesis import strategies as st

from redcap_dagster.logic import LogicOptions
from redcap_dagster.project import RedcapProject
from tests.logic.generated_studies import DATES, VALUES

Texts = st.SearchStrategy[str]
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
