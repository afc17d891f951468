"""A client that was made before a fork works in both processes, and neither hears the other's."""

import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import RedcapClient, RequestLedger
from redcap_dagster.api.slots import Slots
from redcap_dagster.api.version import KnownVersion
from tests.api.conftest import read_request

TOKEN = "0123456789ABCDEF0123456789ABCDEF"

# From Python 3.12 on. That such a fork may deadlock is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process .*multi-threaded:DeprecationWarning")


class PatientServer:
    """Keeps connections open, and notes on which of them each request came."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/api/"

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, (_, port) = self._listener.accept()
            except OSError:
                return  # the listener was closed: the test is over
            threading.Thread(target=self._answer, args=(connection, port), daemon=True).start()

    def _answer(self, connection: socket.socket, port: int) -> None:
        with connection:
            while first := connection.recv(65536):
                read_request(connection, first)
                self.ports.append(port)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n15.0.0")


@pytest.fixture
def patient() -> Iterator[PatientServer]:
    server = PatientServer()
    yield server
    server.close()


def in_a_child(work: Callable[[], Any]) -> int | None:
    """Exit code of a forked process that does some work; None when it got stuck."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(timeout=10)
    code = child.exitcode
    child.kill()
    child.join()
    return code


def test_a_forked_process_takes_connections_of_its_own_and_leaves_the_others_open(
    patient: PatientServer,
) -> None:
    with RedcapClient(patient.url, TOKEN, retries=0) as client:
        client.export_version()
        view = client.with_concurrency(2)

        def ask_and_close() -> None:
            view.export_version()
            client.close()

        assert in_a_child(ask_and_close) == 0
        client.export_version()

    ours, theirs, ours_again = patient.ports
    assert ours == ours_again
    assert theirs != ours


def test_a_lock_that_a_thread_held_at_the_fork_is_free_in_the_child(tmp_path: Path) -> None:
    ledger = RequestLedger(tmp_path, "https://one.example.org")
    slots = Slots(1)
    version = KnownVersion()
    is_held, is_over = threading.Event(), threading.Event()

    def hold_all() -> str:
        with slots, ledger._thread_turn:
            is_held.set()
            is_over.wait(timeout=30)
        return "15.0.0"

    def use_all() -> None:
        ledger.acquire(10)
        with slots:
            assert version.get(lambda: "16.0.0") == "16.0.0"

    holder = threading.Thread(target=lambda: version.get(hold_all))
    holder.start()
    is_held.wait(timeout=30)
    code = in_a_child(use_all)
    is_over.set()
    holder.join()

    assert code == 0
