"""A study or a server that changes while an export runs: few requests, no hang, nothing false."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient, RetryPolicy
from redcap_dagster.emulator import RedcapEmulator, synthetic_project
from redcap_dagster.emulator.options import ServerOptions
from redcap_dagster.errors import AnswerError, ExportError, ServerError
from redcap_dagster.export import ExportSettings, StudyExport, read_design, read_row_list
from tests.export.conftest import Serve, Served, add_user_without_log, rows_of, small


def run_before_the_first_answer(
    monkeypatch: pytest.MonkeyPatch, study: Served, happen: Callable[[], object]
) -> None:
    """Have something happen between the list of rows and the first answer."""
    ask = RedcapClient.export_records_csv
    happened = []

    def ask_later(client: RedcapClient, **options: Any) -> bytes:
        if options.get("records") is not None and not happened:
            happened.append(1)
            happen()
            study.record_requests()
        return ask(client, **options)

    monkeypatch.setattr(RedcapClient, "export_records_csv", ask_later)


@pytest.mark.parametrize("share", [1.0, 0.6, 0.4])
def test_records_that_are_gone_are_not_looked_for_one_by_one(
    share: float, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic", records=100)
    ids = read_row_list(study.client, study.project).record_ids
    gone = ids[: int(len(ids) * share)]
    run_before_the_first_answer(monkeypatch, study, lambda: study.client.delete_records(gone))
    settings = ExportSettings(concurrency=1)
    with StudyExport(study.client, study.project, settings=settings) as export:
        rows_of(export)
        while not export.settle():
            rows = rows_of(export)
    assert rows == study.whole_export()
    assert len(study.record_requests()) <= 4


def test_records_that_are_gone_before_they_come_are_expected_no_more(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic", records=20)
    # Without the log, nothing is read again: the second list of rows alone tells.
    with RedcapClient(study.emulator.url, add_user_without_log(study)) as client:
        gone = read_row_list(client, study.project).record_ids[3]
        run_before_the_first_answer(monkeypatch, study, lambda: study.client.delete_records([gone]))
        with StudyExport(client, study.project) as export:
            assert rows_of(export) == study.whole_export()
            assert export.settle()
            facts = export.facts()
    assert (facts["records_expected"], facts["records_received"]) == (19, 19)


def test_a_study_whose_ids_are_hashed_for_the_token_is_refused_by_that_name() -> None:
    with RedcapEmulator(options=ServerOptions(hashes_record_ids="always")) as emulator:
        token = emulator.add_project(synthetic_project(60, seed=5, shape="classic"))
        with RedcapClient(emulator.url, token) as owner:
            forms = [item.name for item in read_design(owner).instruments]
        hashed = emulator.add_user(token, "reader", forms_export=dict.fromkeys(forms, 2))
        with RedcapClient(emulator.url, hashed, requests_per_minute=6_000) as client:
            emulator.requests.clear()
            with StudyExport(client, read_design(client)) as export:
                assert rows_of(export) == []
                with pytest.raises(ExportError, match="exports none of them") as caught:
                    export.settle()
    assert not caught.value.retryable
    assert len([item for item in emulator.requests if item.content == "record"]) <= 4


def test_a_server_that_goes_away_is_what_the_error_says(serve: Serve) -> None:
    study = serve("classic", records=100)
    study.emulator.faults.add("status", code=503, content="record", after=3)
    with (
        pytest.raises(ServerError) as caught,
        StudyExport(study.client, study.project, settings=small(300)) as export,
    ):
        rows_of(export)
    assert caught.value.retryable


def test_a_right_that_lacks_is_not_looked_for_in_ever_smaller_requests() -> None:
    with RedcapEmulator() as emulator:
        token = emulator.add_project(synthetic_project(60, seed=5, shape="classic"))
        with RedcapClient(emulator.url, token, requests_per_minute=6_000) as owner:
            project = read_design(owner)
        forms = dict.fromkeys((item.name for item in project.instruments), 1)
        reader = emulator.add_user(token, "reader", forms_export={**forms, "visit": 0})
        with RedcapClient(emulator.url, reader, requests_per_minute=6_000) as client:
            emulator.requests.clear()
            settings = ExportSettings(concurrency=1)
            with (
                pytest.raises(AnswerError, match="no full export right to these forms"),
                StudyExport(client, project, settings=settings) as export,
            ):
                rows_of(export)
    asked = [item for item in emulator.requests if item.content == "record"]
    assert len(asked) <= 4


def test_one_record_that_fails_for_good_may_be_tried_again_later(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic")
    ask = RedcapClient.export_records_csv

    def fail_for_one(client: RedcapClient, **options: Any) -> bytes:
        if "3" in (options.get("records") or ()) and options.get("forms"):
            raise ServerError("broken", content="record", reason="server_error")
        return ask(client, **options)

    monkeypatch.setattr(RedcapClient, "export_records_csv", fail_for_one)
    with (
        pytest.raises(ExportError, match="One record's instrument") as caught,
        StudyExport(study.client, study.project) as export,
    ):
        rows_of(export)
    assert caught.value.retryable


def test_who_waits_to_ask_again_gives_up_when_the_export_is_stopped(serve: Serve) -> None:
    study = serve("classic", records=100)
    study.emulator.faults.add("latency", seconds=0.05, content="record")
    policy = RetryPolicy(first_wait_s=3_600, longest_wait_s=3_600)
    with RedcapClient(study.emulator.url, study.token, retries=policy) as client:
        with StudyExport(client, study.project, settings=small(60)) as export:
            chunks = export.chunks()
            next(chunks)
            study.emulator.faults.add("status", code=503, content="record")
            while not client.stats.failures:
                time.sleep(0.01)
            chunks.close()  # as Ctrl-C does
        assert client.stats.retries == 0


def test_a_data_access_group_that_is_renamed_is_in_all_rows_the_new_one(serve: Serve) -> None:
    study = serve("data_access_groups", records=60)
    group, other = study.client.export_data_access_groups()[:2]
    with StudyExport(study.client, study.project) as export:
        rows_of(export)
        study.client.delete_data_access_groups([other["unique_group_name"]])
        study.client.import_data_access_groups(
            [
                {
                    "data_access_group_name": "Another name",
                    "unique_group_name": group["unique_group_name"],
                }
            ]
        )
        assert not export.settle()
        rows = rows_of(export)
        assert export.settle()
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))
    assert {row["redcap_data_access_group"] for row in rows} >= {"another_name", ""}


@pytest.mark.parametrize("when", ["before the first answer", "after the last answer"])
def test_a_user_who_is_put_into_a_group_meanwhile_gets_no_part_for_the_whole(
    when: str, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study = serve("data_access_groups", records=60)
    owner = RedcapClient(study.emulator.url, study.emulator.add_user(study.token, "owner"))
    group = owner.export_data_access_groups()[0]["unique_group_name"]

    def move() -> None:
        owner.import_user_data_access_group_mappings(
            [{"username": "api_user", "redcap_data_access_group": group}]
        )

    if when == "before the first answer":
        run_before_the_first_answer(monkeypatch, study, move)
    with StudyExport(study.client, study.project, spool=tmp_path) as export:
        rows_of(export)
        if when == "after the last answer":
            move()
        with pytest.raises(ExportError, match="What the token's user sees changed") as caught:
            export.settle()
    owner.close()
    assert caught.value.retryable
    assert not list(tmp_path.iterdir())


def test_what_was_left_before_groups_were_renamed_is_asked_for_again(
    serve: Serve, tmp_path: Path
) -> None:
    study = serve("data_access_groups", records=60)
    group = study.client.export_data_access_groups()[0]
    with StudyExport(study.client, study.project, spool=tmp_path) as export:
        rows_of(export)  # and leave it there
    renamed = {**group, "data_access_group_name": "Another name"}
    renamed.pop("data_access_group_id", None)
    study.client.import_data_access_groups([renamed])
    with StudyExport(study.client, study.project, spool=tmp_path) as export:
        rows = rows_of(export)
        assert export.settle()
        assert export.progress.batches_resumed == 0
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))
    assert "another_name" in {row["redcap_data_access_group"] for row in rows}
