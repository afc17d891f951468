"""The feed of changed records by day: applied to an older export, it equals the present one."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from redcap_dagster import build_redcap_assets
from redcap_dagster.api import RedcapClient
from redcap_dagster.emulator import RedcapEmulator
from redcap_dagster.errors import ConfigError
from redcap_dagster.export import read_design
from redcap_dagster.extract import verify_study
from redcap_dagster.orchestration.record_changes import ChangeOfDay, plan_record_changes_table
from redcap_dagster.tables import current_extract, has_extract, read_published
from tests.orchestration.conftest import Study
from tests.orchestration.edits import ids_of, import_row, random_edit

TODAY = datetime.now().date()  # noqa: DTZ005 - the emulator's local time
DAYS = [TODAY - timedelta(days=back) for back in (4, 3, 2, 1)]
OWN = ["redcap_change", "redcap_first_change", "redcap_last_change", "redcap_log_entries"]
BASELINE = {"redcap_event_name": "baseline_arm_1"}
BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "partitions.md").read_text(encoding="utf-8"),
    re.DOTALL,
)
Row = dict[str, Any]


@dataclass
class Feed:
    """A study with a feed, edits on any day, and somebody's copy, to which the feed is applied."""

    study: Study
    client: RedcapClient
    copy: duckdb.DuckDBPyConnection
    apply_day: Callable[[duckdb.DuckDBPyConnection, str], None]
    end_offset: int = 0

    def at(self, day: date, hour: int = 12) -> None:
        """Set REDCap's clock."""
        ahead = datetime.combine(day, time(hour)) - datetime.now()  # noqa: DTZ005 - as above
        self.study.emulator.faults.clear()
        self.study.emulator.faults.add("clock", seconds=int(ahead.total_seconds()))

    def now(self) -> None:
        """Set REDCap's clock right."""
        self.study.emulator.faults.clear()

    def assets(self, **options: Any) -> dg.AssetsDefinition:
        days = dg.DailyPartitionsDefinition(
            DAYS[0].isoformat(), end_offset=self.end_offset, timezone="UTC"
        )
        return build_redcap_assets(
            self.study.project,
            out_dir=self.study.out_dir,
            **{"include": [], "record_changes_partitions": days, "quality": None} | options,
        )

    def run(self, day: date, **options: Any) -> dg.ExecuteInProcessResult:
        """Materialize a day, with REDCap's clock right."""
        self.now()
        return self.study.materialize(
            assets=self.assets(), partition_key=day.isoformat(), **options
        )

    def rows(self, day: date) -> list[Row]:
        return self.study.table("record_changes", day.isoformat())

    def told(self, day: date) -> dict[str, str]:
        """What happened to each record."""
        return {row["participant_id"]: row["redcap_change"] for row in self.rows(day)}

    def exported(self) -> pa.Table:
        """The study as it is now."""
        out_dir = self.study.out_dir.parent / "full"
        replace(self.study, out_dir=out_dir).materialize(
            assets=build_redcap_assets(
                self.study.project, out_dir=out_dir, include=["records"], quality=None
            )
        )
        return read_published(out_dir, "records")

    def take_copy(self) -> None:
        self.copy.register("exported", self.exported())
        self.copy.execute("create or replace table records as from exported")

    def apply(self, *days: date) -> None:
        """Do to the copy what the page says."""
        for day in days:
            self.apply_day(self.copy, day.isoformat())

    def assert_up_to_date(self) -> None:
        exported = self.exported()
        columns = ", ".join(exported.column_names)
        copied = self.copy.sql(f"select {columns} from records").to_arrow_table()  # noqa: S608
        assert counted(copied.to_pylist()) == counted(exported.to_pylist())


def counted(rows: Sequence[Row]) -> Counter[tuple[tuple[str, Any], ...]]:
    return Counter(tuple(row.items()) for row in rows)


@pytest.fixture
def feed(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    monkeypatch.chdir(tmp_path)
    study.out_dir = tmp_path / "data" / "my_study"
    names: dict[str, Any] = {}
    exec(BLOCKS[1], names)  # noqa: S102 - the page's own snippet
    with (
        RedcapClient(study.emulator.url, study.token, retries=0) as client,
        duckdb.connect() as copy,
    ):
        yield Feed(study, client, copy, names["apply_day"])


def metadata_of(result: dg.ExecuteInProcessResult) -> Row:
    """Values of the one materialization's metadata that are ours."""
    (event,) = result.get_asset_materialization_events()
    found = event.step_materialization_data.materialization.metadata
    return {name: found[name].value for name in found if name.startswith("redcap/")}


@pytest.mark.parametrize("seed", range(3))
def test_applied_day_by_day_the_feed_equals_a_full_export(feed: Feed, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test
    feed.take_copy()
    in_time, late = [], []
    for day in DAYS:
        feed.at(day)
        for _ in range(rng.randrange(4)):
            random_edit(feed.client, feed.study.project, rng)
        if rng.random() < 0.5:
            feed.run(day)
            in_time.append(day)
        else:
            late.append(day)
    rng.shuffle(late)
    for day in late:
        feed.run(day)
    feed.apply(*(DAYS if seed % 2 else [*in_time, *late]))
    feed.assert_up_to_date()


def test_a_day_holds_what_was_changed_on_it_and_how(feed: Feed) -> None:
    first, second, third, fourth, *_ = ids_of(feed.client)
    feed.take_copy()
    feed.at(DAYS[0])
    import_row(feed.client, {"participant_id": fourth, **BASELINE, "fev1_l": "1.10"})
    feed.at(DAYS[1], hour=9)
    import_row(feed.client, {"participant_id": first, **BASELINE, "fev1_l": "1.11"})
    feed.client.delete_records([second])
    groups = [row["unique_group_name"] for row in feed.client.export_data_access_groups()]
    group = next(name for name in groups if name != group_of(feed.client, third))
    import_row(feed.client, {"participant_id": third, "redcap_data_access_group": group})
    import_row(feed.client, {"participant_id": "NEW", **BASELINE, "fev1_l": "1.12"})
    feed.client.import_records([{"participant_id": "GONE", **BASELINE, "fev1_l": "2.00"}])
    feed.at(DAYS[1], hour=21)
    feed.client.delete_records(["GONE"])
    import_row(feed.client, {"participant_id": first, **BASELINE, "fev1_l": "1.13"})
    result = feed.run(DAYS[1])
    expected = {
        first: "updated",
        second: "deleted",
        third: "moved",
        "NEW": "created",
        "GONE": "deleted",
    }
    assert feed.told(DAYS[1]) == expected
    assert "GONE" not in str([result.all_events, verify_study(feed.study.out_dir)])
    now = [row for row in feed.exported().to_pylist() if row["participant_id"] in expected]
    rows = feed.rows(DAYS[1])
    there = [row for row in rows if row["redcap_change"] != "deleted"]
    assert counted([without_own(row) for row in there]) == counted(now)
    changed = next(row for row in rows if row["participant_id"] == first)
    assert [changed[name] for name in OWN] == [
        "updated",
        f"{DAYS[1]} 09:00",
        f"{DAYS[1]} 21:00",
        2,
    ]
    gone = next(row for row in rows if row["participant_id"] == second)
    assert {name for name, cell in gone.items() if cell is not None} == {"participant_id", *OWN}
    assert {name: value for name, value in metadata_of(result).items() if value != ""} == (
        metadata_of(result)
        | {
            "redcap/records_exported": 3,
            "redcap/created": 1,
            "redcap/updated": 1,
            "redcap/moved": 1,
            "redcap/renamed": 0,
            "redcap/deleted": 2,
            "redcap/holds_everything": False,
            "redcap/day_is_over": True,
        }
    )
    feed.run(DAYS[0])
    feed.apply(*DAYS[:2])
    feed.assert_up_to_date()
    first_day, second_day = verify_study(feed.study.out_dir)
    assert (first_day.findings, second_day.findings) == ((), ())


def group_of(client: RedcapClient, record_id: str) -> str:
    rows = client.export_records(
        records=[record_id], fields=["participant_id"], export_data_access_groups=True
    )
    return str(rows[0]["redcap_data_access_group"])


def without_own(row: Row) -> Row:
    return {name: cell for name, cell in row.items() if name not in OWN}


def test_a_day_without_changes_asks_for_no_records_and_has_no_rows(feed: Feed) -> None:
    feed.run(DAYS[0])
    asked = Counter(request.content for request in feed.study.emulator.requests)
    assert (asked["log"], asked["record"]) == (1, 0)
    assert feed.rows(DAYS[0]) == []


def test_a_day_with_a_rename_holds_every_record_since_the_old_id_is_nowhere(feed: Feed) -> None:
    old, changed, *others = ids_of(feed.client)
    feed.take_copy()
    feed.at(DAYS[0])
    feed.client.rename_record(old, "ANOTHER")
    import_row(feed.client, {"participant_id": changed, **BASELINE, "fev1_l": "1.11"})
    assert metadata_of(feed.run(DAYS[0]))["redcap/holds_everything"] is True
    rows = feed.rows(DAYS[0])
    assert (rows[0]["participant_id"], rows[0]["redcap_change"]) == (None, "everything")
    told = feed.told(DAYS[0])
    assert (told["ANOTHER"], told[changed]) == ("renamed", "updated")
    assert {told[name] for name in others} == {""}
    feed.apply(DAYS[0])
    feed.assert_up_to_date()


def test_a_day_with_a_change_of_the_design_holds_every_record_also_when_there_is_none(
    feed: Feed,
) -> None:
    feed.take_copy()
    feed.at(DAYS[0])
    fields = feed.client.export_metadata()
    feed.client.import_metadata([row for row in fields if row["field_name"] != "fvc_l"])
    feed.run(DAYS[0])
    feed.apply(DAYS[0])
    feed.assert_up_to_date()
    feed.at(DAYS[1])
    feed.client.delete_records(ids_of(feed.client))
    feed.run(DAYS[0])
    assert [row["redcap_change"] for row in feed.rows(DAYS[0])] == ["everything"]


def test_a_day_exported_late_holds_the_state_of_that_time(feed: Feed) -> None:
    back, *_, changed = ids_of(feed.client)
    feed.at(DAYS[0])
    import_row(feed.client, {"participant_id": changed, **BASELINE, "fev1_l": "1.11"})
    feed.client.delete_records([back])
    feed.run(DAYS[0])
    assert feed.told(DAYS[0]) == {changed: "updated", back: "deleted"}
    feed.at(DAYS[2])
    import_row(feed.client, {"participant_id": changed, **BASELINE, "fev1_l": "1.22"})
    import_row(feed.client, {"participant_id": back, **BASELINE, "fev1_l": "1.33"})
    feed.run(DAYS[0])
    assert feed.told(DAYS[0]) == {changed: "updated", back: "updated"}
    assert {"1.22", "1.33"} <= {row["fev1_l"] for row in feed.rows(DAYS[0])}
    feed.run(DAYS[2])
    assert feed.told(DAYS[2]) == {changed: "updated", back: "created"}


def test_a_day_that_is_not_over_where_redcap_stands_is_refused(
    study_xml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is twelve hours behind UTC, and the partitions are of the other end of Earth."""

    def utc(hours: int) -> datetime:
        return datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(hours=hours)

    over_in_the_east = (utc(14).date() - timedelta(days=1)).isoformat()
    with RedcapEmulator(clock=lambda: utc(-12)) as emulator:
        token = emulator.add_project(study_xml)
        monkeypatch.setenv("REDCAP_API_TOKEN", token)
        with RedcapClient(emulator.url, token) as client:
            study = Study(emulator, token, read_design(client), tmp_path)
        days = dg.DailyPartitionsDefinition("2026-01-01", timezone="Etc/GMT-14")
        assets = build_redcap_assets(
            study.project, out_dir=tmp_path, include=[], record_changes_partitions=days
        )
        with pytest.raises(dg.Failure, match=r"not over yet by REDCap's clock.*server_timezone"):
            study.materialize(assets=assets, partition_key=over_in_the_east)
    assert not has_extract(tmp_path / over_in_the_east)


def test_the_present_day_can_be_asked_for_and_holds_what_was_logged_so_far(feed: Feed) -> None:
    feed.end_offset = 1
    changed, later, *_ = ids_of(feed.client)
    import_row(feed.client, {"participant_id": changed, **BASELINE, "fev1_l": "1.11"})
    assert metadata_of(feed.run(TODAY))["redcap/day_is_over"] is False
    assert feed.told(TODAY) == {changed: "updated"}
    import_row(feed.client, {"participant_id": later, **BASELINE, "fev1_l": "1.11"})
    feed.run(TODAY)
    assert feed.told(TODAY) == {changed: "updated", later: "updated"}


def test_several_days_in_one_run(feed: Feed) -> None:
    changed = ids_of(feed.client)[:3]
    feed.take_copy()
    for day, record_id in zip(DAYS, changed, strict=False):
        feed.at(day)
        import_row(feed.client, {"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    feed.now()
    feed.study.emulator.requests.clear()
    feed.study.materialize(
        assets=feed.assets(backfill_policy=dg.BackfillPolicy.single_run()),
        tags={
            "dagster/asset_partition_range_start": DAYS[0].isoformat(),
            "dagster/asset_partition_range_end": DAYS[-1].isoformat(),
        },
    )
    asked = Counter(request.content for request in feed.study.emulator.requests)
    # Each day's log; of a day with changes the fence and the list of rows, before and after.
    assert (asked["log"], asked["record"]) == (4 + 3 * 2, 3 * 3)
    assert asked["metadata"] == 1
    assert [feed.told(day) for day in DAYS] == [*({name: "updated"} for name in changed), {}]
    feed.apply(*DAYS)
    feed.assert_up_to_date()


def test_a_token_that_may_not_read_the_log_is_told_so(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator, token = feed.study.emulator, feed.study.token
    reader = emulator.add_user(token, "reader", rights={"logging": 0})
    monkeypatch.setenv("REDCAP_API_TOKEN", reader)
    with pytest.raises(dg.Failure, match="'Logging' privileges"):
        feed.run(DAYS[0])
    assert not has_extract(feed.study.out_dir / DAYS[0].isoformat())


def test_a_token_whose_user_sees_one_group_is_refused(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (record_id, *_) = ids_of(feed.client)
    feed.at(DAYS[0])
    import_row(feed.client, {"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    group = group_of(feed.client, record_id)
    inside = feed.study.emulator.add_user(feed.study.token, "in", data_access_group=group)
    monkeypatch.setenv("REDCAP_API_TOKEN", inside)
    # On the second day nothing was changed that this user could see.
    for day in DAYS[:2]:
        with pytest.raises(dg.Failure, match="needs a token whose user is in no data access group"):
            feed.run(day)
    assert not list(feed.study.out_dir.rglob("*.answers"))


def test_it_stands_beside_the_log_of_the_same_days(feed: Feed) -> None:
    feed.at(DAYS[0])
    (record_id, *_) = ids_of(feed.client)
    import_row(feed.client, {"participant_id": record_id, **BASELINE, "fev1_l": "1.11"})
    feed.now()
    days = dg.DailyPartitionsDefinition(DAYS[0].isoformat(), timezone="UTC")
    both = feed.assets(audit_log_partitions=days, record_changes_partitions=days)
    for _ in range(2):  # made again, it takes the old one's place
        result = feed.study.materialize(assets=both, partition_key=DAYS[0].isoformat())
        events = result.get_asset_materialization_events()
        assert {event.asset_key.path[-1] for event in events} == {"audit_log", "record_changes"}
        published = current_extract(feed.study.out_dir / DAYS[0].isoformat())
        assert set(published.tables) == {"audit_log", "record_changes"}
        assert feed.told(DAYS[0]) == {record_id: "updated"}


def test_what_cannot_be_is_refused_before_anything_runs(feed: Feed) -> None:
    with pytest.raises(ConfigError, match="needs record_changes_partitions: the first day"):
        feed.assets(include=["record_changes"], record_changes_partitions=None)
    form, *forms = feed.study.project.instruments
    taken = replace(form, fields=(*form.fields, replace(form.fields[-1], name="redcap_change")))
    feed.study.project = replace(feed.study.project, instruments=(taken, *forms))
    with pytest.raises(ConfigError, match="has a field redcap_change, and record_changes"):
        feed.assets()


def test_it_has_to_be_asked_for(feed: Feed) -> None:
    names = {
        spec.key.to_user_string()
        for spec in build_redcap_assets(feed.study.project, out_dir=feed.study.out_dir).specs
    }
    assert "records" in names
    assert "record_changes" not in names
    spec = feed.assets().specs_by_key[dg.AssetKey("record_changes")]
    assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)


def test_the_page_makes_it_and_says_all_it_can_say(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study.project.snapshot("my_study.json")
    names: dict[str, Any] = {}
    exec(BLOCKS[0], names)  # noqa: S102 - the page's own snippet
    spec = names["study"].specs_by_key[dg.AssetKey("record_changes")]
    assert spec.partitions_def.timezone == "Europe/Berlin"
    page = (Path(__file__).parents[2] / "docs" / "partitions.md").read_text(encoding="utf-8")
    told = {word or "blank" for word in get_args(ChangeOfDay)}
    assert [word for word in told | set(OWN) if word not in page] == []
    columns = [column.name for column in plan_record_changes_table(study.project).columns]
    assert columns[:5] == ["participant_id", *OWN]
