"""The synthetic study: the same from a seed, and wrong nowhere but where it says."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from example_pipeline.study.design import MISSING_DATA_CODES
from example_pipeline.study.dictionary import Field, checkbox_column, read_dictionary
from example_pipeline.study.generate import STUDY_FILE, main, make_records, make_study
from example_pipeline.study.planted_mistakes import PLANTED_MISTAKES, TooFewRowsError
from example_pipeline.study.visits import Entry, Record

CODES = {code for code, _ in MISSING_DATA_CODES}
HAVE_CHOICES = {"radio", "dropdown", "yesno", "truefalse"}
SHOWN: dict[str, Callable[[dict[str, str]], bool]] = {
    "screen_failure_reason": lambda row: row.get("eligible") == "0",
    "enrolment_date": lambda row: row.get("eligible") == "1",
    "randomised_at": lambda row: row.get("eligible") == "1",
    "pack_years": lambda row: row.get("smoking_status") in {"former", "current"},
    "hospital_admissions": lambda row: row.get("hospitalised") == "1",
    "post_fev1_l": lambda row: row.get("bronchodilator_given") == "1",
    "med_stop": lambda row: row.get("med_ongoing") == "0",
    "ae_resolved": lambda row: row.get("ae_outcome") in {"1", "4"},
    "ae_reported_at": lambda row: row.get("ae_serious") == "1",
    "ae_narrative": lambda row: row.get("ae_serious") == "1",
    "withdrawal_reason": lambda row: row.get("completed_study") == "0",
}
"""The branching logic of the dictionary, written again by hand."""


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return make_records()


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def _parse(field: Field, text: str) -> float | date | str | None:
    """A value as something that can be compared, None when it is not what the field asks for."""
    validation = field.validation
    if field.kind == "slider" or validation == "integer":
        return int(text) if re.fullmatch(r"-?\d+", text) else None
    if validation.endswith("_comma_decimal"):
        return _number(text.replace(",", ".")) if "." not in text else None
    if validation.startswith("number"):
        return _number(text)
    formats = {"date_": "%Y-%m-%d", "datetime_": "%Y-%m-%d %H:%M", "time": "%H:%M"}
    formats["datetime_seconds_"] = "%Y-%m-%d %H:%M:%S"
    for start in sorted(formats, key=len, reverse=True):
        if validation.startswith(start):
            try:
                return datetime.strptime(text, formats[start])  # noqa: DTZ007 - REDCap has no zones
            except ValueError:
                return None
    if validation == "email":
        return text if re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", text) else None
    if validation == "phone":
        return text if re.fullmatch(r"\(\d{3}\) 555-01\d\d", text) else None
    return text


def _is_outside(field: Field, value: float | date | str) -> bool:
    """Whether a value is beyond a bound that is written as a value."""
    low, high = (
        _parse(field, bound) if re.match(r"-?\d", bound) else None
        for bound in (field.minimum, field.maximum)
    )
    if field.kind == "slider" and low is None:
        low, high = 0, 100
    return bool((low is not None and value < low) or (high is not None and value > high))


def _findings_of_value(field: Field, text: str) -> Iterator[str]:
    if text in CODES:
        if "@NOMISSING" in field.annotation:
            yield "I"
    elif field.kind in HAVE_CHOICES:
        if text not in {code for code, _ in field.choices}:
            yield "G"
    elif field.kind in {"text", "slider"}:
        value = _parse(field, text)
        if value is None:
            yield "C"
        elif _is_outside(field, value):
            yield "D"


def _findings(field: Field, row: dict[str, str]) -> Iterator[str]:
    text = row.get(field.name, "")
    is_shown = SHOWN.get(field.name, lambda _: True)(row)
    if text:
        yield from _findings_of_value(field, text)
    if text and not is_shown:
        yield "F"
    if not text and is_shown and field.is_required:
        yield "B"


def _half_up(value: float, places: int) -> float:
    factor: int = 10**places
    return int(value * factor + 0.5 + 1e-9) / factor


def _recalculated(entry: Entry) -> Iterator[tuple[str, float | None]]:
    numbers = {name: _number(text) for name, text in entry.values.items()}

    def value(formula: Callable[..., float], *fields: str) -> float | None:
        found = [numbers.get(field) for field in fields]
        return None if None in found else formula(*found)

    if entry.form == "demographics":
        bmi = value(lambda kg, cm: _half_up(kg / (cm / 100) ** 2, 1), "weight_kg", "height_cm")
        yield "bmi", bmi
    if entry.form == "spirometry":
        ratio = value(lambda a, b: _half_up(a / b, 2), "fev1_l", "fvc_l")
        yield "fev1_fvc_ratio", ratio
        percent = value(lambda a, b: _half_up(a / b * 100, 1), "fev1_l", "fev1_predicted_l")
        yield "fev1_percent_predicted", percent
    if entry.form == "asthma_control_test":
        answers = [f"act_{number}" for number in range(1, 6)]
        yield "act_total", value(lambda *scores: sum(scores), *answers)


def test_the_shipped_file_is_the_one_that_its_seed_makes(tmp_path: Path) -> None:
    out = tmp_path / "study.xml"
    main(["--out", str(out)])
    assert out.read_bytes() == STUDY_FILE.read_bytes()


def test_another_seed_makes_another_study() -> None:
    assert make_study(8, 80) == make_study(8, 80)
    assert make_study(8, 80) != make_study(9, 80)


def test_too_few_participants_for_the_planted_mistakes_are_refused() -> None:
    with pytest.raises(TooFewRowsError, match="make more participants"):
        make_study(7, 3)


def test_the_file_is_well_formed_xml() -> None:
    root = ET.parse(STUDY_FILE).getroot()  # noqa: S314 - our own file
    assert [child.tag.rpartition("}")[2] for child in root] == ["Study", "ClinicalData"]


def test_the_dictionary_has_nine_instruments_and_every_type_of_field() -> None:
    forms = read_dictionary()
    assert len(forms) == 9
    assert {field.kind for form in forms for field in form.fields} == {
        "text",
        "notes",
        "calc",
        "dropdown",
        "radio",
        "checkbox",
        "yesno",
        "truefalse",
        "slider",
        "file",
        "descriptive",
    }
    hidden = {field.name for form in forms for field in form.fields if field.branching}
    assert hidden == set(SHOWN)


def test_record_ids_are_unique_and_begin_with_a_zero(records: list[Record]) -> None:
    ids = [record.person.record_id for record in records]
    assert len(set(ids)) == len(ids) == 400
    assert all(re.fullmatch(r"0[123]-\d{3}", record_id) for record_id in ids)
    assert ids == sorted(ids)


def test_every_value_stands_in_a_column_of_its_instrument(records: list[Record]) -> None:
    columns = {form.name: {f"{form.name}_timestamp"} for form in read_dictionary()}
    for form in read_dictionary():
        for field in form.fields:
            codes = [*(code for code, _ in field.choices), *CODES]
            is_checkbox = field.kind == "checkbox"
            names = [checkbox_column(field.name, code) for code in codes] if is_checkbox else []
            columns[form.name] |= set(names) or {field.name}
    strangers = [
        (entry.form, column)
        for record in records
        for entry in record.entries
        for column in entry.values
        if column not in columns[entry.form]
    ]
    assert strangers == []


def test_the_planted_mistakes_are_there_and_nothing_else_is_wrong(records: list[Record]) -> None:
    """Every value against the dictionary, by rules that share no code with the generator's."""
    forms = {form.name: form for form in read_dictionary()}
    found = Counter(
        (rule, entry.form, field.name)
        for record in records
        for entry in record.entries
        for field in forms[entry.form].fields
        for rule in _findings(field, entry.values)
    )
    planted: Counter[tuple[str, str, str]] = Counter()
    for mistake in PLANTED_MISTAKES:
        if mistake.kind != "wrong_calculation":
            planted[mistake.rule, mistake.instrument, mistake.field] += mistake.count
    assert found == planted


def test_only_the_planted_calculations_are_wrong(records: list[Record]) -> None:
    found = Counter(
        (entry.form, field)
        for record in records
        for entry in record.entries
        for field, expected in _recalculated(entry)
        if _number(entry.values.get(field, "")) != expected
    )
    assert found == {
        (mistake.instrument, mistake.field): mistake.count
        for mistake in PLANTED_MISTAKES
        if mistake.kind == "wrong_calculation"
    }


def test_missing_data_codes_stand_in_fields_of_many_types(records: list[Record]) -> None:
    kinds = {
        field.name: field.validation or field.kind for f in read_dictionary() for field in f.fields
    }
    coded = {
        kinds[column]
        for record in records
        for entry in record.entries
        for column, value in entry.values.items()
        if value in CODES
    }
    assert coded >= {"integer", "truefalse", "number_1dp", "time", "datetime_ymd", "date_mdy"}


def test_nobody_in_the_study_can_be_reached(records: list[Record]) -> None:
    """Mail goes to example.org; a few addresses are planted as malformed and lead nowhere."""
    mails = [
        entry.values["email"]
        for record in records
        for entry in record.entries
        if entry.form == "demographics"
    ]
    malformed = {text for m in PLANTED_MISTAKES if m.field == "email" for text in m.written}
    assert [
        mail for mail in mails if not mail.endswith("@example.org") and mail not in malformed
    ] == []
