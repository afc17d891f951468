"""The sample study as REDCap would serve it: what was made up is what comes out, cell for cell."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator

import pyarrow as pa
import pytest

from example_pipeline.study.design import ARMS, EVENTS, SITES
from example_pipeline.study.generate import STUDY_FILE, make_records
from example_pipeline.study.planted_mistakes import PLANTED_MISTAKES
from example_pipeline.study.snapshot import SNAPSHOT_FILE
from redcap_dagster import RedcapProject
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.export import StudyExport, read_design
from redcap_dagster.quality import build_schema, validate_table
from redcap_dagster.tables import plan_tables, split_chunk, to_pandas

REPEATED = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")


@pytest.fixture(scope="module")
def client() -> Iterator[RedcapClient]:
    with RedcapEmulator() as redcap:
        token = redcap.add_project(STUDY_FILE)
        with RedcapClient(redcap.url, token) as opened:
            yield opened


@pytest.fixture(scope="module")
def project(client: RedcapClient) -> RedcapProject:
    return read_design(client)


def test_the_shipped_snapshot_is_the_design_of_the_shipped_study(project: RedcapProject) -> None:
    assert RedcapProject.from_snapshot(SNAPSHOT_FILE) == project


def test_the_design_arrives_whole(project: RedcapProject) -> None:
    assert [(arm.number, arm.name) for arm in project.arms] == [
        (arm.number, arm.name) for arm in ARMS
    ]
    assert [event.unique_name for event in project.events] == [
        event.unique_name(arm) for arm in ARMS for event in EVENTS
    ]
    assert {
        instrument.name: project.events_of(instrument.name) for instrument in project.instruments
    } == {
        instrument.name: tuple(
            event.unique_name(arm)
            for arm in ARMS
            for event in EVENTS
            if instrument.name in event.forms
        )
        for instrument in project.instruments
    }
    assert len(project.instruments) == 9
    assert [item.code for item in project.info.missing_data_codes] == ["NI", "UNK", "ASKU"]


def test_every_made_up_value_is_exported_as_it_was_made(client: RedcapClient) -> None:
    """Beside them stand only zeros: of forms never opened, and of their checkboxes."""
    body = client.export_records_csv(
        export_data_access_groups=True, export_survey_fields=True
    ).decode()
    served: dict[tuple[str, ...], dict[str, str]] = {}
    for row in csv.DictReader(io.StringIO(body)):
        key = (row.pop("participant_id"), *(row.pop(name) for name in REPEATED))
        served[key] = {name: value for name, value in row.items() if value}
    made: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for record in make_records():
        for entry in record.entries:
            repeat = (entry.form, str(entry.instance)) if entry.instance else ("", "")
            row = made[(record.person.record_id, entry.event, *repeat)]
            row |= entry.values
            row[f"{entry.form}_complete"] = entry.status
            row["redcap_data_access_group"] = record.person.site.group
            row.pop("participant_id", None)
    assert served.keys() == made.keys()
    assert {key: {name: served[key].get(name) for name in row} for key, row in made.items()} == made
    beside = Counter(
        value for key, row in served.items() for name, value in row.items() if name not in made[key]
    )
    assert set(beside) == {"0"}
    assert {row["redcap_data_access_group"] for row in made.values()} == {
        site.group for site in SITES
    }


def test_schema_and_rejected_values_find_exactly_the_planted_mistakes(
    client: RedcapClient, project: RedcapProject
) -> None:
    """What does not fit its type is rejected; wrong choices, ranges and mail break the schema."""
    specs = plan_tables(project)
    with StudyExport(client, project) as study:
        chunks = [split_chunk(chunk, project, specs) for chunk in study.chunks()]
    found = Counter(
        (row["instrument"], row["field"]) for chunk in chunks for row in chunk.rejected.to_pylist()
    )
    for spec in specs:
        table = pa.concat_tables(chunk.tables[spec.name] for chunk in chunks)
        instrument = spec.instrument or spec.name
        for failure in validate_table(build_schema(project, instrument), to_pandas(table)):
            found[instrument, failure.column] += failure.row_count
    planted: Counter[tuple[str, str | None]] = Counter()
    for mistake in PLANTED_MISTAKES:
        if mistake.rule in {"C", "D", "G"}:
            planted[mistake.instrument, mistake.field] += mistake.count
    assert found == planted
