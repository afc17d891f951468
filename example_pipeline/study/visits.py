"""Fills in the instruments of one made-up participant, as they would stand in REDCap.

Every value is text in REDCap's raw format. Fields hidden by branching logic stay blank, required
fields are filled, every value is within its bounds: what is wrong in the study is put there by
`planted_mistakes`, on purpose and counted.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from example_pipeline.study.calculations import Values, age, calculate
from example_pipeline.study.design import DATA_CUT, EVENTS, Event
from example_pipeline.study.dice import Dice, working_day
from example_pipeline.study.entries import FORMS, NOT_COMPLETED, TIMESTAMP, withdrawal
from example_pipeline.study.filling import Visit
from example_pipeline.study.people import Person
from example_pipeline.study.repeating_entries import REPEATING_FORMS

MISSED_VISIT_SHARE = 0.05


@dataclass(slots=True)
class Entry:
    """One saved instrument: base row, or one instance of a repeating instrument.

    Attributes:
        event: Unique event name.
        form: Unique name of the instrument.
        instance: Repeat number, None where the instrument does not repeat.
        values: Export column → raw value. Blank columns are left out.
        status: Form status: "0" incomplete, "1" unverified, "2" complete.
    """

    event: str
    form: str
    instance: int | None
    values: Values
    status: str


@dataclass(frozen=True, slots=True)
class Record:
    """Everything REDCap holds about one participant, instruments in the order of the visits."""

    person: Person
    entries: list[Entry]


def make_record(seed: int, person: Person) -> Record:
    """All visits of a participant up to the day the data were cut."""
    dice = Dice(seed, f"visits {person.record_id}")
    record = Record(person, [])
    for event in EVENTS:
        seen_on = _day_of_visit(dice, person, event)
        if seen_on is not None:
            _fill_event(dice, record, event, seen_on)
        elif event.stem == "month_12":
            _close_early(dice, record, event)
    recalculate(record)
    return record


def recalculate(record: Record) -> None:
    """Bring every calculated field of a record up to date, as saving its forms would."""
    for entry in record.entries:
        calculate(entry.form, entry.values)
    by_form = {entry.form: entry.values for entry in record.entries}
    who = by_form["demographics"]
    who.pop("age", None)
    years = age(who.get("date_of_birth", ""), by_form["enrolment"].get("consent_date", ""))
    if years:
        who["age"] = years


def _day_of_visit(dice: Dice, person: Person, event: Event) -> date | None:
    """The day a participant came, or None: not due yet, missed, or no longer in the study."""
    if event.stem == "screening":
        return person.consented
    jitter = round(dice.between(0, event.window / 2, -event.window, event.window))
    is_missed = event.stem != "baseline" and dice.chance(MISSED_VISIT_SHARE)
    day = working_day(person.consented + timedelta(days=event.day + jitter))
    has_left = person.leaves_after is not None and event.day > person.leaves_after
    if person.enrolled is None or is_missed or has_left or day > DATA_CUT:
        return None
    return day


def _fill_event(dice: Dice, record: Record, event: Event, seen_on: date) -> None:
    visit = Visit(dice, record.person, event.stem, seen_on)
    for form in event.forms:
        if form == "medical_history" and record.person.enrolled is None:
            continue
        if form in FORMS:
            record.entries.append(_entry(visit, event, form, None, FORMS[form](visit)))
        else:
            for instance, values in enumerate(REPEATING_FORMS[form](visit), start=1):
                record.entries.append(_entry(visit, event, form, instance, values))


def _close_early(dice: Dice, record: Record, event: Event) -> None:
    """Someone who has left gets a completion form, without a visit."""
    person = record.person
    if person.enrolled is None or person.leaves_after is None:
        return
    left_on = person.consented + timedelta(days=person.leaves_after + 7)
    if left_on <= DATA_CUT:
        visit = Visit(dice, person, event.stem, left_on)
        values = withdrawal(visit)
        record.entries.append(_entry(visit, event, "study_completion", None, values))


def _entry(visit: Visit, event: Event, form: str, instance: int | None, values: Values) -> Entry:
    status = visit.dice.weighted({"2": 0.9, "1": 0.07, "0": 0.03})
    if values.get(TIMESTAMP) == NOT_COMPLETED:
        status = "0"
    return Entry(event.unique_name(visit.person.arm), form, instance, values, status)
