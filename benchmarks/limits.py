"""What the machine could do at best: rates measured here, and the work that a step cannot avoid."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Step, synchronize

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SIDES = {"cpu": (768, 1536), "cuda": (4096, 8192)}
COPIED = {"cpu": 2**27, "cuda": 2**30}
"""Bytes of the array whose copy tells the bandwidth: far beyond any cache."""
TRIES = 12


class Flops(NamedTuple):
    """Multiplications and additions of matrix products."""

    amount: float
    precision: str = "float32"
    threads: int = 0
    """0: as many as the benchmark has."""


class Bytes(NamedTuple):
    """Bytes that have to be read and written in memory."""

    amount: float
    threads: int = 0


class Part(NamedTuple):
    """A part of the work that is timed beside the whole, in the same turns."""

    step: str


Limit = Flops | Bytes | Part


class Rates(NamedTuple):
    """What was measured at the beginning, by number of threads.

    Attributes:
        threads: Those of the benchmark.
        matmul: FLOP/s of large matrix products, by precision and threads.
        bandwidth: Bytes/s read and written by a large copy, by threads.
    """

    threads: int
    matmul: Mapping[tuple[str, int], float]
    bandwidth: Mapping[int, float]


def measure_rates(device: torch.device) -> Rates:
    """Measures products and copies, with all threads of the benchmark and with one."""
    threads = torch.get_num_threads()
    matmul: dict[tuple[str, int], float] = {}
    bandwidth: dict[int, float] = {}
    try:
        for count in {threads, 1}:
            torch.set_num_threads(count)
            for precision, dtype in DTYPES.items():
                matmul[precision, count] = max(
                    _matmul_rate(side, dtype, device)
                    for side in SIDES.get(device.type, SIDES["cpu"])
                )
            bandwidth[count] = _bandwidth(device)
    finally:
        torch.set_num_threads(threads)
    return Rates(threads, matmul, bandwidth)


def limit_seconds(limit: Limit, rates: Rates, seconds: Mapping[str, float]) -> float:
    """The least time that the machine needs for the work.

    Args:
        limit: The work.
        rates: Of the machine.
        seconds: Medians of all steps that were timed in the same turns.
    """
    match limit:
        case Flops(amount, precision, threads):
            return amount / rates.matmul[precision, threads or rates.threads]
        case Bytes(amount, threads):
            return amount / rates.bandwidth[threads or rates.threads]
        case Part(step):
            return seconds[step]


def describe_limit(limit: Limit) -> str:
    """`1.2 TFLOP`, `36 MB`, or the name of the part."""
    match limit:
        case Flops(amount):
            return f"{scaled(amount)}FLOP"
        case Bytes(amount):
            return f"{scaled(amount)}B"
        case Part(step):
            return step


def scaled(count: float) -> str:
    """A count with its prefix: `1.2 T`, `36 M`.

    >>> scaled(36.2e6), scaled(1.23e12), scaled(900)
    ('36 M', '1.2 T', '900 ')
    """
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= factor:
            value = count / factor
            return f"{value:.1f} {prefix}" if value < 10 else f"{value:.0f} {prefix}"
    return f"{count:.0f} "


def count_flops(step: Step) -> float:
    """FLOPs of the products, convolutions and attention of a step, which runs once."""
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def _best_seconds(step: Callable[[], object], device: torch.device) -> float:
    """The shortest of some tries: a limit is what nothing else has disturbed."""
    best = float("inf")
    for _ in range(TRIES):
        synchronize(device)
        start = time.perf_counter()
        step()
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def _matmul_rate(side: int, dtype: torch.dtype, device: torch.device) -> float:
    a = torch.randn(side, side, device=device).to(dtype)
    b = torch.randn(side, side, device=device).to(dtype)
    out = torch.empty_like(a)
    return 2 * side**3 / _best_seconds(lambda: torch.mm(a, b, out=out), device)


def _bandwidth(device: torch.device) -> float:
    source = torch.zeros(COPIED.get(device.type, COPIED["cpu"]), dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.numel() / _best_seconds(lambda: target.copy_(source), device)
