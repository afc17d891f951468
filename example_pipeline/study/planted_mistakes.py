"""What is wrong in the study, on purpose: which checks must find how much, and where.

`rule` is the letter of REDCap's data quality rule. Rules C (wrong type), D (out of range) and G
(invalid choice) are what a `schema` check finds; B (required and blank), F (hidden, yet filled),
H (wrong calculation) and I (a missing data code where `@NOMISSING` forbids it) are for the checks
of those names. Rule I counts every missing data code, so its count here is of the forbidden only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from example_pipeline.study.calculations import Values
from example_pipeline.study.design import MISSING_DATA_CODES
from example_pipeline.study.dice import Dice
from example_pipeline.study.visits import Entry, Record, recalculate

Kind = Literal[
    "out_of_range",
    "invalid_choice",
    "text_in_number",
    "text_in_integer",
    "malformed_email",
    "impossible_date",
    "impossible_time",
    "missing_required",
    "hidden_value",
    "wrong_calculation",
    "forbidden_missing_code",
]


@dataclass(frozen=True, slots=True)
class PlantedMistake:
    """One kind of mistake in one field.

    Attributes:
        kind: What went wrong.
        rule: Letter of REDCap's data quality rule that finds it.
        instrument: Unique name of the instrument.
        field: Variable name.
        count: Rows of the instrument that hold the mistake: exactly so many.
        written: What stands in the field instead, in turn. "" is blank; not used for calculations,
            which are one too high.
        where: Field and value a row must hold to be chosen; ("", "") for any row.
    """

    kind: Kind
    rule: str
    instrument: str
    field: str
    count: int
    written: tuple[str, ...] = ()
    where: tuple[str, str] = ("", "")


PLANTED_MISTAKES = (
    PlantedMistake("out_of_range", "D", "demographics", "height_cm", 2, ("17", "18")),
    PlantedMistake("out_of_range", "D", "demographics", "date_of_birth", 1, ("1900-01-01",)),
    PlantedMistake("out_of_range", "D", "medical_history", "diagnosis_year", 1, ("2202",)),
    PlantedMistake("out_of_range", "D", "spirometry", "fev1_l", 3, ("99.00",)),
    PlantedMistake("out_of_range", "D", "laboratory", "haemoglobin", 4, ("141.0", "128.0")),
    PlantedMistake("out_of_range", "D", "laboratory", "eosinophils", 2, ("42,00",)),
    PlantedMistake("out_of_range", "D", "laboratory", "total_ige", 2, ("-1",)),
    PlantedMistake("out_of_range", "D", "study_completion", "satisfaction", 1, ("11",)),
    PlantedMistake("invalid_choice", "G", "medical_history", "severity", 3, ("9",)),
    PlantedMistake("invalid_choice", "G", "spirometry", "quality_grade", 2, ("E",)),
    PlantedMistake("invalid_choice", "G", "medications", "med_dose_unit", 2, ("IU",)),
    PlantedMistake("text_in_number", "C", "spirometry", "fvc_l", 3, ("not done",)),
    PlantedMistake("text_in_number", "C", "laboratory", "haemoglobin", 2, ("13.9 (repeat)",)),
    PlantedMistake("text_in_number", "C", "laboratory", "crp", 4, ("<0,5",)),
    PlantedMistake("text_in_number", "C", "medications", "med_dose", 2, ("200-400",)),
    PlantedMistake(
        "text_in_integer", "C", "medical_history", "exacerbations_prior_year", 3, ("2-3", "many")
    ),
    PlantedMistake("text_in_integer", "C", "medical_history", "hospital_admissions", 1, ("two",)),
    PlantedMistake("text_in_integer", "C", "laboratory", "total_ige", 2, (">2000",)),
    PlantedMistake(
        "malformed_email",
        "C",
        "demographics",
        "email",
        3,
        ("clover.example.org", "fennel@example", "sage @example.org"),
    ),
    PlantedMistake("impossible_date", "C", "medications", "med_start", 2, ("2024-02-30",)),
    PlantedMistake("impossible_date", "C", "adverse_events", "ae_resolved", 1, ("2024-13-01",)),
    PlantedMistake("impossible_date", "C", "adverse_events", "ae_onset", 1, ("2024-04-31 10:00",)),
    PlantedMistake("impossible_time", "C", "spirometry", "spirometry_time", 2, ("25:10",)),
    PlantedMistake("missing_required", "B", "demographics", "weight_kg", 1, ("",)),
    PlantedMistake("missing_required", "B", "spirometry", "acceptable", 3, ("",)),
    PlantedMistake(
        "hidden_value",
        "F",
        "medical_history",
        "pack_years",
        2,
        ("12",),
        ("smoking_status", "never"),
    ),
    PlantedMistake(
        "hidden_value",
        "F",
        "spirometry",
        "post_fev1_l",
        2,
        ("2.50",),
        ("bronchodilator_given", "0"),
    ),
    PlantedMistake(
        "forbidden_missing_code",
        "I",
        "adverse_events",
        "ae_serious",
        1,
        ("UNK",),
        ("ae_serious", "0"),
    ),
    PlantedMistake("wrong_calculation", "H", "demographics", "bmi", 1),
    PlantedMistake("wrong_calculation", "H", "asthma_control_test", "act_total", 2),
)


class TooFewRowsError(ValueError):
    """The study is too small to hold the planted mistakes."""


def plant_mistakes(seed: int, records: Sequence[Record]) -> None:
    """Write every planted mistake into the records, in place, each into a row of its own.

    Calculated fields are brought up to date before the wrong calculations are written, so that
    those are the only calculations that are wrong.

    Raises:
        TooFewRowsError: An instrument has fewer rows than mistakes to hold.
    """
    entries = [entry for record in records for entry in record.entries]
    used: set[int] = set()
    for mistake in PLANTED_MISTAKES:
        if mistake.kind != "wrong_calculation":
            for turn, entry in enumerate(_choose(seed, mistake, entries, used)):
                _write(entry.values, mistake.field, mistake.written[turn % len(mistake.written)])
    for record in records:
        recalculate(record)
    for mistake in PLANTED_MISTAKES:
        if mistake.kind == "wrong_calculation":
            for entry in _choose(seed, mistake, entries, used):
                whole, dot, decimals = entry.values[mistake.field].partition(".")
                entry.values[mistake.field] = f"{int(whole) + 1}{dot}{decimals}"


def _choose(
    seed: int, mistake: PlantedMistake, entries: Sequence[Entry], used: set[int]
) -> list[Entry]:
    """Rows for one mistake, none of them chosen before."""
    dice = Dice(seed, f"mistake {mistake.kind} {mistake.field}")
    candidates = [
        index
        for index, entry in enumerate(entries)
        if entry.form == mistake.instrument and index not in used and _suits(mistake, entry.values)
    ]
    if len(candidates) < mistake.count:
        raise TooFewRowsError(
            f"{mistake.instrument} has {len(candidates)} rows that could hold a mistake in "
            f"{mistake.field}, and {mistake.count} are planned: make more participants"
        )
    chosen = []
    for _ in range(mistake.count):
        index = candidates.pop(dice.integer(0, len(candidates) - 1))
        used.add(index)
        chosen.append(entries[index])
    return chosen


def _suits(mistake: PlantedMistake, values: Values) -> bool:
    """Whether a row holds an ordinary value to spoil (none, where a hidden one is planted)."""
    condition, wanted = mistake.where
    present = values.get(mistake.field, "")
    codes = {code for code, _ in MISSING_DATA_CODES}
    is_free = mistake.kind == "hidden_value" or (present != "" and present not in codes)
    return is_free and (not condition or values.get(condition, "") == wanted)


def _write(values: Values, field: str, value: str) -> None:
    if value:
        values[field] = value
    else:
        values.pop(field, None)
