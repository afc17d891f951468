"""The wire below HTTP: tells a request its connection, so that it can be cut or reset."""

import asyncio
import socket
import struct
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_STATE_KEY = "connection"


class Connection(H11Protocol):
    """uvicorn's HTTP protocol; each request finds its transport in its state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the transport."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _STATE_KEY: transport}


def transport_of(request: Request) -> asyncio.Transport:
    """Return the transport a request came in by."""
    state: dict[str, Any] = request.scope["state"]
    transport: asyncio.Transport = state[_STATE_KEY]
    return transport


def close_connection(transport: asyncio.Transport) -> None:
    """Close a connection when everything written so far was sent."""
    transport.close()


def reset_connection(transport: asyncio.Transport) -> None:
    """Close a connection at once: the other side sees a reset."""
    # Lingering for no time makes the system send RST, not FIN.
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()
