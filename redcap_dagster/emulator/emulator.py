"""A REDCap on loopback, as a context manager."""

import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from types import TracebackType

import uvicorn

from redcap_dagster.emulator.asked import AskedRequest
from redcap_dagster.emulator.connection import Connection
from redcap_dagster.emulator.counters import Counters, Counts
from redcap_dagster.emulator.design import Design
from redcap_dagster.emulator.dispatch import Dispatcher
from redcap_dagster.emulator.errors import EmulatorError
from redcap_dagster.emulator.face.routes import Face
from redcap_dagster.emulator.faults.faults import Faults
from redcap_dagster.emulator.faults.misbehaviour import Misbehaviour
from redcap_dagster.emulator.odm.source import XmlSource
from redcap_dagster.emulator.options import DEFAULT_OPTIONS, ServerOptions
from redcap_dagster.emulator.server import API_PATH, build_app
from redcap_dagster.emulator.serving import served
from redcap_dagster.emulator.state.allocations import (
    Allocation,
    Randomization,
    add_randomization,
)
from redcap_dagster.emulator.state.load import (
    ProjectOptions,
    load_project,
    load_synthetic_project,
)
from redcap_dagster.emulator.state.log import Clock
from redcap_dagster.emulator.state.people import add_user
from redcap_dagster.emulator.state.store import Store
from redcap_dagster.emulator.state.user import EVERY_RIGHT, Rights
from redcap_dagster.emulator.synthetic import SyntheticProject

DEFAULT_REDCAP_VERSION = "16.1.4"
_BACKLOG = 2048
_BLINK_SECONDS = 0.001
_SHUTDOWN_SECONDS = 5


@dataclass(frozen=True)
class _Running:
    server: uvicorn.Server
    thread: threading.Thread
    misbehaviour: Misbehaviour


class RedcapEmulator:
    """Serves REDCap projects from their XML files, on an address of its own.

    It is no place for real data: everyone who can reach the address and knows a token reads all.

    Examples:
        with RedcapEmulator() as redcap:
            token = redcap.add_project("study.xml")
            client = RedcapClient(redcap.url, token)

    Args:
        state: File that keeps projects, tokens and data; None keeps them until the end only.
        host: Address to listen on; loopback unless there is a reason.
        port: Port to listen on; 0 takes a free one.
        super_token: A super token that may ask for the version and create projects, or None.
        redcap_version: What the server says it is.
        options: How the server behaves where nobody knows.
        clock: The server's local time, as the log and new files carry it.

    Attributes:
        requests: What was asked so far, in the order the answers were finished.
        faults: What it does wrong on request.
    """

    def __init__(
        self,
        state: str | PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        super_token: str | None = None,
        redcap_version: str = DEFAULT_REDCAP_VERSION,
        options: ServerOptions = DEFAULT_OPTIONS,
        clock: Clock = datetime.now,
    ) -> None:
        self.requests: list[AskedRequest] = []
        self.faults = Faults(clock=clock)
        self._state = state
        self._host = host
        self._wanted_port = port
        self._super_token = super_token
        self._redcap_version = redcap_version
        self._options = options
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._store: Store | None = None
        self._running: _Running | None = None
        self._counters = Counters()
        self._port = 0

    @property
    def url(self) -> str:
        """Address of the API, with the final slash that REDCap clients need."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{API_PATH}"

    def __enter__(self) -> "RedcapEmulator":  # noqa: PYI034 - Self is not in Python 3.10
        """Start listening; requests are answered from here on."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self.stop()

    def start(self) -> None:
        """Start listening.

        Raises:
            EmulatorError: The port is in use, or the state file cannot be used.
        """
        listener = self._listen(self._wanted_port)
        try:
            self._store = Store(self._state_path(), self.faults.now)
        except EmulatorError:
            listener.close()
            raise
        self._arrive(listener, self._store)

    def stop(self) -> None:
        """Stop listening and forget a state that was not asked to be kept."""
        self._leave()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be away while the block runs: connections are refused. Afterwards all is as before."""
        self._leave()
        try:
            yield
        finally:
            self._arrive(self._listen(self._port), self.store)

    def _arrive(self, listener: socket.socket, store: Store) -> None:
        dispatcher = Dispatcher(store, self._redcap_version, self._super_token, self._options)
        misbehaviour = Misbehaviour(self.faults, self._counters, self._noted)
        app = build_app(dispatcher, self._noted, misbehaviour, Face(store, self._host))
        config = uvicorn.Config(
            served(app, API_PATH, self._counters, self.faults.now),
            http=Connection,
            # Nobody stands between: an address in a header is a claim.
            proxy_headers=False,
            server_header=False,
            date_header=False,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run,
            kwargs={"sockets": [listener]},
            name="redcap-emulator",
            # A program that never stops it ends all the same; the state survives that.
            daemon=True,
        )
        self._running = _Running(server, thread, misbehaviour)
        thread.start()

    def _leave(self) -> None:
        if self._running is not None:
            # A server that is told to end before it has begun may never end (uvicorn 0.30).
            while not self._running.server.started and self._running.thread.is_alive():
                time.sleep(_BLINK_SECONDS)
            self._running.server.should_exit = True
            self._running.misbehaviour.stop()
            self._running.thread.join()
            self._running = None

    def _noted(self, request: AskedRequest) -> None:
        self.requests.append(request)
        self._counters.answered(request.cells, request.body_bytes)

    def add_project(
        self,
        xml: XmlSource | SyntheticProject,
        *,
        records: XmlSource | None = None,
        token: str | None = None,
        username: str = "api_user",
        data_access_group: str | None = None,
        title: str | None = None,
        creation_time: str | None = None,
        project_id: int | None = None,
        production_time: str | None = None,
    ) -> str:
        """Load a project.

        Args:
            xml: The project XML: a path, or the XML itself as text or bytes; or what
                `synthetic_project` made up.
            records: A second XML that holds only records of the same project.
            token: The API token, 32 hexadecimal digits; random when None.
            username: Name of the user the token belongs to. The user has every right.
            data_access_group: Group the user sits in; such a user sees only its records.
            title: Title instead of the one in the file.
            creation_time: `YYYY-MM-DD HH:MM:SS` instead of the time the file was written.
            project_id: Number of the project; the next free one when None.
            production_time: `YYYY-MM-DD HH:MM:SS` at which the project was moved to Production
                status, in which REDCap refuses changes to the design; None leaves it in
                Development.

        Returns:
            The API token.

        Raises:
            ProjectFileError: A file cannot be loaded; nothing of it is kept.
            EmulatorError: The token, number or group cannot be given.
        """
        options = ProjectOptions(
            token=token,
            username=username,
            data_access_group=data_access_group,
            title=title,
            creation_time=creation_time,
            project_id=project_id,
            production_time=production_time,
        )
        if isinstance(xml, SyntheticProject):
            if records is not None:
                raise EmulatorError("A synthetic project has its records: give no second file.")
            return load_synthetic_project(self.store, xml, options).token
        return load_project(self.store, xml, records, options).token

    def add_user(
        self,
        project_token: str,
        username: str,
        *,
        token: str | None = None,
        data_access_group: str | None = None,
        rights: Mapping[str, int] | None = None,
        forms: Mapping[str, int] | None = None,
        forms_export: Mapping[str, int] | None = None,
    ) -> str:
        """Give a project one more user and return the user's API token.

        Args:
            project_token: Token of any user of the project.
            username: Name of the new user.
            token: The new token, 32 hexadecimal digits; random when None.
            data_access_group: Group the new user sits in, or None.
            rights: Rights by REDCap's API names (`{"api_import": 0, "logging": 0}`); those left
                out are given.
            forms: Viewing and editing right by instrument; those left out are given.
            forms_export: Export right by instrument, 0 none, 1 full, 2 de-identified, 3 without
                identifiers; full for those left out.

        Raises:
            EmulatorError: The project, token, name or group cannot be used.
        """
        user = self.store.user_of(project_token)
        if user is None:
            raise EmulatorError("No project has this token.")
        design = self.store.design(user.project_id)
        with self.store.writing() as connection:
            return add_user(
                connection,
                user.project_id,
                design,
                username=username,
                token=token,
                data_access_group=data_access_group,
                rights=_checked_rights(design, rights or {}, forms or {}, forms_export or {}),
            ).token

    @property
    def counts(self) -> Counts:
        """What was counted so far: requests, cells, the most at once, retries too early."""
        return self._counters.counts

    def add_randomization(
        self,
        project_token: str,
        target_field: str,
        allocations: Sequence[Allocation],
        *,
        randomization_id: int = 1,
        target_event: str = "",
        strata: Mapping[str, str] | None = None,
        concealed: bool = False,
    ) -> None:
        """Give a project a randomization with its allocation table.

        Args:
            project_token: Token of any user of the project.
            target_field: Field that gets the group.
            allocations: The table; records take its lines in order.
            randomization_id: Its number on the server.
            target_event: Unique name of the field's event in a longitudinal project.
            strata: Field a record must have filled → unique name of its event, "" in a classic
                project; each allocation names the values.
            concealed: Whether the alternates of the table are hidden.

        Raises:
            EmulatorError: No project has the token, or the number is taken.
        """
        user = self.store.user_of(project_token)
        if user is None:
            raise EmulatorError("No project has this token.")
        made = Randomization(
            randomization_id, target_field, target_event, dict(strata or {}), concealed
        )
        try:
            with self.store.writing() as connection:
                add_randomization(connection, user.project_id, made, allocations)
        except sqlite3.IntegrityError as error:
            raise EmulatorError(f"There is a randomization {randomization_id} already.") from error

    @property
    def store(self) -> Store:
        """The state while the emulator runs.

        Raises:
            EmulatorError: It does not run.
        """
        if self._store is None:
            raise EmulatorError("The emulator is not running: use it in a `with` statement.")
        return self._store

    def _state_path(self) -> Path:
        if self._state is not None:
            return Path(self._state)
        self._folder = tempfile.TemporaryDirectory(prefix="redcap-emulator-")
        return Path(self._folder.name) / "state.sqlite"

    def _listen(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, port))
        except OSError as error:
            listener.close()
            raise EmulatorError(
                f"Cannot listen on {self._host} port {port}: {error.strerror}."
            ) from error
        except OverflowError:
            listener.close()
            raise EmulatorError(f"There is no port {port}: they go from 0 to 65535.") from None
        # Connections queue from here on, so nobody needs to wait for the thread.
        listener.listen(_BACKLOG)
        self._port = int(listener.getsockname()[1])
        return listener


def _checked_rights(
    design: Design,
    rights: Mapping[str, int],
    forms: Mapping[str, int],
    forms_export: Mapping[str, int],
) -> Rights:
    unknown = {*rights} - {*EVERY_RIGHT} | ({*forms} | {*forms_export}) - {*design.form_order}
    if unknown:
        raise EmulatorError(f"No right or instrument is called {', '.join(sorted(unknown))}.")
    return Rights({**EVERY_RIGHT, **rights}, dict(forms), dict(forms_export))
