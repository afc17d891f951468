"""Random draws that come out the same on every Python, machine and library version.

`random.Random.random()` is the only generator whose numbers Python promises to keep. Every draw
here is built from it with plain arithmetic; logarithms and powers differ in the last bit between
C libraries, and `sum` adds floats otherwise since Python 3.12 (`fsum` is exact everywhere).
"""

import math
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of draws named by a seed and a purpose; streams do not disturb each other."""

    def __init__(self, seed: int, purpose: str) -> None:
        # Made-up people need no cryptographic randomness.
        self._random = random.Random(f"{seed}/{purpose}")  # noqa: S311

    def number(self, low: float, high: float) -> float:
        """A number between two bounds, evenly spread."""
        return low + (high - low) * self._random.random()

    def integer(self, low: int, high: int) -> int:
        """A whole number between two bounds, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Whether something that happens with this probability happens."""
        return self._random.random() < probability

    def normal(self, mean: float, deviation: float) -> float:
        """A bell-shaped draw within six deviations: twelve even draws, summed."""
        return mean + deviation * (math.fsum(self._random.random() for _ in range(12)) - 6)

    def between(self, mean: float, deviation: float, low: float, high: float) -> float:
        """A bell-shaped draw, moved to the nearer bound when outside."""
        return min(max(self.normal(mean, deviation), low), high)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(self._random.random() * len(options))]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """One of the keys, as often as its weight says."""
        left = self._random.random() * math.fsum(weights.values())
        for option, weight in weights.items():
            left -= weight
            if left < 0:
                return option
        return list(weights)[-1]

    def some(self, probabilities: Mapping[str, float]) -> set[str]:
        """Every key that happens, each with its own probability."""
        return {option for option, p in probabilities.items() if self.chance(p)}

    def day(self, first: date, last: date) -> date:
        """A day between two days, both included, on a working day."""
        return working_day(first + timedelta(days=self.integer(0, (last - first).days)))


def working_day(day: date) -> date:
    """The day itself, or the Monday after it."""
    return day + timedelta(days=(0, 0, 0, 0, 0, 2, 1)[day.weekday()])
