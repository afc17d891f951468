"""An extract that is published late is compared with the log since it was made."""

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from redcap_dagster.tables import ExtractWriter, PublishedExtract
from tests.orchestration.watched import BASELINE, Watch, Watched, bucket_of

BeforePublication = Callable[[Callable[[], None]], None]


@pytest.fixture
def before_publication(monkeypatch: pytest.MonkeyPatch) -> BeforePublication:
    """Has something happen once, when the next export is done and not published yet."""

    def _before(happens: Callable[[], None]) -> None:
        publish, left = ExtractWriter.publish, [happens]

        def publish_late(writer: ExtractWriter, *args: Any, **options: Any) -> PublishedExtract:
            if left:
                left.pop()()
            return publish(writer, *args, **options)

        monkeypatch.setattr(ExtractWriter, "publish", publish_late)

    return _before


def change(watched: Watched, record_id: str, value: str) -> None:
    watched.import_rows({"participant_id": record_id, **BASELINE, "fev1_l": value})


def assert_is_repaired_once(watched: Watched, record_id: str, value: float) -> None:
    """The next look requests the record's partition, and later ones do not."""
    assert watched.run(watched.tick()) == [bucket_of(record_id)]
    assert value in {
        row["fev1_l"] for row in watched.study.table("spirometry", bucket_of(record_id))
    }
    for _ in range(2):
        watched.asked()
        assert (watched.tick().run_requests, watched.asked()) == ([], ["log"])


def test_a_change_before_the_first_publication_of_a_partition_is_found(
    watch: Watch, before_publication: BeforePublication
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    shutil.rmtree(watched.study.out_dir / bucket_of(record_id))

    def change_and_look() -> None:
        change(watched, record_id, "1.23")
        assert watched.tick().run_requests == []

    before_publication(change_and_look)
    watched.materialize(bucket_of(record_id))
    assert_is_repaired_once(watched, record_id, 1.23)


def change_look_and_run(watched: Watched, record_id: str) -> None:
    change(watched, record_id, "1.23")
    assert watched.run(watched.tick()) == [bucket_of(record_id)]


@pytest.mark.parametrize("looks", [True, False], ids=["looks between", "does not look between"])
def test_a_run_that_was_overtaken_and_publishes_later_is_made_up_for(
    watch: Watch, before_publication: BeforePublication, looks: bool
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]

    def overtake() -> None:
        change_look_and_run(watched, record_id)
        if looks:
            assert watched.tick().run_requests == []

    before_publication(overtake)
    watched.materialize(bucket_of(record_id))
    assert_is_repaired_once(watched, record_id, 1.23)


def test_a_run_of_one_table_that_was_overtaken_is_made_up_for(
    watch: Watch, before_publication: BeforePublication
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    before_publication(partial(change_look_and_run, watched, record_id))
    watched.study.materialize(
        assets=watched.assets,
        instance=watched.instance,
        partition_key=bucket_of(record_id),
        selection=["spirometry"],
    )
    assert_is_repaired_once(watched, record_id, 1.23)


def test_a_run_that_was_overtaken_is_made_up_for_by_the_manifests_alone(
    watch: Watch, before_publication: BeforePublication
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    before_publication(partial(change_look_and_run, watched, record_id))
    watched.materialize(bucket_of(record_id))
    watched.cursor = None
    assert_is_repaired_once(watched, record_id, 1.23)


def test_a_run_that_is_under_way_is_not_requested_again_for_what_another_left_out(
    watch: Watch, before_publication: BeforePublication
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    requested = []

    def change_and_look() -> None:
        change(watched, record_id, "1.23")
        requested.append(watched.tick())

    before_publication(change_and_look)
    watched.materialize(bucket_of(record_id))
    again = watched.tick().run_requests or []
    assert [item.run_key for item in again] == [
        item.run_key for item in requested[0].run_requests or []
    ]
    watched.run(requested[0])
    assert watched.tick().run_requests == []


def test_runs_whose_log_cannot_be_compared_are_requested_three_times_at_most(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    own_token = watched.study.token
    # Digests of the log's entries are keyed by the token.
    others_token = watched.study.emulator.add_user(own_token, "another")
    change(watched, record_id, "1.23")
    runs = []
    for _ in range(6):
        monkeypatch.setenv("REDCAP_API_TOKEN", own_token)
        result = watched.tick()
        monkeypatch.setenv("REDCAP_API_TOKEN", others_token)
        runs += watched.run(result)
    assert runs in ([bucket_of(record_id)] * number for number in (1, 2, 3))


def test_a_cursor_of_an_earlier_version_goes_on(watch: Watch) -> None:
    watched = watch()
    watched.tick()
    record_id = watched.ids()[0]
    assert watched.cursor is not None
    watched.cursor = watched.cursor.replace('"told"', '"of another version"')
    change(watched, record_id, "1.23")
    assert_is_repaired_once(watched, record_id, 1.23)
