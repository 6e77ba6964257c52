"""Runs one case: warms it, counts its memory, times it in turns, and makes its rows."""

import re
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Bytes, Flops, Rates, describe_limit, limit_seconds
from benchmarks.measure import Spread, is_steady, ratios, synchronize, time_in_turns
from benchmarks.memory import peak_mib
from benchmarks.results import Row


def run_case(
    case: Case, device: torch.device, rates: Rates, *, share: float = 1.0, traces: Path | None
) -> tuple[list[Row], tuple[str, ...]]:
    """Measures a case.

    Args:
        case: What to measure.
        device: Where.
        rates: Of the machine.
        share: Of the time that the case asks for.
        traces: Folder for a Chrome trace of each step; `None`: no traces.

    Returns:
        Its rows and its notes.

    Raises:
        UserError: If something that it needs is missing.
    """
    with ExitStack() as stack:
        race = case.build(device, stack)
        peaks, warm = _warm(race, device)
        pairs = [(line.ours, line.against) for line in race.lines if line.against is not None]
        seconds = time_in_turns(
            race.steps, pairs, device=device, seconds=share * case.seconds, warm=warm
        )
        if traces is not None:
            _trace(race, device, traces, case.title)
        rows = [_row(case, race, line, seconds, peaks, rates) for line in race.lines]
        return rows, tuple(race.notes())


def _warm(race: Race, device: torch.device) -> tuple[dict[str, float], dict[str, float]]:
    """Runs every step once, so that allocators are warm on all sides.

    Returns:
        Peak memory of each, MiB, and its seconds.
    """
    peaks, seconds = {}, {}
    for name, step in race.steps.items():
        begun = time.perf_counter()
        if race.memory is None:
            step()
        else:
            peaks[name] = peak_mib(step, device, race.memory)
        synchronize(device)
        seconds[name] = time.perf_counter() - begun
    return peaks, seconds


def _row(
    case: Case,
    race: Race,
    line: Line,
    seconds: dict[str, list[float]],
    peaks: dict[str, float],
    rates: Rates,
) -> Row:
    each = {name: [s / race.per.get(name, 1) for s in values] for name, values in seconds.items()}
    own = each[line.ours]
    other = None if line.against is None else each[line.against]
    faster = None if other is None else ratios(own, other)
    limit = line.limit
    if isinstance(limit, Flops | Bytes):
        limit = limit._replace(amount=limit.amount / race.per.get(line.ours, 1))
    medians = {name: median(values) for name, values in each.items()}
    return Row(
        family=case.family,
        setting=line.setting,
        seconds=Spread.of(own),
        against=line.against,
        against_seconds=None if other is None else Spread.of(other),
        faster=None if faster is None else Spread.of(faster),
        rounds=len(own),
        steady=is_steady(own if faster is None else faster),
        mib=peaks.get(line.ours),
        against_mib=None if line.against is None else peaks.get(line.against),
        limit=None if limit is None else describe_limit(limit),
        limit_seconds=None if limit is None else limit_seconds(limit, rates, medians),
    )


def _trace(race: Race, device: torch.device, folder: Path, title: str) -> None:
    """Writes a Chrome trace of one more call of each step, for chrome://tracing or Perfetto."""
    folder.mkdir(parents=True, exist_ok=True)
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    for name, step in race.steps.items():
        with profile(activities=activities) as profiler:
            step()
            synchronize(device)
        slug = re.sub(r"[^a-z0-9]+", "-", f"{title} {name}".lower()).strip("-")
        profiler.export_chrome_trace(str(folder / f"{slug}.json"))
