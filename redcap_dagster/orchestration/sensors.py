"""The sensor that keeps a study's tables up to date: only what changed in REDCap runs again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import ConfigError
from redcap_dagster.extract import fence_of
from redcap_dagster.inbox import TriggerInbox
from redcap_dagster.orchestration.change_tick import ChangeTick, ChangeWatch
from redcap_dagster.orchestration.kinds import RECORD_KINDS
from redcap_dagster.orchestration.metadata import EXTRACT_ID
from redcap_dagster.orchestration.publications import partitions_of_failed_runs, read_news
from redcap_dagster.orchestration.resource import RedcapResource
from redcap_dagster.orchestration.sensor_cursor import SensorCursor, Wanted
from redcap_dagster.orchestration.server_time import parse_timezone
from redcap_dagster.orchestration.study import StudyAssets, study_of_assets
from redcap_dagster.tables import (
    PublishedExtract,
    find_extracts,
    has_extract,
    read_side_by_side,
)

_MOST_ATTEMPTS = 3
_RUN_KEY_TAG = "dagster/run_key"
# Dagster ends a tick after 60 seconds. A log that takes longer than this is asked for next time.
_SECONDS_BETWEEN_HINTS = 10
_READ_TIMEOUT_S = 25.0
_CONNECT_TIMEOUT_S = 5.0


def build_redcap_change_sensor(
    assets: dg.AssetsDefinition,
    *,
    name: str | None = None,
    resource_key: str = "redcap",
    minimum_interval_seconds: int = 300,
    full_every: timedelta | None = timedelta(days=7),
    server_timezone: str | None = None,
    inbox: str | Path | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that runs the partitions whose records changed in REDCap, and no others.

    It reads the project's log since its last look: one request where nothing changed. It sees
    records that were made, changed, deleted, renamed or moved to another group, instances that
    were deleted, and changes of the design. Each partition whose published tables could be out of
    date is requested, until a run has brought it up to date and Dagster knows: a run that failed is
    requested again, up to three times, and one that somebody else made counts. One that publishes
    after a newer one is made up for. Partitions that were never materialized are left alone. What
    changed is reported as an observation, in counts.

    Args:
        assets: What `build_redcap_assets` or `redcap_assets` made.
        name: Name of the sensor; None makes one from the assets' op.
        resource_key: Key of the `RedcapResource` in the definitions.
        minimum_interval_seconds: Seconds between two looks.
        full_every: How long until everything is requested again, for what the log does not say;
            None for never.
        server_timezone: Name of the server's time zone (`Europe/Berlin`). Needed where the token's
            user has no Logging right: records are then asked for by the date of their last change.
        inbox: File of a `TriggerInbox`, into which REDCap's data entry trigger puts hints. The
            sensor then looks into it every ten seconds, and asks REDCap at once when something
            came; without, as often as `minimum_interval_seconds` says. The log still decides what
            changed.
        default_status: Whether it looks before anybody turns it on. It asks your REDCap, so it is
            off.

    Raises:
        ConfigError: The assets are not of this package, or none of them holds records; or there is
            no such time zone.
    """
    study = study_of_assets(assets)
    keys = [key for key, props in study.props.items() if props.kind in RECORD_KINDS]
    if not keys:
        raise ConfigError("A change sensor needs assets that hold records: records or instruments.")
    sensor_name = name or f"{assets.op.name}_changes"
    zone = None if server_timezone is None else parse_timezone(server_timezone)

    @dg.sensor(
        name=sensor_name,
        target=dg.AssetSelection.assets(*keys),
        minimum_interval_seconds=minimum_interval_seconds
        if inbox is None
        else min(minimum_interval_seconds, _SECONDS_BETWEEN_HINTS),
        default_status=default_status,
        required_resource_keys={resource_key},
        description="Reads the project's log in REDCap and runs the partitions whose records "
        "changed.",
    )
    def change_sensor(
        context: dg.SensorEvaluationContext,
        # Dagster 1.13 passes required resources by name when a test calls the sensor directly.
        **_: object,
    ) -> dg.SensorResult:
        partition_keys = _partition_keys(context, study)
        cursor = _cursor(context, partition_keys)
        # With a cursor, something was: a look that finds nothing new reads nothing published.
        if cursor is None and not _is_published(study, partition_keys):
            return dg.SensorResult(
                skip_reason="Nothing of this study has been materialized yet. Materialize it once; "
                "from then on it is kept up to date."
            )
        interval = timedelta(seconds=minimum_interval_seconds)
        if inbox is not None and not _is_due(study, cursor, TriggerInbox(inbox), interval):
            return dg.SensorResult(skip_reason="No data entry trigger came.")
        requests = _Requests(context, study, keys, partition_keys, cursor)
        # Before any manifest, so that what is published meanwhile is news of the next look.
        told = None if cursor is None else cursor.told
        news = read_news(context.instance, keys, told, requests.ended())
        watch = ChangeWatch(study, partition_keys, full_every, zone)
        with _client(getattr(context.resources, resource_key)) as client:
            return requests.result(watch.look(client, cursor, news, _now()))

    return change_sensor


def _is_published(study: StudyAssets, partition_keys: Sequence[str | None]) -> bool:
    """Whether any partition is."""
    return any(read_side_by_side(has_extract, [study.shelf(key) for key in partition_keys]))


def _is_due(
    study: StudyAssets, cursor: SensorCursor | None, inbox: TriggerInbox, interval: timedelta
) -> bool:
    """Whether to ask REDCap now: a trigger came since the last look, or that was long ago."""
    if cursor is None or _now() - cursor.asked_at >= interval:
        return True
    newest = inbox.newest(study.project.info.project_id)
    return newest is not None and newest >= cursor.asked_at


class _Requests:
    """Turns what is wanted into run requests, without those that are under way or were made."""

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        study: StudyAssets,
        keys: list[dg.AssetKey],
        partition_keys: list[str | None],
        cursor: SensorCursor | None,
    ) -> None:
        self._context = context
        self._study = study
        self._keys = keys
        self._partition_keys = partition_keys
        self._cursor = cursor
        self._statuses: dict[str, dg.DagsterRunStatus | None] = {}

    def ended(self) -> list[str]:
        """Keys of the partitions whose requested run succeeded."""
        wanted = {} if self._cursor is None else self._cursor.wanted
        success = dg.DagsterRunStatus.SUCCESS
        return [key for key, item in wanted.items() if self._status(key, item) is success]

    def result(self, tick: ChangeTick) -> dg.SensorResult:
        """What Dagster is told."""
        wanted = self._still_wanted({**self._untold(), **tick.cursor.wanted})
        cursor = replace(tick.cursor, wanted=wanted)
        requests = [
            dg.RunRequest(
                run_key=item.run_key(key), partition_key=key or None, asset_selection=self._keys
            )
            for key, item in wanted.items()
            if item.attempt <= _MOST_ATTEMPTS and self._status(key, item) is None
        ]
        return dg.SensorResult(
            run_requests=requests,
            asset_events=list(self._observations(tick)),
            cursor=cursor.dump(),
            skip_reason=None if requests else _sentence(wanted, tick.note),
        )

    def _untold(self) -> dict[str, Wanted]:
        """Partitions that a run has published that died before Dagster knew, whoever made it.

        What is downstream waits for Dagster's word. What was published before the run was made is
        not its work, and each extract is requested once: one that was made without Dagster is
        never told.
        """
        if self._cursor is None:
            return {}
        failed = partitions_of_failed_runs(
            self._context.instance, self._keys, self._partition_keys, self._cursor.asked_at
        )
        extracts = find_extracts([self._study.shelf(key or None) for key in failed])
        return {
            key: Wanted("", "", 0, f"untold-{extract.extract_id}")
            for (key, made), extract in zip(failed.items(), extracts, strict=True)
            if extract is not None
            and _was_begun_after(extract, made)
            and not self._has_told(key, extract)
        }

    def _still_wanted(self, wanted: Mapping[str, Wanted]) -> dict[str, Wanted]:
        """What no run has done yet, ours or somebody else's: the tries that are due."""
        extracts = find_extracts([self._study.shelf(key or None) for key in wanted])
        due = {}
        for (key, item), extract in zip(wanted.items(), extracts, strict=True):
            status = self._status(key, item)
            if not self._is_done(key, item, extract, status):
                has_failed = status in {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
                due[key] = item.again() if has_failed else item
        return due

    def _is_done(
        self,
        key: str,
        item: Wanted,
        extract: PublishedExtract | None,
        status: dg.DagsterRunStatus | None,
    ) -> bool:
        """Whether what is published is what was wanted, and Dagster knows."""
        if extract is None or not item.is_covered_by(fence_of(extract)):
            return False
        # Our own run has died when it had published, or may yet: what is downstream waits for its
        # events.
        return status is None or self._has_told(key, extract)

    def _status(self, key: str, item: Wanted) -> dg.DagsterRunStatus | None:
        """Status of the run of a request at this look; None when there is none yet.

        A run that was made and not started is one of a daemon that died: Dagster starts it when it
        is requested again.
        """
        run_key = item.run_key(key)
        # Once in a look: a run that ends meanwhile is compared with the log by the next one.
        if run_key not in self._statuses:
            self._statuses[run_key] = self._ask_status(run_key)
        return self._statuses[run_key]

    def _ask_status(self, run_key: str) -> dg.DagsterRunStatus | None:
        records = self._context.instance.get_run_records(
            dg.RunsFilter(tags={_RUN_KEY_TAG: run_key}), limit=1
        )
        status = records[0].dagster_run.status if records else None
        return None if status is dg.DagsterRunStatus.NOT_STARTED else status

    def _has_told(self, key: str, extract: PublishedExtract) -> bool:
        """Whether Dagster knows every table of a partition as the one that readers see."""
        tables = extract.tables
        names = {asset: self._study.props[asset].name for asset in self._keys}
        return all(
            self._extract_told(asset, key) == tables[name].extract_id
            for asset, name in names.items()
            if name in tables
        )

    def _extract_told(self, asset: dg.AssetKey, key: str) -> object:
        """The extract of the last materialization that Dagster was told of; None for none."""
        records = self._context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset, asset_partitions=[key] if key else None), limit=1
        ).records
        told = records[0].asset_materialization if records else None
        value = told.metadata.get(EXTRACT_ID) if told else None
        return None if value is None else value.value

    def _observations(self, tick: ChangeTick) -> Iterator[dg.AssetObservation]:
        """Counts of what changed, on the raw export: no values, no ids."""
        for key, counts in tick.counts.items():
            yield dg.AssetObservation(
                self._keys[0],
                partition=key or None,
                description="Changed in REDCap since it was exported.",
                metadata={f"redcap/{kind}": number for kind, number in counts.items()},
            )


def _was_begun_after(extract: PublishedExtract, moment: datetime) -> bool:
    began = extract.facts.get("began")
    return began is not None and datetime.fromisoformat(began) >= moment


def _sentence(wanted: Mapping[str, Wanted], note: str) -> str:
    failed = sum(item.attempt > _MOST_ATTEMPTS for item in wanted.values())
    parts = ["Nothing new in REDCap."] if not wanted else []
    if len(wanted) > failed:
        parts.append(f"{len(wanted) - failed} partitions are being exported.")
    if failed:
        parts.append(
            f"{failed} partitions failed {_MOST_ATTEMPTS} times and wait for the next change, "
            "or for you."
        )
    return " ".join([*parts, note]).strip()


def _partition_keys(context: dg.SensorEvaluationContext, study: StudyAssets) -> list[str | None]:
    if study.partitions_def is None:
        return [None]
    return [*study.partitions_def.get_partition_keys(dynamic_partitions_store=context.instance)]


def _cursor(
    context: dg.SensorEvaluationContext, partition_keys: Sequence[str | None]
) -> SensorCursor | None:
    """The state of the last look, as far as it is of partitions that the study still has."""
    cursor = SensorCursor.load(context.cursor)
    return cursor and cursor.of_partitions(frozenset(key or "" for key in partition_keys))


def _client(redcap: object) -> RedcapClient:
    """A client that gives up inside the time of a tick."""
    if not isinstance(redcap, RedcapResource):
        raise ConfigError(f"The sensor needs a RedcapResource, not {type(redcap).__name__}.")
    quick = redcap.model_copy(
        update={
            "connect_timeout_s": min(redcap.connect_timeout_s, _CONNECT_TIMEOUT_S),
            "read_timeout_s": min(redcap.read_timeout_s, _READ_TIMEOUT_S),
            "retries": 0,
        }
    )
    return quick.open_client()


def _now() -> datetime:
    return datetime.now(timezone.utc)
