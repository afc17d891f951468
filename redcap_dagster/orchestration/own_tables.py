"""Reads the tables that are not made from the record export, and what a lacking right means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import RequestRejectedError
from redcap_dagster.extract import read_small_table
from redcap_dagster.orchestration.attachments import AttachmentStore
from redcap_dagster.orchestration.audit_log import read_audit_log
from redcap_dagster.orchestration.kinds import RECORD_KINDS
from redcap_dagster.orchestration.study import StudyAssets
from redcap_dagster.project import RedcapProject

_REFUSED = "redcap/refused"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class OwnTables:
    """Exports the tables that are the study's own: dictionary, users, log and so on.

    Attributes:
        context: Is told of what was refused.
        study: The study.
        client: Where to ask.
        live: The study's design as it is now.
        refused: What REDCap said of each asset whose table the token's user may not export.
    """

    context: dg.AssetExecutionContext
    study: StudyAssets
    client: RedcapClient
    live: RedcapProject
    refused: dict[dg.AssetKey, RequestRejectedError] = field(default_factory=dict)

    def read(self, partition_key: str | None, keys: Sequence[dg.AssetKey]) -> dict[str, pa.Table]:
        """The tables of those of some assets that are not made from the record export, by name.

        Where the token's user lacks a right, the asset is skipped: its last table stays, no empty
        one takes its place, and an observation on it says what REDCap said.

        Raises:
            ApiError: REDCap did not answer, or refused for another reason.
        """
        own = [key for key in keys if self.study.props[key].kind not in RECORD_KINDS]
        tables = {
            self.study.props[key].name: self.permitted(
                key, partition_key, partial(self._read, key, partition_key)
            )
            for key in own
        }
        return {name: table for name, table in tables.items() if table is not None}

    def refuse_if_nothing_is_left(self) -> None:
        """Fail a step whose every asset was refused: a green run would look like an answer.

        Raises:
            RequestRejectedError: What REDCap said of the first.
        """
        if self.refused and self.refused.keys() >= self.context.selected_asset_keys:
            raise next(iter(self.refused.values()))

    def permitted(
        self, key: dg.AssetKey, partition_key: str | None, ask: Callable[[], Answer]
    ) -> Answer | None:
        """What REDCap answers for an asset; None, and the asset is skipped, without the right.

        Raises:
            ApiError: REDCap did not answer, or refused for another reason.
        """
        try:
            return ask()
        except RequestRejectedError as error:
            if error.reason != "not_permitted":
                raise
            self._tell(key, partition_key, error)
            return None

    def _read(self, key: dg.AssetKey, partition_key: str | None) -> pa.Table:
        props = self.study.props[key]
        if props.kind == "audit_log":
            return read_audit_log(self.client, self.study.shelf(partition_key), partition_key)
        if props.kind == "attachments":
            return AttachmentStore(
                self.study.out_dir, self.client, self.live, self.study.largest_attachment_bytes
            ).update(self.context)
        if props.report_id is not None:
            frame = self.client.frames.export_report(props.report_id)
            return pa.table(
                {name: pa.array(frame[name].tolist(), pa.string()) for name in frame.columns}
            )
        return read_small_table(self.client, props.kind, self.live)

    def _tell(
        self, key: dg.AssetKey, partition_key: str | None, error: RequestRejectedError
    ) -> None:
        self.refused[key] = error
        self.context.log.warning(
            "%s is skipped, and what was published of it before stays: %s",
            key.to_user_string(),
            error,
        )
        self.context.log_event(
            dg.AssetObservation(key, partition=partition_key, metadata={_REFUSED: str(error)})
        )
