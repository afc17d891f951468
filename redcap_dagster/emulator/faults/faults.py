"""The faults of one emulator: added, removed and counted while it runs."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from redcap_dagster.emulator.faults.fault import Fault, build_fault, parse_fault
from redcap_dagster.emulator.faults.kinds import SELECTED_KINDS, Value
from redcap_dagster.emulator.faults.limits import MinuteWindow
from redcap_dagster.emulator.faults.selection import Arrival, Strikes
from redcap_dagster.emulator.parameters import Parameters

Seconds = Callable[[], float]
_TELLS_PROJECT_APART = "token"


class Faults:
    """What an emulator does wrong on request. Safe to use from many threads.

    Args:
        seconds: A clock that never goes back, in seconds.
        clock: The right time.
    """

    def __init__(
        self, seconds: Seconds = time.monotonic, clock: Callable[[], datetime] = datetime.now
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._strikes: list[Strikes] = []
        self._windows: dict[int, MinuteWindow] = {}
        self._banned: dict[str, int] = {}
        self._away_until = 0.0
        self._attempts: Counter[str] = Counter()
        self._skew = timedelta()

    def add(self, fault: str, **options: Value) -> Fault:
        """Add a fault.

        Examples:
            redcap.faults.add("status:code=502,share=0.1")
            redcap.faults.add("memory", cells=50_000, body="both", content="record")

        Args:
            fault: A spec as the command line takes it, or the name of a kind with `options`.
            options: Options of the kind, and which requests it strikes.

        Raises:
            EmulatorError: There is no such fault or option, or a value is none.
        """
        added = build_fault(fault, options) if options else parse_fault(fault)
        with self._lock:
            if added.kind not in SELECTED_KINDS:
                self._skew += timedelta(seconds=added.number("seconds"))
            else:
                strikes = Strikes(added)
                self._strikes.append(strikes)
                self._windows[id(added)] = MinuteWindow(self._seconds)
        return added

    def remove(self, fault: Fault) -> None:
        """Remove a fault that `add` returned; a ban it brought stays."""
        with self._lock:
            if fault.kind not in SELECTED_KINDS:
                self._skew -= timedelta(seconds=fault.number("seconds"))
            self._strikes = [strikes for strikes in self._strikes if strikes.fault is not fault]
            self._windows.pop(id(fault), None)

    def clear(self) -> None:
        """Behave again: no faults, no bans, the right time, not away."""
        with self._lock:
            self._strikes.clear()
            self._windows.clear()
            self._banned.clear()
            self._attempts.clear()
            self._away_until = 0.0
            self._skew = timedelta()

    def lift_bans(self) -> None:
        """Let banned addresses in again, as an administrator would."""
        with self._lock:
            self._banned.clear()
            for window in self._windows.values():
                window.forget()

    @property
    def struck(self) -> Mapping[str, int]:
        """How many requests each kind of fault has struck, of the faults that are there now."""
        with self._lock:
            counted: Counter[str] = Counter()
            for strikes in self._strikes:
                counted[strikes.fault.kind] += strikes.struck
        return dict(counted)

    def now(self) -> datetime:
        """The server's local time, wrong by what `clock` faults say."""
        return self._clock() + self._skew

    def ban_status(self, address: str) -> int | None:
        """Return the HTTP status a banned address gets, or None for one that is not banned."""
        with self._lock:
            return self._banned.get(address)

    def ban(self, address: str, status: int) -> None:
        """Ban an address until bans are lifted."""
        with self._lock:
            self._banned[address] = status

    def is_away(self) -> bool:
        """Whether the server is away at this moment."""
        with self._lock:
            return self._seconds() < self._away_until

    def go_away(self, seconds: float) -> None:
        """Be away from now on for so many seconds."""
        with self._lock:
            self._away_until = self._seconds() + seconds

    def is_over_limit(self, fault: Fault, address: str) -> bool:
        """Count a request against a limit a minute; say whether it is above it."""
        with self._lock:
            window = self._windows.get(id(fault))
            return window is not None and window.is_over(
                address, fault.whole("requests"), float(fault.options.get("retry_after", -1))
            )

    def strike(self, parameters: Parameters, address: str) -> tuple[Arrival, tuple[Fault, ...]]:
        """Return a request as faults see it and the faults that strike it, in the order added."""
        with self._lock:
            if not self._strikes:
                return Arrival("", "", "", 0, address), ()
            arrival = self._arrival(parameters, address)
            struck = tuple(each.fault for each in self._strikes if each.strikes(arrival))
        return arrival, struck

    def _arrival(self, parameters: Parameters, address: str) -> Arrival:
        digest = sha256()
        for name, value in parameters.pairs():
            if name != _TELLS_PROJECT_APART:
                # Not the token: a random one would move the dice from run to run.
                digest.update(f"{name}\0{value}\0".encode("utf-8", "surrogatepass"))
        key = digest.hexdigest()
        attempt = self._attempts[key]
        self._attempts[key] += 1
        action = parameters.text("action") or ("import" if "data" in parameters else "export")
        return Arrival(parameters.text("content"), action, key, attempt, address)
