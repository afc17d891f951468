"""Responses that break off."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from redcap_dagster.emulator.connection import close_connection, reset_connection


@dataclass(frozen=True)
class Made:
    """An answer whose body is known.

    Attributes:
        status: HTTP status.
        body: The whole body.
        headers: Headers, the content type among them.
        columns: Number of columns of a list, else 0.
        rows: Number of rows of a list, else 0.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    columns: int = 0
    rows: int = 0

    @property
    def cells(self) -> int:
        """Rows times columns."""
        return self.rows * self.columns

    def response(self) -> Response:
        """Return it as it is."""
        return Response(self.body, self.status, headers=dict(self.headers))


class ResetResponse(Response):
    """No answer: the connection is reset, before the first byte or half-way through the body."""

    def __init__(self, transport: asyncio.Transport, made: Made | None = None) -> None:
        super().__init__()
        self._transport = transport
        self._made = made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset."""
        if self._made is not None:
            await _send_part(self._made, len(self._made.body) // 2, send, announced=True)
        reset_connection(self._transport)
        await _until_gone(scope, receive)


class CutResponse(Response):
    """A body that ends early, as `framing` of the fault `cut` says."""

    def __init__(
        self, transport: asyncio.Transport, made: Made, kept_bytes: int, framing: str
    ) -> None:
        super().__init__()
        self._transport = transport
        self._made = made
        self._kept_bytes = kept_bytes
        self._framing = framing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the part that is kept and close the connection."""
        if self._framing == "close":
            self._transport.write(self._unframed())
        else:
            announced = self._framing == "length"
            await _send_part(self._made, self._kept_bytes, send, announced=announced)
        close_connection(self._transport)
        await _until_gone(scope, receive)

    def _unframed(self) -> bytes:
        # HTTP without any length ends with the connection; no ASGI server offers it.
        status = self._made.status
        headers = {**self._made.headers, "connection": "close"}
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""])
        return head.encode("latin-1") + self._made.body[: self._kept_bytes]


async def _send_part(made: Made, kept_bytes: int, send: Send, *, announced: bool) -> None:
    headers = dict(made.headers)
    if announced:
        headers["content-length"] = str(len(made.body))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": made.status, "headers": raw})
    await send({"type": "http.response.body", "body": made.body[:kept_bytes], "more_body": True})


async def _until_gone(_: Scope, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
