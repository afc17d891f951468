"""Partitions by bucket, group, event, arm, and two of them: together they are the whole study."""

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from redcap_dagster import (
    arm_partitions,
    build_redcap_assets,
    data_access_group_partitions,
    event_partitions,
    record_partitions,
)
from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.orchestration.partitions import RecordSelection, parse_partition
from tests.orchestration.runs import in_one_run

if TYPE_CHECKING:
    from tests.orchestration.conftest import Study

TABLES = ["records", "spirometry", "medications"]


def partitions(study: "Study", kind: str) -> dg.PartitionsDefinition[str]:
    with RedcapClient(study.emulator.url, study.token) as client:
        groups = [row["unique_group_name"] for row in client.export_data_access_groups()]
    study.emulator.requests.clear()
    return {
        "group": lambda: data_access_group_partitions(groups),
        "event": lambda: event_partitions(study.project),
        "arm": lambda: arm_partitions(study.project),
        "group x arm": lambda: dg.MultiPartitionsDefinition(
            {"site": data_access_group_partitions(groups), "arm": arm_partitions(study.project)}
        ),
        "arm x bucket": lambda: dg.MultiPartitionsDefinition(
            {"arm": arm_partitions(study.project), "part": record_partitions(2)}
        ),
    }[kind]()


def as_counter(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row.items()) for row in rows)


@pytest.mark.parametrize("kind", ["group", "event", "arm", "group x arm", "arm x bucket"])
def test_the_partitions_of_a_study_are_the_whole_study_once(study: "Study", kind: str) -> None:
    study.materialize(selection=TABLES)
    whole = {name: as_counter(study.table(name)) for name in TABLES}
    definition = partitions(study, kind)
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, partitions_def=definition, quality=None
    )
    keys = definition.get_partition_keys()
    if isinstance(definition, dg.MultiPartitionsDefinition):  # which have no ranges
        for key in keys:
            study.materialize(assets=assets, selection=TABLES, partition_key=key)
    else:
        study.materialize(assets=assets, selection=TABLES, tags=in_one_run(keys))
    folders = [key.replace("|", "+") for key in keys]
    for name in TABLES:
        rows = chain.from_iterable(study.table(name, folder) for folder in folders)
        assert as_counter(list(rows)) == whole[name]


def test_a_partition_asks_for_its_events_and_records_alone(study: "Study") -> None:
    assets = build_redcap_assets(
        study.project, out_dir=study.out_dir, partitions_def=event_partitions(study.project)
    )
    event = study.project.events[-1].unique_name
    key = f"event-{event}"
    result = study.materialize(assets=assets, selection=["records"], partition_key=key)
    for check in result.get_asset_check_evaluations():
        assert check.metadata["partitions"].value == key
    rows = study.table("records", f"event-{event}")
    assert {row["redcap_event_name"] for row in rows} == {event}
    asked = sum(r.records or 0 for r in study.emulator.requests if r.content == "record")
    assert asked == len({row["participant_id"] for row in rows})


def test_partitions_of_one_run_share_the_lists_between_them(study: "Study") -> None:
    study.materialize(selection=["spirometry"])
    whole = as_counter(study.table("spirometry"))
    definition = record_partitions(4)
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, partitions_def=definition)
    keys = definition.get_partition_keys()
    study.emulator.requests.clear()
    study.materialize(
        assets=assets,
        selection=["spirometry"],
        tags=in_one_run(keys),
    )
    asked = [request for request in study.emulator.requests if request.content == "record"]
    assert sum(request.records is None for request in asked) == len(keys) + 1
    rows = chain.from_iterable(study.table("spirometry", key) for key in keys)
    assert as_counter(list(rows)) == whole


def test_a_group_without_a_partition_is_told(
    study: "Study", capfd: pytest.CaptureFixture[str]
) -> None:
    with RedcapClient(study.emulator.url, study.token) as client:
        groups = [row["unique_group_name"] for row in client.export_data_access_groups()]
    definition = data_access_group_partitions(groups[1:], records_in_no_group=False)
    assets = build_redcap_assets(study.project, out_dir=study.out_dir, partitions_def=definition)
    job = dg.Definitions(assets=[assets], resources={"redcap": study.resource()})
    job.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[dg.AssetKey("enrolment")], partition_key=f"group-{groups[1]}"
    )
    said = capfd.readouterr().err
    assert "records are in no partition" in said
    assert f"{groups[0]} (" in said


def test_a_user_inside_a_group_cannot_tell_the_groups_apart(
    study: "Study", monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedcapClient(study.emulator.url, study.token) as client:
        group = client.export_data_access_groups()[0]["unique_group_name"]
    token = study.emulator.add_user(study.token, "site", data_access_group=group)
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    assets = build_redcap_assets(
        study.project,
        out_dir=study.out_dir,
        partitions_def=data_access_group_partitions([group]),
    )
    with pytest.raises(dg.Failure, match="does not say in which data access groups"):
        study.materialize(assets=assets, selection=["records"], partition_key="no-group")


def test_an_event_that_is_gone_selects_nothing(study: "Study") -> None:
    assert parse_partition("event-gone_arm_1", study.project) == RecordSelection(events=())
    assert parse_partition("arm-9|bucket-0-of-2", study.project) == RecordSelection(
        (0, 2), None, ()
    )
    assert parse_partition(None, study.project) == RecordSelection()


def test_a_key_of_another_definition_is_refused(study: "Study") -> None:
    with pytest.raises(ConfigError, match="'2026-01-01' is not one of REDCap assets"):
        parse_partition("2026-01-01", study.project)
    with pytest.raises(ConfigError, match="is not one of REDCap assets"):
        build_redcap_assets(study.project, partitions_def=dg.StaticPartitionsDefinition(["a"]))
    with pytest.raises(ConfigError, match="not North, Süd"):
        data_access_group_partitions(["North", "Süd", "west"])
