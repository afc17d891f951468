"""A server that answers what a test wrote down, byte for byte, on a real socket."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import parse_qsl

import pytest

from redcap_dagster.api import RedcapClient, RetryPolicy

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
RESET = b"<reset>"
STALL = b"<stall>"


class ScriptedServer:
    """Answers each request with the next bytes of its script; the last one stays.

    Attributes:
        requests: Form fields of each request, in the order they came.
        heads: Request line and headers of each request.
        bodies: Body of each request as it came.
        pause_s: Seconds before each answer.
        most_at_once: The most requests that waited for their answers at one time.
    """

    def __init__(self) -> None:
        self.requests: list[list[tuple[str, str]]] = []
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.pause_s = 0.0
        self.most_at_once = 0
        self._now = 0
        self._script: list[bytes] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/api/"

    def answers(self, *script: bytes) -> None:
        """Set what to answer.

        RESET drops the connection; STALL at the end of an answer waits for the client to go.
        """
        self._script = list(script)

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()

    @staticmethod
    def http(
        body: str | bytes = b"", status: int = 200, *, length: int | None = -1, **headers: str
    ) -> bytes:
        """An HTTP answer. `length` -1: the true one; None: no Content-Length."""
        data = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} Said", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if length is not None:
            lines.append(f"Content-Length: {len(data) if length == -1 else length}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # the listener was closed: the test is over
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            first = connection.recv(65536)
            if not first.startswith(b"POST"):
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # TLS spoken to us
                return
            head, body = read_request(connection, first)
            with self._lock:
                self.heads.append(head)
                self.bodies.append(body)
                self.requests.append(
                    parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
                )
                answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
            time.sleep(self.pause_s)
            with self._lock:
                self._now -= 1
            if answer == RESET:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            with suppress(ConnectionError):  # a client may go before all was sent
                connection.sendall(answer.removesuffix(STALL))
                if answer.endswith(STALL):
                    connection.recv(1)


def read_request(connection: socket.socket, data: bytes) -> tuple[str, bytes]:
    """Head and body of a request of which some bytes came.

    To close a connection before all of it was read is to reset it: the answer may be lost.
    """
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode()
    length = int(text.lower().split("content-length:")[1].split("\r\n")[0])
    while len(body) < length:
        body += _receive(connection)
    return text, body


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError("The client left in the middle of its request.")
    return data


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def waits() -> list[float]:
    """Seconds that the client of `make_client` would have slept between tries."""
    return []


@pytest.fixture
def make_client(
    server: ScriptedServer, waits: list[float]
) -> Iterator[Callable[..., RedcapClient]]:
    """Makes clients of the scripted server: two further tries, no sleep, no chance."""
    made: list[RedcapClient] = []

    def make(**settings: object) -> RedcapClient:
        policy = RetryPolicy(retries=2, sleep=waits.append, chance=lambda: 0.0)
        given = {"api_url": server.url, "api_token": TOKEN, "retries": policy, **settings}
        client = RedcapClient(**given)  # type: ignore[arg-type]
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., RedcapClient]) -> RedcapClient:
    return make_client()
