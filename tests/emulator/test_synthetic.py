"""Made-up projects: the same for the same seed, as large as asked, valid, of every shape."""

import csv
import io
from typing import Any

import pytest
import requests

from redcap_dagster.emulator import EmulatorError, RedcapEmulator, synthetic_project
from redcap_dagster.emulator.synthetic import SHAPES, Shape


def exported(redcap: RedcapEmulator, token: str, **parameters: Any) -> list[dict[str, str]]:
    data = {"token": token, "content": "record", "format": "csv", **parameters}
    text = requests.post(redcap.url, data=data, timeout=30).content.decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_its_records_and_answers(redcap: RedcapEmulator, shape: Shape) -> None:
    token = redcap.add_project(synthetic_project(30, seed=3, shape=shape))
    rows = exported(redcap, token)
    ids = list(dict.fromkeys(row["record_id"] for row in rows))
    start = "S-" if shape == "everything" else ""
    assert ids == [f"{start}{number}" for number in range(1, 31)]
    for content in ("metadata", "exportFieldNames", "project", "user", "instrument"):
        answer = requests.post(
            redcap.url, data={"token": token, "content": content, "format": "json"}, timeout=30
        )
        assert answer.status_code == 200
        assert answer.json()


def test_a_seed_decides_everything(redcap: RedcapEmulator) -> None:
    first, same, other = (
        exported(redcap, redcap.add_project(synthetic_project(20, seed=seed, shape="everything")))
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


@pytest.mark.parametrize("columns", [7, 8, 16, 41, 200])
def test_an_export_has_the_columns_that_were_asked(redcap: RedcapEmulator, columns: int) -> None:
    token = redcap.add_project(synthetic_project(1, columns=columns))
    (row,) = exported(redcap, token)
    assert len(row) == columns


def test_totals_are_right(redcap: RedcapEmulator) -> None:
    for row in exported(redcap, redcap.add_project(synthetic_project(60))):
        parts = row["visit_count_2"], row["visit_score_3"]
        assert row["visit_total"] == (str(sum(map(int, parts))) if all(parts) else "")


def test_what_repeats_repeats_and_base_rows_come_first(redcap: RedcapEmulator) -> None:
    token = redcap.add_project(synthetic_project(4, shape="everything"))
    places = [
        (row["redcap_event_name"], row["redcap_repeat_instrument"], row["redcap_repeat_instance"])
        for row in exported(redcap, token, records="S-2")
    ]
    assert places == [
        ("enrolment_arm_1", "", ""),
        ("unscheduled_arm_1", "", ""),
        ("contact_arm_1", "", "1"),
        ("contact_arm_1", "", "2"),
        ("contact_arm_1", "", "3"),
    ]


def test_a_wrong_shape_or_width_is_named() -> None:
    with pytest.raises(EmulatorError, match=r"^There is no shape 'round'; there are classic, "):
        synthetic_project(1, shape="round")  # type: ignore[arg-type]
    with pytest.raises(EmulatorError, match=r"^A project of 3 instruments needs 7 columns\.$"):
        synthetic_project(1, columns=6)


def test_it_takes_no_second_file(redcap: RedcapEmulator) -> None:
    with pytest.raises(EmulatorError, match="give no second file"):
        redcap.add_project(synthetic_project(1), records="<ODM/>")


def test_a_repr_says_what_it_is() -> None:
    assert repr(synthetic_project(5, seed=2, shape="survey", columns=30)) == (
        "SyntheticProject(records=5, seed=2, shape='survey', columns=30)"
    )
