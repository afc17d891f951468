"""An export in many requests is one flat export, of one moment."""

import threading
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator.synthetic.shapes import Shape
from redcap_dagster.errors import ServerError
from redcap_dagster.export import (
    ChangeFence,
    ExportSettings,
    RecordOrder,
    RecordSelection,
    RowList,
    RowLists,
    StudyExport,
    read_design,
    read_row_list,
)
from redcap_dagster.export.look import Looker
from redcap_dagster.extract import ExtractRequest, extract_study
from tests.export.conftest import Serve, Served, add_user_without_log, rows_of, small


@pytest.mark.parametrize("shape", get_args(Shape))
@pytest.mark.parametrize("cells", [100_000, 1_500, 60])
def test_many_requests_give_the_rows_of_one_flat_export(
    shape: Shape, cells: int, serve: Serve
) -> None:
    study = serve(shape, columns=120 if shape == "wide" else None)
    with StudyExport(study.client, study.project, settings=small(cells)) as export:
        rows = rows_of(export)
        assert export.settle()
    assert rows == study.whole_export()
    assert export.progress.records_asked == export.progress.records_done == 25
    assert export.progress.rows == len(rows)


@pytest.mark.parametrize("shape", get_args(Shape))
@pytest.mark.parametrize("cells", [100_000, 1_500])
def test_records_come_in_another_order_where_one_is_given(
    shape: Shape, cells: int, serve: Serve
) -> None:
    study = serve(shape, columns=120 if shape == "wide" else None)
    order = RecordOrder("backwards", lambda name: name[::-1])
    with StudyExport(study.client, study.project, order=order, settings=small(cells)) as export:
        rows = rows_of(export)
        first = study.project.record_id_field
        study.client.rename_record(rows[0][first], "999")
        assert not export.settle()
        rows = rows_of(export)
        assert export.settle()
    names = list(dict.fromkeys(row[first] for row in rows))
    assert names == [*sorted(names[:-1], key=order.rank), "999"]  # read again, so at the end
    whole = study.whole_export()
    assert sorted(whole, key=lambda row: names.index(row[first])) == rows


def test_records_of_which_only_instances_are_stored_are_whole_at_once(serve: Serve) -> None:
    study = serve("repeating", records=5)
    alone = [
        {
            "record_id": f"alone {number}",
            "redcap_repeat_instrument": "visit",
            "redcap_repeat_instance": "1",
            "visit_complete": "1",
        }
        for number in range(3)
    ]
    study.client.import_records(alone)
    # Answers without the instances hold a row for each, with a 0 for each of its checkboxes.
    with StudyExport(study.client, study.project, settings=small(60)) as export:
        rows = rows_of(export)
        assert export.settle()
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))


def test_requests_stay_within_their_cells_and_side_by_side(serve: Serve) -> None:
    study = serve(records=200)
    with StudyExport(study.client, study.project, settings=small(4_000)) as export:
        rows_of(export)
    asked = study.record_requests()
    assert len(asked) == export.progress.batches_done > 5
    assert max(item.rows * item.columns for item in asked) <= 4_000


def test_only_the_selected_instruments_and_events_are_asked_for(serve: Serve) -> None:
    study = serve("longitudinal")
    event = study.project.events[1].unique_name
    selection = RecordSelection(events=(event,))
    with StudyExport(study.client, study.project, selection, instruments=["visit"]) as export:
        rows = rows_of(export)
        assert export.settle()
    names = set(rows[0])
    assert {"visit_complete", "redcap_event_name"} <= names
    assert not {"enrolment_complete", "outcome_complete"} & names
    expected = [{name: row[name] for name in rows[0]} for row in study.whole_export(events=[event])]
    assert rows == expected
    # The study has no data access groups, so their column does not come.
    assert [item.columns for item in study.record_requests()] == [len(names) - 1]


def test_named_records_and_buckets_are_exported_alone(serve: Serve) -> None:
    study = serve("repeating")
    whole = study.whole_export()
    ids = list(dict.fromkeys(row["record_id"] for row in whole))
    with StudyExport(
        study.client, study.project, RecordSelection(record_ids=[str(ids[3]), str(ids[1])])
    ) as export:
        assert rows_of(export) == [row for row in whole if row["record_id"] in {ids[1], ids[3]}]
        assert export.settle()
    found = []
    for bucket in range(3):
        selection = RecordSelection(bucket=(bucket, 3))
        with StudyExport(study.client, study.project, selection) as export:
            found += rows_of(export)
            assert export.settle()
    assert sorted(map(str, found)) == sorted(map(str, whole))


def test_a_change_in_another_bucket_does_not_make_the_rows_be_listed_twice(serve: Serve) -> None:
    study = serve("classic")
    selection = RecordSelection(bucket=(0, 2))
    names = read_row_list(study.client, study.project).record_ids
    others = [name for name in names if not selection.holds(name, None)]
    with StudyExport(study.client, study.project, selection) as export:
        rows_of(export)
        study.client.import_records([{"record_id": others[0], "enrolment_complete": "1"}])
        study.emulator.requests.clear()
        assert export.settle()
    assert [item.content for item in study.emulator.requests].count("record") == 1


def test_odd_record_ids_are_asked_for_as_they_are(serve: Serve) -> None:
    study = serve("classic", records=2)
    odd = ["a b", "Zoë-漢", 'say "hi"', "x'y", "1,2", "100%&+=", "L" * 100, "007", "7"]
    study.client.import_records([{"record_id": name, "enrolment_complete": "1"} for name in odd])
    with StudyExport(study.client, study.project, settings=small(60)) as export:
        rows = rows_of(export)
        assert export.settle()
    assert rows == study.whole_export()
    assert set(odd) <= {row["record_id"] for row in rows}


def test_what_changes_while_it_runs_is_read_again(serve: Serve) -> None:
    study = serve("everything")
    ids = read_row_list(study.client, study.project).record_ids
    with StudyExport(study.client, study.project, settings=small(1_500)) as export:
        rows_of(export)
        change_everything(study, ids)
        assert not export.settle()
        rows = rows_of(export)
        assert export.settle()
        facts = export.facts()
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))
    assert facts["records_expected"] == facts["records_received"] == len(ids)  # one less, one more
    assert facts["is_state_of_one_moment"]
    assert facts["rounds"] == 2
    assert not any(name in str(facts) for name in ids if len(name) > 2)


def test_an_answer_that_comes_after_the_look_is_not_taken_for_the_state_of_the_look(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic", records=40, columns=30)
    looked, is_asked_again = threading.Event(), threading.Event()
    look, ask = StudyExport._look, RedcapClient.export_records_csv
    refused: list[tuple[str, ...]] = []

    def look_and_say(export: StudyExport) -> Any:
        found = look(export)
        found.log.result()
        looked.set()
        return found

    def ask_late(client: RedcapClient, **options: Any) -> bytes:
        ids, forms = options.get("records"), options.get("forms") or ()
        if forms == ("enrolment",):
            assert is_asked_again.wait(10)  # another asker, who ends last and looks
        if "outcome" in forms and not refused:
            refused.append(ids)
            time.sleep(0.2)  # so that it is read, and asked for again, by another thread
            raise ServerError("too much", content="record", reason="out_of_memory", retryable=True)
        if refused and ids == refused[0][len(refused[0]) // 2 :] and not is_asked_again.is_set():
            is_asked_again.set()
            assert looked.wait(10)
            new = {"record_id": ids[0], "visit_complete": "2", "outcome_complete": "1"}
            study.client.import_records([new], overwrite_behavior="overwrite")
        return ask(client, **options)

    monkeypatch.setattr(StudyExport, "_look", look_and_say)
    monkeypatch.setattr(RedcapClient, "export_records_csv", ask_late)
    settings = ExportSettings(concurrency=2, cells_per_request=1_200)
    with StudyExport(study.client, study.project, settings=settings) as export:
        for _ in export.chunks(looks_ahead=True):
            pass
        assert is_asked_again.is_set()
        assert not export.settle()
        rows = rows_of(export)
        assert export.settle()
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))


def test_a_row_that_the_first_list_and_one_answer_lack_is_asked_for_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("longitudinal")
    whole = study.whole_export()
    export_csv = RedcapClient.export_records_csv
    losing = ["", *(item.name for item in study.project.instruments[1:2])]

    def lose_the_last_row(self: RedcapClient, **options: Any) -> bytes:
        """Of the first list of rows, and of the first answer with an instrument and that row."""
        body = export_csv(self, **options)
        has_last = whole[-1]["record_id"] in (options["records"] or [whole[-1]["record_id"]])
        asked = (options.get("forms") or [""])[0]
        if has_last and asked in losing:
            losing.remove(asked)
            body = body[: body.rindex(b"\n", 0, -1) + 1]
        return body

    monkeypatch.setattr(RedcapClient, "export_records_csv", lose_the_last_row)
    with StudyExport(study.client, study.project, settings=small(60)) as export:
        rows_of(export)
        assert not losing
        assert not export.settle()
        rows = rows_of(export)
        assert export.settle()
    assert sorted(map(str, rows)) == sorted(map(str, whole))


def test_a_record_made_between_list_and_log_is_not_taken_for_exported(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic")
    read_now = RowLists.list_now
    made = iter(["new one"])
    read_log = Looker.read_log

    def list_then_make(self: RowLists, client: RedcapClient, selection: RecordSelection) -> RowList:
        rows = read_now(self, client, selection)
        for name in made:
            study.client.import_records([{"record_id": name, "enrolment_complete": "1"}])
        listed.set()
        return rows

    def read_log_then(self: Looker, fence: ChangeFence | None) -> Any:
        assert listed.wait(10)
        return read_log(self, fence)

    with StudyExport(study.client, study.project) as export:
        rows_of(export)
        listed = threading.Event()
        monkeypatch.setattr(RowLists, "list_now", list_then_make)
        monkeypatch.setattr(Looker, "read_log", read_log_then)
        assert not export.settle()
        rows = rows_of(export)
        assert export.settle()
    assert rows == study.whole_export()
    assert "new one" in {row["record_id"] for row in rows}


def test_a_record_renamed_out_of_a_bucket_between_list_and_log_is_not_in_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("classic")
    selection = RecordSelection(bucket=(0, 2))
    names = read_row_list(study.client, study.project).record_ids
    old = next(name for name in names if selection.holds(name, None))
    new = next(name for name in "abcdefgh" if not selection.holds(name, None))
    to_rename = iter([old])
    read_now, read_log = RowLists.list_now, Looker.read_log
    listed = threading.Event()

    def list_then_rename(
        self: RowLists, client: RedcapClient, selection: RecordSelection
    ) -> RowList:
        rows = read_now(self, client, selection)
        for name in to_rename:
            study.client.rename_record(name, new)
        listed.set()
        return rows

    def read_log_then(self: Looker, fence: ChangeFence | None) -> Any:
        assert listed.wait(10)
        return read_log(self, fence)

    with StudyExport(study.client, study.project, selection) as export:
        rows = rows_of(export)
        monkeypatch.setattr(RowLists, "list_now", list_then_rename)
        monkeypatch.setattr(Looker, "read_log", read_log_then)
        while not export.settle():
            rows = rows_of(export)
        assert export.facts()["is_state_of_one_moment"]
    kept = {row["record_id"] for row in rows}
    assert kept == {name for name in names if selection.holds(name, None)} - {old}


def test_a_list_whose_rows_are_not_sorted_by_record_is_the_same_rows(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = serve("everything")
    sorted_rows = read_row_list(study.client, study.project)
    send = RedcapClient.export_records_csv

    def send_mixed(self: RedcapClient, **options: Any) -> bytes:
        header, *lines = send(self, **options).splitlines()
        return b"\n".join([header, *lines[::2], *lines[1::2]]) + b"\n"

    monkeypatch.setattr(RedcapClient, "export_records_csv", send_mixed)
    mixed = read_row_list(study.client, study.project)
    assert mixed.of_ids(sorted_rows.record_ids).tolist() == sorted_rows.keys.tolist()


def test_a_long_list_is_asked_for_by_event_when_it_is_read_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redcap_dagster.export.row_list._MANY_ROWS", 10)
    study = serve("everything")
    ids = read_row_list(study.client, study.project).record_ids
    lists = RowLists(study.project, 4)
    whole = lists.list_before(study.client, RecordSelection())
    study.emulator.requests.clear()
    in_parts = lists.list_now(study.client, RecordSelection())
    assert len(study.emulator.requests) == 3
    assert (in_parts.record_ids, in_parts.keys.tolist()) == (ids, whole.keys.tolist())
    change_everything(study, ids)
    changed = lists.list_now(study.client, RecordSelection())
    assert set(changed.record_ids) == {*ids, "new one", "another name"} - {ids[1], ids[2]}
    assert lists.list_before(study.client, RecordSelection()).record_ids == changed.record_ids


def change_everything(study: Served, ids: tuple[str, ...]) -> None:
    """A value, a new record, a deleted one, a renamed one, and one in another group."""
    event = study.project.events[0].unique_name
    first = {"redcap_event_name": event, "enrolment_complete": "1"}
    group = study.client.export_data_access_groups()[0]["unique_group_name"]
    study.client.import_records(
        [
            {"record_id": ids[0], **first},
            {"record_id": "new one", **first},
            {"record_id": ids[4], "redcap_event_name": event, "redcap_data_access_group": group},
        ],
        overwrite_behavior="overwrite",
    )
    study.client.delete_records([ids[1]])
    study.client.rename_record(ids[2], "another name")


def test_rows_that_come_and_go_are_seen_without_the_logging_right(serve: Serve) -> None:
    study = serve("classic")
    token = add_user_without_log(study)
    with RedcapClient(study.emulator.url, token, requests_per_minute=60_000) as client:
        ids = read_row_list(client, study.project).record_ids
        with StudyExport(client, study.project) as export:
            rows_of(export)
            study.client.delete_records([ids[1]])
            study.client.import_records([{"record_id": "new", "enrolment_complete": "1"}])
            assert not export.settle()
            rows = rows_of(export)
            assert export.settle()
            facts = export.facts()
    assert sorted(map(str, rows)) == sorted(map(str, study.whole_export()))
    assert not facts["is_state_of_one_moment"]
    assert facts["state_of"] is None
    assert "no Logging right" in facts["why_not_assured"]


def test_what_was_left_is_asked_for_again_when_the_logging_right_was_taken_away(
    serve: Serve, tmp_path: Path
) -> None:
    study = serve("classic")
    token = study.emulator.add_user(study.token, "reader")
    with RedcapClient(study.emulator.url, token, requests_per_minute=60_000) as client:
        with StudyExport(client, study.project, spool=tmp_path) as export:
            rows_of(export)
        study.client.import_users([{"username": "reader", "api_export": 1, "logging": 0}])
        with StudyExport(client, study.project, spool=tmp_path) as export:
            rows = rows_of(export)
            assert export.settle()
            facts = export.facts()
            export.done()
    assert rows == study.whole_export()
    assert export.progress.batches_resumed == 0
    assert not facts["is_state_of_one_moment"]


def test_a_server_that_refuses_large_answers_is_asked_for_less(serve: Serve) -> None:
    study = serve("everything", records=120)
    study.emulator.faults.add("memory", cells=1500, content="record")
    with StudyExport(study.client, study.project, settings=small(16_000)) as export:
        rows = rows_of(export)
        assert export.settle()
    study.emulator.faults.clear()
    assert export.progress.batches_split > 0
    assert rows == study.whole_export()


def test_what_a_server_refused_is_not_tried_again_by_the_next_extract(
    serve: Serve, tmp_path: Path
) -> None:
    study = serve("everything", records=120)
    study.emulator.faults.add("memory", cells=1500, content="record")
    request = ExtractRequest(cells_per_request=4_000)
    first, second = (extract_study(study.client, tmp_path, request) for _ in range(2))
    assert first.facts["export"]["batches_split"] > 0
    assert second.facts["export"]["batches_split"] == 0
    assert {name: table.sha256 for name, table in second.tables.items()} == {
        name: table.sha256 for name, table in first.tables.items()
    }


def test_a_server_that_is_away_is_asked_for_one_thing_only(serve: Serve) -> None:
    study = serve("classic")
    study.emulator.requests.clear()
    study.emulator.faults.add("status", code=503)
    with pytest.raises(ServerError):
        read_design(study.client)
    assert [item.content for item in study.emulator.requests] == ["project"] * 5
