"""What makes a measured ratio trustworthy: quantiles, intervals, turns, an end."""

import math
from statistics import quantiles

import pytest
import torch

from benchmarks.measure import (
    LEAST,
    MOST,
    Spread,
    is_steady,
    median_interval,
    quantile,
    ratios,
    time_in_turns,
)

CPU = torch.device("cpu")


class Clock:
    """A clock that only steps move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def step(self, *seconds: float) -> "Work":
        return Work(self, list(seconds))


class Work:
    """Takes given times in turn, and then the last one."""

    def __init__(self, clock: Clock, seconds: list[float]) -> None:
        self.clock, self.seconds, self.calls = clock, seconds, 0

    def __call__(self) -> None:
        self.clock.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1


def test_quantiles_are_those_of_the_standard_library() -> None:
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
    tenths = quantiles(values, n=10, method="inclusive")
    assert quantile(values, 0.1) == pytest.approx(tenths[0])
    assert quantile(values, 0.5) == pytest.approx(tenths[4])
    assert Spread.of(values) == pytest.approx((3.5, tenths[0], tenths[8]))


def test_the_spread_of_one_value_is_that_value() -> None:
    assert Spread.of([2.0]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("count", "lowest", "highest"),
    [(6, 1, 6), (8, 1, 8), (9, 2, 8), (20, 6, 15), (100, 40, 61)],  # as in tables of the sign test
)
def test_the_interval_of_a_median_lies_between_these_order_statistics(
    count: int, lowest: int, highest: int
) -> None:
    values = [float(value) for value in range(count, 0, -1)]
    assert median_interval(values) == (lowest, highest)


def test_few_values_say_nothing_about_the_median() -> None:
    assert median_interval([1.0] * 5) == (-math.inf, math.inf)
    assert not is_steady([1.0] * 5)
    assert is_steady([1.0] * 6)


def test_a_median_is_steady_when_its_interval_is_narrow() -> None:
    assert is_steady([1.0, 1.01, 1.02, 1.03, 1.04, 1.05])
    assert not is_steady([1.0, 1.01, 1.02, 1.03, 1.04, 1.07])


def test_ratios_are_taken_round_by_round() -> None:
    # The machine was half as fast in the second round, which does not touch the ratio.
    assert ratios([1.0, 2.0], [3.0, 6.0]) == [3.0, 3.0]


def test_steps_take_turns_until_the_ratio_is_steady() -> None:
    clock = Clock()
    own, other = clock.step(1.0), clock.step(2.0)
    taken = time_in_turns(
        {"own": own, "other": other},
        [("own", "other")],
        device=CPU,
        seconds=1000,
        clock=clock,
    )
    assert taken == {"own": [1.0] * 6, "other": [2.0] * 6}
    assert own.calls == other.calls == 7  # one tells how long the step is


def test_time_ends_what_never_gets_steady() -> None:
    clock = Clock()
    wild = clock.step(*[1.0, 5.0] * 50)
    taken = time_in_turns(
        {"own": wild, "other": clock.step(1.0)},
        [("own", "other")],
        device=CPU,
        seconds=60,
        clock=clock,
    )
    assert 60 <= clock.now <= 66
    assert LEAST < len(taken["own"]) < MOST


def test_a_long_step_is_timed_at_least_twice() -> None:
    clock = Clock()
    step = clock.step(500.0)
    taken = time_in_turns({"own": step}, [], device=CPU, seconds=1, clock=clock)
    assert taken == {"own": [500.0] * LEAST}


def test_a_long_step_that_has_run_is_not_tried_again() -> None:
    clock = Clock()
    step = clock.step(500.0)
    time_in_turns({"own": step}, [], device=CPU, seconds=1, warm={"own": 600.0}, clock=clock)
    assert step.calls == LEAST


def test_a_short_step_is_repeated_and_one_call_is_told() -> None:
    clock = Clock()
    step = clock.step(0.001)
    taken = time_in_turns({"own": step}, [], device=CPU, seconds=1, clock=clock)
    assert taken["own"] == pytest.approx([0.001] * 6)
    assert step.calls == 1 + 6 * 20
