"""A study of a dozen made-up participants, published by hand: small enough to count on fingers."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

TEXT, NUMBER, DAY = pa.string(), pa.int64(), pa.date32()
WHO = pa.schema(
    [
        ("participant_id", TEXT),
        ("redcap_event_name", TEXT),
        ("redcap_event_label", TEXT),
        ("redcap_arm_number", NUMBER),
        ("redcap_arm_name", TEXT),
        ("redcap_data_access_group", TEXT),
    ]
)
SCHEMAS = {
    "enrolment": [("consent_date", DAY), ("enrolment_date", DAY)],
    "spirometry": [("visit_date", DAY), ("fev1_percent_predicted", pa.float64())],
    "adverse_events": [("ae_severity", TEXT), ("ae_serious", pa.bool_())],
}
ARM_NAMES = {1: "Usual care", 2: "Add-on biologic"}
EVENT_LABELS = {"screening": "Screening", "baseline": "Baseline", "month_1": "Month 1"}

Row = dict[str, Any]


def _row(record_id: str, event: str, arm: int = 1, **values: object) -> Row:
    return {
        "participant_id": record_id,
        "redcap_event_name": f"{event}_arm_{arm}",
        "redcap_event_label": EVENT_LABELS[event],
        "redcap_arm_number": arm,
        "redcap_arm_name": ARM_NAMES[arm],
        "redcap_data_access_group": f"site_{record_id[1]}",
        **values,
    }


@pytest.fixture
def row() -> Callable[..., Row]:
    """Makes a row of an instrument table."""
    return _row


def _publish(shelf: Path, folder: str, tables: Mapping[str, list[Row]]) -> Path:
    target = shelf / folder
    target.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        schema = pa.schema([*WHO, *SCHEMAS[name]])
        pq.write_table(pa.Table.from_pylist(rows, schema), target / f"{name}.parquet")
    return shelf


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows where the published table is looked for, and names the shelf."""

    def write(folder: str = "current", **tables: list[Row]) -> Path:
        return _publish(tmp_path / "shelf", folder, tables)

    return write


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve participants: ten enrolled in two arms, one screening failure, one just enrolled."""
    consent, enrolled = date(2024, 1, 8), date(2024, 1, 10)
    ids = [f"0{1 + number % 2}-{number:03d}" for number in range(10)]
    arms = {record_id: 1 if number < 6 else 2 for number, record_id in enumerate(ids)}
    start = {"consent_date": consent, "enrolment_date": enrolled}
    enrolment = [_row(record_id, "screening", arm, **start) for record_id, arm in arms.items()]
    enrolment.append(_row("01-010", "screening", consent_date=consent, enrolment_date=None))
    late = {"consent_date": date(2024, 3, 18), "enrolment_date": date(2024, 3, 20)}
    enrolment.append(_row("01-011", "screening", 2, **late))
    spirometry = [
        _row(record_id, "baseline", arm, visit_date=date(2024, 1, 22), fev1_percent_predicted=60.0)
        for record_id, arm in arms.items()
    ]
    spirometry += [
        _row(
            record_id,
            "month_1",
            visit_date=date(2024, 2, 21),
            fev1_percent_predicted=value,
        )
        for record_id, value in zip(ids[:6], (60.0, 62.0, 64.0, 66.0, 68.0, 2750.0), strict=True)
    ]
    # The last day on which anybody was seen, and a form that was opened and not filled in.
    spirometry.append(
        _row("01-011", "baseline", 2, visit_date=date(2024, 3, 29), fev1_percent_predicted=None)
    )
    spirometry.append(_row(ids[6], "month_1", 2, visit_date=None, fev1_percent_predicted=None))
    adverse_events = [
        _row(record_id, "month_1", ae_severity="1", ae_serious=False) for record_id in ids[:5]
    ]
    adverse_events.append(_row(ids[0], "month_1", ae_severity="1", ae_serious=None))
    adverse_events.append(_row(ids[1], "month_1", ae_severity="3", ae_serious=True))
    return _publish(
        tmp_path_factory.mktemp("study"),
        "current",
        {"enrolment": enrolment, "spirometry": spirometry, "adverse_events": adverse_events},
    )
