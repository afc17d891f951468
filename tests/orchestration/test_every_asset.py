"""Every table of a study is an asset, asked for by itself, and refused by itself."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import dagster as dg
import pytest

from redcap_dagster import (
    DagsterRedcapTranslator,
    RedcapTableProps,
    build_redcap_assets,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator.synthetic import synthetic_project
from redcap_dagster.errors import ConfigError, RequestRejectedError
from redcap_dagster.extract import read_small_table, verify_study
from redcap_dagster.orchestration.kinds import TableKind
from redcap_dagster.project import Instrument
from redcap_dagster.tables import current_extract, read_published, table_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.orchestration.conftest import Study

DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_offset=1)

# What REDCap is asked for each small table, beside the design that every run reads first.
OWN_REQUESTS = {
    "metadata": ["metadata"],
    "instruments": ["instrument"],
    "arms": ["arm"],
    "events": ["event"],
    "form_event_mappings": ["formEventMapping"],
    "repeating_instruments_events": ["repeatingFormsEvents"],
    "project_info": ["project"],
    "users": ["user"],
    "user_form_rights": ["user"],
    "user_roles": ["userRoleMapping", "userRole"],
    "data_access_groups": ["dag", "userDagMapping"],
}


@pytest.fixture
def client(study: "Study") -> RedcapClient:
    return RedcapClient(study.emulator.url, study.token, retries=0)


def observations(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Metadata of the observations of a run, by asset."""
    return {
        event.asset_observation_data.asset_observation.asset_key.path[-1]: {
            name: value.value
            for name, value in event.asset_observation_data.asset_observation.metadata.items()
        }
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION
    }


@pytest.mark.parametrize("name", OWN_REQUESTS)
def test_a_small_table_asks_for_itself_alone(study: "Study", name: str) -> None:
    study.materialize(selection=["project_info"])
    design = [request.content for request in study.emulator.requests][:-1]
    study.emulator.requests.clear()
    assert study.materialize(selection=[name]).success
    asked = [request.content for request in study.emulator.requests]
    # The design is asked for side by side.
    assert sorted(asked[: len(design)]) == sorted(design)
    assert asked[len(design) :] == OWN_REQUESTS[name]


def test_the_small_tables_hold_what_redcap_sends(study: "Study", client: RedcapClient) -> None:
    study.materialize(selection=list(OWN_REQUESTS))
    assert study.table("instruments") == client.export_instruments()
    assert study.table("arms") == [
        {"arm_num": str(row["arm_num"]), "name": row["name"]} for row in client.export_arms()
    ]
    assert [row["unique_event_name"] for row in study.table("events")] == [
        event.unique_name for event in study.project.events
    ]
    assert len(study.table("repeating_instruments_events")) == len(study.project.repeats)
    (info,) = study.table("project_info")
    assert info["project_id"] == str(study.project.info.project_id)
    assert [(row["username"], row["form_name"]) for row in study.table("user_form_rights")] == [
        (user["username"], form)
        for user in client.export_users()
        for form in study.project.instruments_by_name
    ]
    assert {row["export_right"] for row in study.table("user_form_rights")} == {"1"}


def test_groups_and_roles_say_who_is_in_them(study: "Study", client: RedcapClient) -> None:
    group = client.export_data_access_groups()[0]["unique_group_name"]
    study.emulator.add_user(study.token, "bo", data_access_group=group)
    study.emulator.add_user(study.token, "al", data_access_group=group)
    study.materialize(selection=["data_access_groups", "user_roles"])
    users = {
        row["unique_group_name"]: row["usernames"] for row in study.table("data_access_groups")
    }
    assert users.pop(group) in {'["bo", "al"]', '["al", "bo"]'}
    assert set(users.values()) <= {"[]"}
    assert len(study.table("user_roles")) == len(client.export_user_roles())


def test_what_a_classic_project_cannot_have_is_an_empty_table_with_its_columns(
    serve: "Callable[..., Study]",
) -> None:
    study = serve((Path(__file__).parent / "classic.xml").read_text(encoding="utf-8"))
    empty = {
        "arms": ["arm_num", "name"],
        "events": [
            "event_name",
            "arm_num",
            "unique_event_name",
            "custom_event_label",
            "event_id",
        ],
        "form_event_mappings": ["arm_num", "unique_event_name", "form"],
        "repeating_instruments_events": ["event_name", "form_name", "custom_form_label"],
        "user_roles": ["unique_role_name", "role_label", "usernames"],
        "data_access_groups": [
            "data_access_group_name",
            "unique_group_name",
            "data_access_group_id",
            "usernames",
        ],
    }
    assert study.materialize(selection=list(empty)).success
    tables = {name: read_published(study.out_dir, name) for name in empty}
    assert {name: table.column_names for name, table in tables.items()} == empty
    assert {table.num_rows for table in tables.values()} == {0}


def test_survey_participants_are_those_of_every_survey_and_event_without_links(
    study: "Study", client: RedcapClient
) -> None:
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, include=["survey_participants"]
    )
    assert study.materialize(assets=assets).success
    survey = "asthma_control_test"
    events = study.project.events_of(survey)
    asked = sum(
        len(events) if form == survey else bool(study.project.events_of(form))
        for form in study.project.instruments_by_name
    )
    assert study.asked("participantList") == asked
    sent = [
        {"form_name": survey, "unique_event_name": event, **row}
        for event in events
        for row in client.export_survey_participants(survey, event)
    ]
    links = {"survey_access_code", "survey_link"}
    assert sent
    assert study.table("survey_participants") == [
        {name: str(value) for name, value in row.items() if name not in links} for row in sent
    ]


def test_a_project_without_surveys_has_no_participants_and_is_not_asked(
    serve: "Callable[..., Study]",
) -> None:
    study = serve((Path(__file__).parent / "classic.xml").read_text(encoding="utf-8"))
    kind = "survey_participants"
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, include=[kind])
    assert study.materialize(assets=assets).success
    table = read_published(study.out_dir, kind)
    assert (table.num_rows, table.column_names[:3]) == (
        0,
        ["form_name", "unique_event_name", "email"],
    )
    assert study.asked("participantList") == 0


def test_participants_that_a_token_may_not_see_are_skipped(
    study: "Study", monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = {"manage_survey_participants": 0}
    token = study.emulator.add_user(study.token, "reader", rights=rights)
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, include=["survey_participants", "arms"]
    )
    result = study.materialize(assets=assets)
    assert result.success
    assert set(observations(result)) == {"survey_participants"}
    assert set(current_extract(study.out_dir).tables) == {"arms"}


def test_a_refusal_for_another_reason_is_no_answer(serve: "Callable[..., Study]") -> None:
    study = serve(synthetic_project(records=2, shape="survey"))
    # Its instruments are unknown to the server, which is not the same as no surveys.
    renamed = replace(study.project, instruments=(Instrument("gone", "Gone", ()),))
    with (
        RedcapClient(study.emulator.url, study.token, retries=0) as client,
        pytest.raises(RequestRejectedError, match="does not exist"),
    ):
        read_small_table(client, "survey_participants", renamed)


def test_what_a_token_may_not_see_is_skipped_and_the_rest_is_there(
    study: "Study", monkeypatch: pytest.MonkeyPatch
) -> None:
    study.materialize(selection=["users"])
    before = study.table("users")
    token = study.emulator.add_user(study.token, "reader", rights={"user_rights": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    result = study.materialize(selection=["users", "user_roles", "metadata", "enrolment"])
    assert result.success
    assert {event.asset_key.path[-1] for event in result.get_asset_materialization_events()} == {
        "metadata",
        "enrolment",
        "rejected_values",
        "quality_findings",
    }
    said = observations(result)
    assert set(said) == {"users", "user_roles"}
    assert "'User Rights' privileges" in said["users"]["redcap/refused"]
    # It could not be found out, which is not the same as nobody: no empty table is published.
    assert study.table("users") == before
    assert "user_roles" not in current_extract(study.out_dir).tables


def test_a_step_of_which_everything_is_refused_fails(
    study: "Study", monkeypatch: pytest.MonkeyPatch
) -> None:
    token = study.emulator.add_user(study.token, "reader", rights={"user_rights": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    with pytest.raises(dg.Failure, match="'User Rights' privileges"):
        study.materialize(selection=["users", "user_form_rights"])


def test_no_instrument_takes_the_name_of_a_table_of_the_study() -> None:
    names = set(get_args(TableKind)) - {"instrument", "report"}  # these two name no table
    assert [name for name in names if table_name(name) == name] == []


def test_include_says_which_assets_there_are(study: "Study") -> None:
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, include=["spirometry", "users"], reports=[12]
    )
    assert {key.to_user_string() for key in assets.keys} == {"spirometry", "users", "reports/12"}
    with pytest.raises(ConfigError, match=r"names spirometri, which is no kind .* Kinds are"):
        build_redcap_assets(study.project, include=["spirometri"])
    with pytest.raises(ConfigError, match="needs audit_log_partitions"):
        build_redcap_assets(study.project, include=["audit_log"])


def test_every_table_has_the_policy_of_the_study_or_its_own(study: "Study") -> None:
    class Ours(DagsterRedcapTranslator):
        def get_asset_spec(self, props: RedcapTableProps) -> dg.AssetSpec:
            own = hourly if props.kind == "users" else None
            return super().get_asset_spec(props).replace_attributes(freshness_policy=own)

    hourly = dg.FreshnessPolicy.time_window(timedelta(hours=1))
    daily = dg.FreshnessPolicy.time_window(timedelta(days=1))
    assets = build_redcap_assets(
        study.project,
        translator=Ours(),
        reports=[12],
        audit_log_partitions=DAYS,
        freshness_policy=daily,
    )
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in assets.specs}
    assert policies.pop("users") == hourly
    assert {"records", "spirometry", "reports/12", "audit_log"} <= policies.keys()
    assert set(policies.values()) == {daily}


def test_the_pages_translator_and_policy_are_those_of_the_tables(
    study: "Study", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "assets.md"
    snippets = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    policy, translator, _ = snippets
    monkeypatch.chdir(tmp_path)
    study.project.snapshot("my_study.json")
    names: dict[str, Any] = {}
    exec(translator, names)  # noqa: S102 - the page's own snippet
    specs = {spec.key.to_user_string(): spec for spec in names["study"].specs}
    assert specs["clinic/enrolment"].owners == ["team:clinic"]
    assert specs["records"].tags["confidential"] == "yes"
    exec(policy, names)  # noqa: S102 - the page's own snippet
    assert {spec.freshness_policy for spec in names["study"].specs} == {
        dg.FreshnessPolicy.time_window(timedelta(hours=36), timedelta(hours=26))
    }


def test_code_references_can_be_asked_for(study: "Study") -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir)
    with pytest.warns(dg.BetaWarning):
        (linked,) = dg.with_source_code_references([assets])
    assert isinstance(linked, dg.AssetsDefinition)
    assert all("dagster/code_references" in spec.metadata for spec in linked.specs)
    assert study.materialize(assets=linked, selection=["users"]).success


def test_the_log_is_a_table_with_a_partition_for_each_day(
    study: "Study", client: RedcapClient
) -> None:
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, audit_log_partitions=DAYS)
    today = datetime.now().date().isoformat()  # noqa: DTZ005 - the server's local time
    client.import_records([{study.project.record_id_field: "NEW-1"}])
    study.materialize(assets=assets, selection=["audit_log"], partition_key=today)
    first = study.table("audit_log", today)
    assert [row["record"] for row in first if row["action"].startswith("Create")] == ["NEW-1"]
    assert [row["timestamp"] for row in first] == sorted(row["timestamp"] for row in first)

    # Rows stay when REDCap forgets them, and the same ones do not come twice.
    client.delete_records(["NEW-1"], delete_logging=True)
    study.materialize(assets=assets, selection=["audit_log"], partition_key=today)
    second = study.table("audit_log", today)
    assert all(row in second for row in first)
    assert len(second) > len(first)
    assert sum(row["action"].startswith("Create") for row in second) <= 2

    study.materialize(assets=assets, selection=["audit_log"], partition_key="2026-11-02")
    assert study.table("audit_log", "2026-11-02") == []


def test_a_run_of_a_day_makes_the_other_tables_whole(study: "Study") -> None:
    """Dagster runs assets without partitions beside those of a day: a job of all assets does."""
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        include=["enrolment", "users"],
        audit_log_partitions=DAYS,
        record_changes_partitions=DAYS,
    )
    result = study.materialize(assets=assets, partition_key="2026-11-02")
    partitions = {
        event.asset_key.path[-1]: event.partition
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    day = "2026-11-02"
    assert partitions == {
        "enrolment": None, "users": None, "audit_log": day, "record_changes": day
    }  # fmt: skip
    assert len(study.table("enrolment")) > 0


@pytest.mark.parametrize("table", ["audit_log", "enrolment"])
def test_a_run_without_a_partition_says_what_to_choose(study: "Study", table: str) -> None:
    """A schedule of a job with partitions that names none, say: nothing is published."""
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        include=["enrolment", "users"],
        partitions_def=record_partitions(2),
        audit_log_partitions=DAYS,
    )
    with pytest.raises(dg.Failure, match=f"no partition, and {table} has partitions. Choose one"):
        study.materialize(assets=assets, selection=["users", table])
    assert not study.out_dir.exists()


def test_a_report_is_an_asset_with_its_own_columns(serve: "Callable[..., Study]") -> None:
    study = serve(synthetic_project(records=7))
    design = study.emulator.store.design(study.project.info.project_id)
    number = design.reports[0].report_id
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, reports=[number])
    result = study.materialize(assets=assets, selection=[f"reports/{number}"])
    with RedcapClient(study.emulator.url, study.token) as client:
        expected = client.export_report(number)
    assert study.table(f"report-{number}") == expected
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    assert metadata["dagster/row_count"].value == len(expected) == 7
    schema = metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns] == list(expected[0])


def test_a_report_beside_the_instruments_is_not_counted_as_one(
    serve: "Callable[..., Study]",
) -> None:
    study = serve(synthetic_project(records=7))
    number = study.emulator.store.design(study.project.info.project_id).reports[0].report_id
    study.materialize(
        assets=build_redcap_assets(study.project, out_dir=study.out_dir, reports=[number])
    )
    (verification,) = verify_study(study.out_dir)
    assert f"report-{number}" in verification.extract.tables
    assert verification.findings == ()
