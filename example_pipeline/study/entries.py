"""The instruments that do not repeat: draws the values of what is filled in at one visit."""

from collections.abc import Callable
from datetime import timedelta

from example_pipeline.study.calculations import Values
from example_pipeline.study.dictionary import checkbox_column
from example_pipeline.study.filling import Visit, leave_out, moment, remark, ticks

FEV1_GAIN = {
    1: {"baseline": 0.0, "month_1": 1.0, "month_3": 1.5, "month_6": 2.0, "month_12": 2.2},
    2: {"baseline": 0.0, "month_1": 4.0, "month_3": 7.0, "month_6": 9.0, "month_12": 10.5},
}
"""Arm → visit → mean gain of FEV1 in points of percent predicted: what the trend plot finds."""

CONTROL_GAIN = {"baseline": 0.0, "month_3": 0.25, "month_6": 0.45, "month_12": 0.6}
EOSINOPHIL_FACTOR = {"baseline": 1.0, "month_6": 0.3, "month_12": 0.22}
TIMESTAMP = "asthma_control_test_timestamp"
NOT_COMPLETED = "[not completed]"


def enrolment(visit: Visit) -> Values:
    """Consent, and either the enrolment or the reason against it."""
    dice, person = visit.dice, visit.person
    values = {"participant_id": person.record_id, "consent_date": person.consented.isoformat()}
    if dice.chance(0.95):
        values["consent_form"] = "consent.txt"
    values["eligible"] = "1" if person.enrolled else "0"
    if person.enrolled is None:
        values["screen_failure_reason"] = dice.choice(("REV", "SMK", "INF", "WDR"))
        return values
    values["enrolment_date"] = person.enrolled.isoformat()
    values["randomised_at"] = moment(dice, person.enrolled, seconds=True)
    return values


def demographics(visit: Visit) -> Values:
    """Who the participant is."""
    dice, person = visit.dice, visit.person
    mail_name = person.record_id.replace("-", "")
    values = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": f"{person.first_name.lower()}.{mail_name}@example.org",
        "phone": person.phone,
        "date_of_birth": person.born.isoformat(),
        "sex": person.sex,
        "ethnicity": dice.weighted({"1": 0.18, "0": 0.76, "9": 0.06}),
        "interpreter_needed": "1" if dice.chance(0.04) else "0",
        "height_cm": str(person.height_cm),
        "weight_kg": f"{min(max(person.weight_kg, 36), 240):.1f}",
    }
    race = dice.some({"AI": 0.03, "AS": 0.14, "BL": 0.17, "PI": 0.02, "WH": 0.66})
    if dice.chance(0.02):
        values[checkbox_column("race", dice.choice(("NI", "ASKU")))] = "1"
    else:
        values |= ticks("demographics", "race", race or {"99"})
    if dice.chance(0.08):
        del values["phone"]
    return values


def medical_history(visit: Visit) -> Values:
    """Asthma before the study. Some codes are words that readers take for blanks: NA, None."""
    dice, person = visit.dice, visit.person
    first_year = max(person.born.year, 1940)
    smoking = dice.weighted({"never": 0.64, "former": 0.28, "current": 0.08})
    values = {
        "diagnosis_year": str(dice.integer(first_year, person.consented.year)),
        "severity": dice.weighted({"1": 0.18, "2": 0.5, "3": 0.32}),
        "smoking_status": smoking,
        "prior_biologic": dice.weighted(
            {"None": 0.72, "NA": 0.08, "OMA": 0.1, "MEP": 0.06, "BEN": 0.04}
        ),
        "exacerbations_prior_year": str(round(dice.between(1.9, 1.4, 0, 9))),
        "hospitalised": "1" if dice.chance(0.22) else "0",
        "family_history": "1" if dice.chance(0.41) else "0",
    }
    if smoking != "never":
        values["pack_years"] = f"{dice.between(9, 6, 0.5, 40):.1f}".removesuffix(".0")
    if values["hospitalised"] == "1":
        values["hospital_admissions"] = str(dice.integer(1, 5))
    comorbidities = dice.some({"AR": 0.48, "CRS": 0.27, "GERD": 0.19, "ECZ": 0.16})
    values |= ticks("medical_history", "comorbidities", comorbidities or {"None"})
    remark(dice, values, "history_notes", 0.2)
    leave_out(dice, values, ("diagnosis_year", "family_history", "exacerbations_prior_year"))
    return values


def spirometry(visit: Visit) -> Values:
    """One measurement; the add-on arm gains more."""
    dice, person = visit.dice, visit.person
    percent = person.fev1_percent + dice.normal(FEV1_GAIN[person.arm.number][visit.stem], 4)
    fev1 = min(max(person.fev1_predicted * percent / 100, 0.4), 6)
    values = {
        "visit_date": visit.day.isoformat(),
        "spirometry_time": f"{dice.integer(8, 16):02d}:{dice.integer(0, 59):02d}",
        "fev1_l": f"{fev1:.2f}",
        "fvc_l": f"{min(fev1 / dice.between(0.68, 0.07, 0.45, 0.92), 8.5):.2f}",
        "fev1_predicted_l": f"{person.fev1_predicted:.2f}",
        "acceptable": "1" if dice.chance(0.95) else "0",
        "quality_grade": dice.weighted({"A": 0.55, "B": 0.27, "C": 0.12, "D": 0.04, "F": 0.02}),
        "bronchodilator_given": "1" if visit.stem in {"baseline", "month_12"} else "0",
    }
    if values["bronchodilator_given"] == "1":
        values["post_fev1_l"] = f"{fev1 * dice.number(1.02, 1.16):.2f}"
    remark(dice, values, "spirometry_notes", 0.05)
    leave_out(dice, values, ("fvc_l", "quality_grade", "spirometry_time"))
    return values


def asthma_control_test(visit: Visit) -> Values:
    """Five answers and a slider; online with a time stamp, on paper without, or left half-way."""
    dice = visit.dice
    gain = CONTROL_GAIN[visit.stem] if visit.is_biologic else 0.0
    level = dice.between(3.1 + gain, 0.8, 1, 5)
    values = {f"act_{number}": str(round(dice.between(level, 0.6, 1, 5))) for number in range(1, 6)}
    if dice.chance(0.9):
        values["control_today"] = str(round(dice.between(level * 20, 8, 0, 100)))
    how = dice.weighted({"online": 0.86, "paper": 0.11, "left": 0.03})
    if how == "online":
        values[TIMESTAMP] = moment(dice, visit.day, seconds=True)
    if how == "left":
        values.pop("control_today", None)
        values[TIMESTAMP] = NOT_COMPLETED
    else:
        remark(dice, values, "act_comment", 0.04)
    return values


def laboratory(visit: Visit) -> Values:
    """Blood results; two of them with a decimal comma."""
    dice = visit.dice
    factor = EOSINOPHIL_FACTOR[visit.stem] if visit.is_biologic else 1.0
    eosinophils = dice.between(0.42, 0.16, 0.02, 1.4) * factor
    values = {
        "sample_taken_at": moment(dice, visit.day),
        "fasting": "1" if dice.chance(0.4) else "0",
        "haemoglobin": f"{dice.between(13.9, 1.2, 9, 18):.1f}",
        "eosinophils": f"{eosinophils:.2f}".replace(".", ","),
        "total_ige": str(round(dice.between(280, 160, 3, 1400))),
        "crp": f"{dice.between(3.2, 2.4, 0.3, 30):.1f}".replace(".", ","),
        "sample_condition": dice.weighted({"OK": 0.93, "HEM": 0.04, "LIP": 0.02, "INS": 0.01}),
        "analysed_at": moment(dice, visit.day + timedelta(days=1), seconds=True),
    }
    leave_out(dice, values, ("haemoglobin", "eosinophils", "total_ige", "crp", "fasting"))
    return values


def study_completion(visit: Visit) -> Values:
    """The end of the study for someone who came to the last visit."""
    dice = visit.dice
    values = {
        "completed_study": "1",
        "last_contact": visit.day.isoformat(),
        "satisfaction": str(round(dice.between(7.5, 1.6, 0, 10))),
        "discharge_letter": "letter.txt",
    }
    remark(dice, values, "closing_notes", 0.1)
    return values


def withdrawal(visit: Visit) -> Values:
    """The end of the study for someone who left it: filled in on the day, without a visit."""
    values = {
        "completed_study": "0",
        "last_contact": visit.day.isoformat(),
        "withdrawal_reason": visit.dice.weighted({"LFU": 0.45, "WDC": 0.3, "AE": 0.15, "MOV": 0.1}),
    }
    remark(visit.dice, values, "closing_notes", 0.1)
    return values


FORMS: dict[str, Callable[[Visit], Values]] = {
    "enrolment": enrolment,
    "demographics": demographics,
    "medical_history": medical_history,
    "spirometry": spirometry,
    "asthma_control_test": asthma_control_test,
    "laboratory": laboratory,
    "study_completion": study_completion,
}
