"""Two made-up projects, and rows of them as REDCap could export them."""

from random import Random

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
