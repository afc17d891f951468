"""Decides which requests a fault strikes: by content, by share and seed, by count."""

from dataclasses import dataclass
from hashlib import sha256

from redcap_dagster.emulator.faults.fault import Fault

_SPAN = float(1 << 64)


@dataclass(frozen=True)
class Arrival:
    """One request as faults see it.

    Attributes:
        content: What is asked for.
        action: What is to be done with it; `export` or `import` when none was sent.
        digest: Tells one request from another; a repeated request has the same.
        attempt: How often the same request came before.
        address: Where it came from.
    """

    content: str
    action: str
    digest: str
    attempt: int
    address: str


@dataclass
class Strikes:
    """A fault with the count of what it met and what it struck."""

    fault: Fault
    met: int = 0
    struck: int = 0

    def strikes(self, arrival: Arrival) -> bool:
        """Count a request and say whether the fault strikes it."""
        fault = self.fault
        if fault.contents and arrival.content not in fault.contents:
            return False
        if fault.text("action") not in {"", arrival.action}:
            return False
        self.met += 1
        if self.met <= fault.whole("after"):
            return False
        if 0 < fault.whole("times") <= self.struck:
            return False
        if draw(fault, arrival) >= fault.number("share"):
            return False
        self.struck += 1
        return True


def draw(fault: Fault, arrival: Arrival, purpose: str = "") -> float:
    """Return a number from 0 to 1 that depends on the seed and the request alone.

    Threads may send requests in any order: the same ones are struck.
    """
    parts = (str(fault.whole("seed")), fault.kind, arrival.digest, str(arrival.attempt), purpose)
    return int.from_bytes(sha256("\0".join(parts).encode()).digest()[:8], "big") / _SPAN
