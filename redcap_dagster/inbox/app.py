"""The receiver of REDCap's data entry trigger, as an ASGI app without a framework.

REDCap sends one form-encoded POST for every save of a form or survey page: no signature, no
retry, and none for imports. So it is taken for a hint, and what is in it is not kept.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from redcap_dagster.errors import ConfigError
from redcap_dagster.inbox.store import TriggerInbox

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

MOST_BYTES = 16_384
_LONGEST_RECORD_ID = 100
_FORM = re.compile("[a-z0-9_]{1,100}")
_PROJECT = re.compile("[0-9]{1,10}")


class _RefusedError(Exception):
    """A POST that is no trigger of a project that is expected. Its reason repeats nothing of it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def trigger_app(inbox: TriggerInbox, project_ids: Collection[int]) -> AsgiApp:
    """An ASGI app that puts data entry triggers into an inbox; mount it where you like.

    Answers 204 to a trigger, and to everything else a 4xx with its reason: 405 for another method,
    413 above 16 KiB, 400 for what is no trigger, 403 for another project. 503 when it could not be
    written down, which a warning in the log explains.

    Args:
        inbox: Where to put them.
        project_ids: Numbers of the projects whose triggers are taken.

    Raises:
        ConfigError: No project is named.
    """
    expected = frozenset(project_ids)
    if not expected:
        raise ConfigError("A trigger inbox needs the number of a project whose triggers it takes.")

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ConfigError(f"A trigger inbox speaks HTTP, not {scope['type']}.")
        try:
            if scope["method"] != "POST":
                raise _RefusedError(405, "A data entry trigger is a POST.")  # noqa: TRY301
            project_id, record_id, form = _parse(await _read_body(receive), expected)
        except _RefusedError as refused:
            await _answer(send, refused.status, str(refused))
            return
        try:
            inbox.add(project_id, record_id, form)
        except ConfigError as error:
            logger.warning("A data entry trigger was lost. %s", error)
            await _answer(send, 503, "The trigger could not be written down.")
            return
        await _answer(send, 204, "")

    return app


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RefusedError(400, "The request ended early.")
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise _RefusedError(413, f"A data entry trigger is at most {MOST_BYTES} bytes.")
        if not message.get("more_body", False):
            return bytes(body)


def _parse(body: bytes, expected: frozenset[int]) -> tuple[int, str, str]:
    """Number of the project, record id and form of a trigger."""
    try:
        fields = parse_qs(body.decode("utf-8"), errors="strict", max_num_fields=100)
    except ValueError as error:
        raise _RefusedError(400, "The body is no form in UTF-8.") from error
    values = {}
    for name in ("project_id", "record", "instrument"):
        given = fields.get(name, [])
        if len(given) != 1:
            raise _RefusedError(400, f"A data entry trigger has one {name}; this has {len(given)}.")
        values[name] = given[0]
    if not _PROJECT.fullmatch(values["project_id"]):
        raise _RefusedError(400, "project_id is no number.")
    if int(values["project_id"]) not in expected:
        raise _RefusedError(403, "Triggers of this project are not taken here.")
    if len(values["record"]) > _LONGEST_RECORD_ID:
        raise _RefusedError(400, f"record has more than {_LONGEST_RECORD_ID} characters.")
    if not _FORM.fullmatch(values["instrument"]):
        raise _RefusedError(400, "instrument is no unique name of an instrument.")
    return int(values["project_id"]), values["record"], values["instrument"]


async def _answer(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 405:  # noqa: PLR2004 - the status that has to name what is allowed
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})


async def _live(receive: Receive, send: Send) -> None:
    """The server's start and end, at which there is nothing to do."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
