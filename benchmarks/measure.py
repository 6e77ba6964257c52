"""Times of alternatives taken in turns in one process, until their ratio holds still."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch

Step = Callable[[], object]

STEADY = 0.05
"""Width of the interval of a median ratio at which it counts as steady, as a share of it."""
SHORTEST = 0.02
"""Seconds below which a timing repeats its step: clocks and schedulers are coarse."""
LONG = 1.0
"""Seconds of a step that is never repeated, however much slower its first run was."""
LEAST, MOST = 2, 200
"""Rounds taken however long they are, and at most."""


class Spread(NamedTuple):
    """A median and how far the values lie apart."""

    median: float
    low: float
    """10 % of the values lie below."""
    high: float
    """10 % of the values lie above."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value; between two values it is interpolated."""
        return cls(quantile(values, 0.5), quantile(values, 0.1), quantile(values, 0.9))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of the values lies below, linear between two of them."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Where the true median lies, with a confidence of 95 %.

    Between two order statistics, which assumes nothing about how the values are distributed. Fewer
    than six values cannot give that confidence: then everything is possible.
    """
    n = len(values)
    ordered = sorted(values)
    outside, k = 0.0, 0  # the probability that fewer than k values lie below the median
    while outside + math.comb(n, k) / 2**n <= 0.025:
        outside += math.comb(n, k) / 2**n
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else (-math.inf, math.inf)


def is_steady(values: Sequence[float]) -> bool:
    """Whether the median is known well enough."""
    low, high = median_interval(values)
    return high - low <= STEADY * quantile(values, 0.5)


def ratios(own: Sequence[float], other: Sequence[float]) -> list[float]:
    """How many times longer the other took, round by round."""
    return [b / a for a, b in zip(own, other, strict=True)]


def synchronize(device: torch.device) -> None:
    """Waits until a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_in_turns(
    steps: Mapping[str, Step],
    pairs: Sequence[tuple[str, str]],
    *,
    device: torch.device,
    seconds: float,
    warm: Mapping[str, float] = MappingProxyType({}),
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Runs steps in turns (A B A B ...), so that what else the machine does hits all alike.

    It ends when the median ratio of every pair is steady, or the time is up.

    Args:
        steps: By name; each has run at least once, so that allocators and caches are warm.
        pairs: Names of the two steps whose ratio counts.
        device: Where they run.
        seconds: Time after which no further round begins.
        warm: What each step took at first, roughly: a long one is not tried again.
        clock: Tells seconds.

    Returns:
        For each name the seconds of every round.
    """

    def timed(step: Step, calls: int) -> float:
        synchronize(device)
        start = clock()
        for _ in range(calls):
            step()
        synchronize(device)
        return (clock() - start) / calls

    begun = clock()
    calls = {
        name: 1 if warm.get(name, 0.0) > LONG else math.ceil(SHORTEST / max(timed(step, 1), 1e-7))
        for name, step in steps.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for done in range(1, MOST + 1):
        for name, step in steps.items():
            taken[name].append(timed(step, calls[name]))
        if done >= LEAST and clock() - begun >= seconds:
            break
        if pairs and all(is_steady(ratios(taken[a], taken[b])) for a, b in pairs):
            break
        if not pairs and all(is_steady(values) for values in taken.values()):
            break
    return taken
