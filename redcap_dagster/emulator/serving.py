"""Around the web application: counts requests in work, tells the server's time."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import format_datetime

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redcap_dagster.emulator.counters import Counters

_SERVER = (b"server", b"Apache")


def served(app: ASGIApp, api_path: str, counters: Counters, now: Callable[[], datetime]) -> ASGIApp:
    """Wrap the application.

    Args:
        app: The application.
        api_path: The path whose requests are counted.
        counters: Counts them.
        now: The server's local time, which the header `Date` shows.
    """

    async def timed(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(now().astimezone(timezone.utc), usegmt=True)
                message["headers"] = [*message["headers"], (b"date", date.encode()), _SERVER]
            await send(message)

        # A client that leaves in the middle of its request is no event worth a traceback.
        with suppress(ClientDisconnect):
            await app(scope, receive, send_dated)

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != api_path:
            await timed(scope, receive, send)
            return
        with counters.in_work(str(scope["client"][0]) if scope["client"] else ""):
            await timed(scope, receive, send)

    return counted
