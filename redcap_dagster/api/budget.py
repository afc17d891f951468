"""How many requests a minute this machine sends to one server.

REDCap bans an address for good when it sends more than the server's limit, 600 a minute by default
(docs/sources.md#rate-limit). The limit counts addresses, neither tokens nor processes, so every
thread and process of one user on this machine shares one ledger for each server: a small SQLite
file that `pyrate_limiter` keeps, opened under a file lock for each request. It holds times, and
nothing of a study.
"""

import hashlib
import logging
import math
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from filelock import FileLock
from pyrate_limiter import Rate, RateItem, SQLiteBucket

from redcap_dagster.api.forks import renew_after_fork
from redcap_dagster.errors import ConfigError

DEFAULT_REQUESTS_PER_MINUTE = 300
FOLDER_VARIABLE = "REDCAP_DAGSTER_BUDGET_DIR"
"""Environment variable that moves the ledgers, so that several users or containers share them."""

LONGEST_PAUSE_S = 3600.0
"""No pause that a server asked for holds all who ask it for longer."""

_WINDOW_MS = 60_000
_POLL_S = 0.005
_LONG_WAIT_S = 5.0
"""A wait that somebody who looks on should know of."""

logger = logging.getLogger(__name__)


class RequestBudget(Protocol):
    """Permission to send requests."""

    def acquire(self) -> float:
        """Wait until one request may be sent, count it, and return the seconds waited."""

    def hold_off(self, seconds: float) -> None:
        """Let nobody send for so long, because the server asked for it."""


class RequestLedger:
    """When requests were sent to one server in the last minute, in a file that processes share.

    Nothing stays open between two requests, so a process may be killed at any time.

    Args:
        folder: Where the ledger's files lie; on a local disk, as locks on network disks are none.
        server: Scheme and host.
        clock: Seconds since 1970, the same for all processes.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        folder: Path,
        server: str,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = server
        self._clock = clock
        self._sleep = sleep
        name = hashlib.sha256(server.encode()).hexdigest()[:16]
        self._database = folder / f"{name}.sqlite"
        self._held_until = folder / f"{name}.held"
        self._lock_file = folder / f"{name}.lock"
        self._told_until = 0.0
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Make the locks anew."""
        # Threads take turns by the first lock, so that only processes meet at the second.
        self._thread_turn = threading.Lock()
        self._process_turn = FileLock(self._lock_file)

    def acquire(self, per_minute: int) -> float:
        """Count one request as soon as at most `per_minute` lie in any 60 seconds."""
        waited_s = 0.0
        while True:
            with self._thread_turn, self._process_turn.acquire(poll_interval=_POLL_S):
                reason, wait_s = self._take_or_wait(per_minute)
            if wait_s <= 0:
                return waited_s
            self._tell(wait_s, reason)
            self._sleep(wait_s)
            waited_s += wait_s

    def _tell(self, wait_s: float, reason: str) -> None:
        """Say that nothing is sent for a while: once for all who wait, aloud where it is long."""
        is_news = self._clock() >= self._told_until
        is_long = wait_s >= _LONG_WAIT_S
        if is_long:
            self._told_until = self._clock() + wait_s
        logger.log(
            logging.WARNING if is_news and is_long else logging.DEBUG,
            "Waiting %.1f s before asking %s: %s.",
            wait_s,
            self._server,
            reason,
        )

    def hold_off(self, seconds: float) -> None:
        """Count no request for so long, an hour at most."""
        with self._thread_turn, self._process_turn.acquire(poll_interval=_POLL_S):
            now = self._clock()
            pause_s = max(self._read_held_s(now), min(seconds, LONGEST_PAUSE_S))
            self._write_held_until(now + pause_s)

    def _take_or_wait(self, per_minute: int) -> tuple[str, float]:
        now = self._clock()
        held_s = self._read_held_s(now)
        if held_s > 0:
            return "the server asked for a pause", held_s
        try:
            wait_s = self._take(per_minute, math.floor(now * 1000)) / 1000
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self._database}, where this machine counts its requests, cannot be used: "
                f"{error}. Remove the file, or set {FOLDER_VARIABLE} to another folder."
            ) from None
        return f"the budget of {per_minute} requests a minute is used up", wait_s

    def _take(self, per_minute: int, now_ms: int) -> int:
        """Count one request and return 0, or return the milliseconds until there is room."""
        bucket = SQLiteBucket.init_from_file(
            [Rate(per_minute, _WINDOW_MS)], table="requests", db_path=str(self._database)
        )
        try:
            # A minute's counts need not outlive the machine: waiting for the disk took 5 ms each.
            bucket.conn.execute("PRAGMA synchronous=OFF")
            bucket.leak(now_ms)
            request = RateItem("request", now_ms)
            if bucket.put(request):
                return 0
            # This bucket answers at once; the awaitable of the signature is for other stores.
            wait_ms = cast("int", bucket.waiting(request))
            if wait_ms > _WINDOW_MS + 1:
                # The clock was set back: what seems to lie in the future would block for as long.
                bucket.flush()
                wait_ms = 1
            return max(1, wait_ms)
        finally:
            bucket.close()  # type: ignore[no-untyped-call]

    def _read_held_s(self, now: float) -> float:
        try:
            held_s = float(self._held_until.read_text()) - now
        except (OSError, ValueError):
            return 0.0  # none was asked for, or the file is broken
        # What nobody can have asked for was written before the clock was set back.
        # A second more, as the sum of two floats is not exact.
        return held_s if 0 < held_s <= LONGEST_PAUSE_S + 1 else 0.0

    def _write_held_until(self, until: float) -> None:
        # Whole or not at all, as a process may be killed and a disk be full at any time.
        draft = self._held_until.with_suffix(".draft")
        try:
            draft.write_text(repr(until))
            draft.replace(self._held_until)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise ConfigError(
                f"{self._held_until}, where this machine keeps how long a server wants to be left "
                f"alone, cannot be used: {error.strerror}. Set {FOLDER_VARIABLE} to another folder."
            ) from None


class MachineBudget:
    """A budget that all clients of one server on this machine share.

    Args:
        ledger: What was sent; shared by the clients of one server.
        requests_per_minute: At most so many in any 60 seconds, those of other clients included.
        share: This machine's part of them, above 0 and at most 1, where several machines reach
            the server from one address, or are meant to spare it together.

    Raises:
        ConfigError: Less than one request a minute, or no such share.
    """

    def __init__(self, ledger: RequestLedger, requests_per_minute: int, share: float = 1.0) -> None:
        if requests_per_minute < 1:
            raise ConfigError("`requests_per_minute` must be 1 or more.")
        if not 0 < share <= 1:
            raise ConfigError("`share` is this machine's part of the budget: above 0, at most 1.")
        self._ledger = ledger
        self._per_minute = math.floor(requests_per_minute * share)
        if self._per_minute < 1:
            raise ConfigError(
                f"A `share` of {share} of {requests_per_minute} requests a minute is less than one."
            )

    def acquire(self) -> float:
        """Wait until one request may be sent, count it, and return the seconds waited."""
        return self._ledger.acquire(self._per_minute)

    def hold_off(self, seconds: float) -> None:
        """Let nobody on this machine send to the server for so long."""
        self._ledger.hold_off(seconds)


_ledgers: dict[tuple[Path, str], RequestLedger] = {}


def machine_budget(server: str, requests_per_minute: int, share: float = 1.0) -> MachineBudget:
    """The budget of a server, on the ledger that this machine keeps for it.

    Args:
        server: Scheme and host, as `address.origin` gives them.
        requests_per_minute: At most so many in any 60 seconds.
        share: This machine's part of them.

    Raises:
        ConfigError: Less than one request a minute, no such share, or no place for the ledger.
    """
    folder = _ledger_folder()
    ledger = _ledgers.setdefault((folder, server), RequestLedger(folder, server))
    return MachineBudget(ledger, requests_per_minute, share)


def _ledger_folder() -> Path:
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        folder = Path(named)
    else:
        # Not the home folder: institutions keep that on network disks, where locks do not hold.
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"redcap-dagster-{user}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {folder}, where this machine counts its requests, cannot be made "
            f"({error.strerror}). Set {FOLDER_VARIABLE} to a folder on a local disk."
        ) from None
    if not named and hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise ConfigError(
            f"The folder {folder} belongs to somebody else. Set {FOLDER_VARIABLE} to a folder of "
            "your own on a local disk."
        )
    return folder
