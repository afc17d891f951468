"""The repeating instruments: what a participant takes, and what has happened to one."""

from collections.abc import Callable
from datetime import date, timedelta

from example_pipeline.study.calculations import Values
from example_pipeline.study.design import DATA_CUT
from example_pipeline.study.dice import Dice
from example_pipeline.study.filling import Visit, leave_out, moment

TERMS = (
    "Headache", "Nasopharyngitis", "Injection site reaction", "Cough", "Back pain", "Nausea",
    "Asthma exacerbation", "Sinusitis", "Fatigue", "Rash, arms", "Influenza-like illness",
)  # fmt: skip
MEDICATIONS = (
    ("Budesonide", "ICS", "ug", ("200", "400")),
    ("Fluticasone/salmeterol", "LABA", "ug", ("250", "500")),
    ("Salbutamol", "SABA", "puff", ("1", "2")),
    ("Montelukast", "LTRA", "mg", ("10",)),
    ("Prednisolone", "OCS", "mg", ("2.5", "5", "7.5")),
    ("Vitamin D", "OTH", "ug", ("12.5", "25")),
)


def medications(visit: Visit) -> list[Values]:
    """What is taken at baseline."""
    return [_medication(visit.dice, visit.day) for _ in range(visit.dice.integer(1, 3))]


def adverse_events(visit: Visit) -> list[Values]:
    """What has happened since the last visit."""
    weights = {"0": 0.72, "1": 0.2, "2": 0.06, "3": 0.02}
    if visit.is_biologic:
        weights = {"0": 0.66, "1": 0.25, "2": 0.07, "3": 0.02}
    count = int(visit.dice.weighted(weights))
    return [_adverse_event(visit.dice, visit.day) for _ in range(count)]


def _medication(dice: Dice, seen_on: date) -> Values:
    """One medication taken at baseline."""
    name, kind, unit, doses = dice.choice(MEDICATIONS)
    started = seen_on - timedelta(days=dice.integer(30, 1800))
    is_ongoing = dice.chance(0.85)
    values = {
        "med_name": name,
        "med_class": kind,
        "med_dose": dice.choice(doses),
        "med_dose_unit": unit,
        "med_start": started.isoformat(),
        "med_ongoing": "1" if is_ongoing else "0",
    }
    if not is_ongoing:
        values["med_stop"] = (started + timedelta(days=dice.integer(5, 29))).isoformat()
    # Someone who still takes it often does not know since when.
    if is_ongoing and dice.chance(0.06):
        values["med_start"] = "UNK"
    return values


def _adverse_event(dice: Dice, seen_on: date) -> Values:
    """One adverse event, told at a visit."""
    onset = seen_on - timedelta(days=dice.integer(1, 25))
    severity = dice.weighted({"1": 0.55, "2": 0.32, "3": 0.11, "4": 0.02})
    is_serious = severity == "4" or (severity == "3" and dice.chance(0.4))
    outcome = dice.weighted({"1": 0.74, "2": 0.16, "3": 0.08, "4": 0.02})
    values = {
        "ae_term": dice.choice(TERMS),
        "ae_severity": severity,
        "ae_serious": "1" if is_serious else "0",
        "ae_related": dice.weighted({"0": 0.6, "1": 0.3, "2": 0.1}),
        "ae_onset": moment(dice, onset),
        "ae_outcome": outcome,
    }
    if outcome in {"1", "4"}:
        resolved = onset + timedelta(days=dice.integer(1, 20))
        values["ae_resolved"] = min(resolved, DATA_CUT).isoformat()
    if is_serious:
        values["ae_reported_at"] = moment(dice, onset + timedelta(days=1), seconds=True)
        values["ae_narrative"] = (
            f"Began on {onset}.\nSeen in the emergency department, treated & sent home.\n"
            'Investigator: "recovered as expected" ✔'
        )
    leave_out(dice, values, ("ae_onset", "ae_related"))
    return values


REPEATING_FORMS: dict[str, Callable[[Visit], list[Values]]] = {
    "medications": medications,
    "adverse_events": adverse_events,
}
