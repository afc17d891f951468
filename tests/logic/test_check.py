"""An expression held against a study's design."""

import pytest

from redcap_dagster.errors import LogicError, LogicNameError, LogicTypeError, LogicUnsupportedError
from redcap_dagster.logic import check_logic, parse_logic
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

BASE = Instrument(
    "base",
    "Base",
    (
        DictionaryField("record_id", "base", "text"),
        DictionaryField("age", "base", "text", validation="integer"),
        DictionaryField("born", "base", "text", validation="date_mdy"),
        DictionaryField("note", "base", "notes"),
        DictionaryField("race", "base", "checkbox", choices=(Choice("1", "A"), Choice("10", "B"))),
        DictionaryField("scan", "base", "file"),
        DictionaryField("intro", "base", "descriptive"),
        DictionaryField("clock", "base", "text", validation="time"),
    ),
)
MEDS = Instrument("meds", "Medication", (DictionaryField("dose", "meds", "text"),))
CLASSIC = RedcapProject(
    ProjectInfo(1, "study", missing_data_codes=(MissingDataCode("UNK", "Unknown"),)),
    "14.0.0",
    (BASE, MEDS),
    repeats=(RepeatRule(None, "meds"),),
)
LONGITUDINAL = RedcapProject(
    ProjectInfo(1, "study", is_longitudinal=True),
    "14.0.0",
    (BASE, MEDS),
    arms=(Arm(1, "Drug"),),
    events=(Event("start_arm_1", "Start", 1), Event("end_arm_1", "End", 1)),
    form_events=(FormEvent("start_arm_1", "base"), FormEvent("end_arm_1", "meds")),
)


@pytest.mark.parametrize(
    "text",
    [
        "[age] > 18 and [race(10)]='1' and [race(UNK)]='0' and [base_complete]='2'",
        "[dose][last-instance] > [dose][1]",
        "[scan] <> ''",
        "datediff([born], 'today', 'y') > 18 and [born] >= '2000-01-01' and [born] <> 'UNK'",
        "isnumber([born]) or isblankormissingcode([born])",
        "[record-name] = 'x' and [current-instance] = 1",
    ],
)
def test_what_fits_the_design_has_no_findings(text: str) -> None:
    assert check_logic(parse_logic(text), CLASSIC) == ()


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("[weight] > 1", LogicNameError, "no field weight"),
        ("[race(2)] = 1", LogicNameError, "race has no choice 2"),
        ("[race(11)] = 1", LogicNameError, "Did you mean 1"),
        ("[race] = 1", LogicTypeError, "race is a checkbox"),
        ("[age(1)] = 1", LogicTypeError, "age is no checkbox"),
        ("[intro] = ''", LogicTypeError, "descriptive"),
        ("[age][2] = 1", LogicTypeError, "age does not repeat"),
        ("[start_arm_1][age] = 1", LogicNameError, "no event start_arm_1"),
        ("[first-event-name][age] = 1", LogicNameError, "not longitudinal"),
        ("[event-name] = ''", LogicNameError, "not longitudinal"),
        ("[scan] = 'x.pdf'", LogicTypeError, "scan holds a file"),
        ("upper([scan]) = ''", LogicTypeError, "scan holds a file"),
        ("[born] - 1", LogicUnsupportedError, "use datediff"),
        ("max([born], 1)", LogicUnsupportedError, "use datediff"),
        ("[born] > '12/31/2000'", LogicTypeError, "year first"),
        ("year([age])", LogicTypeError, "year takes dates"),
        ("datediff([clock], [clock], 'm')", LogicTypeError, "datediff takes dates"),
        ("left([born], 4)", LogicUnsupportedError, "day or month first"),
        ("[age] + 'x'", LogicTypeError, "no number"),
        ("[instrument-name] = 'base'", LogicUnsupportedError, "needs instrument="),
        ("[survey-date-completed:visit:value] = ''", LogicNameError, "no instrument visit"),
        ("[survey-date-completed] = ''", LogicUnsupportedError, "needs its instrument and :value"),
        ("[survey-time-completed][1] = ''", LogicUnsupportedError, "needs its instrument"),
    ],
)
def test_what_does_not_fit_the_design_is_named(
    text: str, kind: type[LogicError], words: str
) -> None:
    errors = check_logic(parse_logic(text), CLASSIC)
    assert {type(error) for error in errors} == {kind}
    assert words in str(errors[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[week_arm_1][age] = 1", "no event week_arm_1"),
        ("[end_arm_1][age] = 1", "base is not used in the event end_arm_1"),
    ],
)
def test_events_are_those_of_the_study_and_hold_the_instrument(text: str, words: str) -> None:
    (error,) = check_logic(parse_logic(text), LONGITUDINAL)
    assert isinstance(error, LogicNameError)
    assert words in str(error)


def test_all_findings_are_reported_in_the_order_of_the_text() -> None:
    text = "[b] = 1 and foo([a]) = 2 and [age] % 2 = 0"
    errors = check_logic(parse_logic(text), CLASSIC)
    assert [(type(error), error.start) for error in errors] == [
        (LogicNameError, 0),
        (LogicNameError, 12),
        (LogicNameError, 16),
        (LogicUnsupportedError, 29),
    ]


def test_the_instrument_of_the_logic_can_be_given() -> None:
    assert check_logic(parse_logic("[instrument-name]='x'"), CLASSIC, instrument="base") == ()
