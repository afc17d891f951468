"""What a token may do, found out by asking: REDCap has no method that says it."""

import csv
import io
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from redcap_dagster.api import RedcapClient
from redcap_dagster.errors import RequestRejectedError
from redcap_dagster.project import ExportColumn, RedcapProject, plan_export_columns

Result = TypeVar("Result")

Answer = Literal["yes", "no", "unknown"]
"""Whether something holds; "unknown" when it could not be found out, which is never "no"."""

_REFUSED = re.compile(r"privilege|permission|right", re.IGNORECASE)
_NAME_IN_GROUP = re.compile(r"\d+-\d+")
# The log has no entries yet of this time, so asking for them costs the server nothing.
_NEVER = "2999-01-01 00:00"


@dataclass(frozen=True, slots=True)
class Rights:
    """What the token's user may do and see.

    Attributes:
        export: Whether records may be exported.
        in_full: Whether every column of every instrument is; "unknown" in a study without records,
            of which REDCap sends no columns.
        hidden_instruments: Instruments of which no column is exported.
        held_back: Instrument to the number of its fields that are not exported, where others are.
        log: Whether the log may be read.
        users: Whether users and their rights may be listed.
        groups: Whether data access groups may be listed.
        in_group: Whether the user sees only the records of one data access group.
        api_import: Whether records may be imported.
    """

    export: Answer
    in_full: Answer
    hidden_instruments: tuple[str, ...]
    held_back: dict[str, int]
    log: Answer
    users: Answer
    groups: Answer
    in_group: Answer
    api_import: Answer


def find_rights(
    client: RedcapClient, project: RedcapProject, record_ids: Sequence[str] | None
) -> Rights:
    """Ask for a little of everything and see what is refused or left out. Changes nothing.

    Args:
        client: The token's client.
        project: The study's design.
        record_ids: Records that the token sees; None when it may not export records.

    Raises:
        ApiError: REDCap did not answer, or refused something for another reason than a right.
    """
    header = _read_header(client, project, record_ids[0]) if record_ids else None
    hidden, held_back = _find_held_back(project, header)
    log, _ = ask_or_refused(lambda: client.export_logging(begin_time=_NEVER))
    users, listed = ask_or_refused(client.export_users)
    groups, named = ask_or_refused(client.export_data_access_groups)
    return Rights(
        export="no" if record_ids is None else "yes",
        in_full="unknown" if header is None else "no" if hidden or held_back else "yes",
        hidden_instruments=hidden,
        held_back=held_back,
        log=log,
        users=users,
        groups=groups,
        in_group=is_in_group(client, header, named),
        api_import=_may_import(listed),
    )


def is_refusal(error: RequestRejectedError) -> bool:
    """Whether REDCap refused something because the user lacks a right."""
    return error.reason == "not_permitted" or _REFUSED.search(error.server_message) is not None


def ask_or_refused(method: Callable[[], Result]) -> tuple[Answer, Result | None]:
    """Whether the token's user may ask for something, and what came.

    Raises:
        ApiError: REDCap did not answer, or refused for another reason than a right.
    """
    try:
        return "yes", method()
    except RequestRejectedError as error:
        if not is_refusal(error):
            raise
        return "no", None


def _read_header(client: RedcapClient, project: RedcapProject, record_id: str) -> list[str] | None:
    """Columns of one record's export as an extract asks for it; None when it has no rows."""
    body = client.export_records_csv(
        records=[record_id],
        fields=[project.record_id_field],
        forms=[instrument.name for instrument in project.instruments],
        export_survey_fields=project.info.surveys_enabled,
        export_data_access_groups=True,
        export_blank_for_gray_form_status=True,
    )
    rows = csv.reader(io.StringIO(body.decode("utf-8", "replace"), newline=""))
    return next(rows, None)


def _find_held_back(
    project: RedcapProject, header: list[str] | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    if header is None:
        return (), {}
    present = set(header)
    hidden: list[str] = []
    held_back: dict[str, int] = {}
    planned = [column for column in plan_export_columns(project) if not column.is_optional]
    for instrument in project.instruments:
        columns = [
            column
            for column in planned
            if column.instrument == instrument.name and column.kind != "record_id"
        ]
        lacking = [column for column in columns if column.name not in present]
        if lacking and len(lacking) == len(columns):
            hidden.append(instrument.name)
        elif lacking:
            held_back[instrument.name] = _count_fields(lacking)
    return tuple(hidden), held_back


def _count_fields(columns: Sequence[ExportColumn]) -> int:
    return len({column.field or column.name for column in columns})


def is_in_group(
    client: RedcapClient, header: Collection[str] | None, groups: Sequence[object] | None
) -> Answer:
    """Whether the user sees the records of one data access group only.

    REDCap gives no group column to a user inside a group, and new records its number.

    Args:
        client: Where to ask, if what is known does not tell.
        header: Columns of an export that asked for groups; None when there was none.
        groups: The study's data access groups; None when the user may not list them.

    Raises:
        ApiError: REDCap did not answer, or refused.
    """
    if groups is not None and not groups:
        return "no"
    if groups and header is not None:
        return "no" if "redcap_data_access_group" in header else "yes"
    if header is not None and "redcap_data_access_group" in header:
        return "no"
    return "yes" if _NAME_IN_GROUP.fullmatch(client.generate_next_record_name()) else "unknown"


def _may_import(users: list[dict[str, Any]] | None) -> Answer:
    """Known only where one user alone has the API, as no method says whose token this is."""
    with_api = [user for user in users or [] if str(user.get("api_export")) == "1"]
    if len(with_api) != 1:
        return "unknown"
    return "yes" if str(with_api[0].get("api_import")) == "1" else "no"
