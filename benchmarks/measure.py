"""Timing and peak memory of alternatives, taken in turns in one process."""

import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Step = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table: ours against one reference.

    Attributes:
        step: What is measured.
        setting: Sizes and precision.
        seconds: Ours, median.
        reference: Name of what it is compared with.
        reference_seconds: The reference, median.
        peak_mib: Peak of the memory that our step allocates, in MiB.
        reference_peak_mib: The reference's.
        note: What else is to be said.
    """

    step: str
    setting: str
    seconds: float
    reference: str
    reference_seconds: float
    peak_mib: float | None = None
    reference_peak_mib: float | None = None
    note: str = ""

    @property
    def speedup(self) -> float:
        """How many times faster than the reference."""
        return self.reference_seconds / self.seconds


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_seconds(
    steps: Mapping[str, Step],
    *,
    device: torch.device,
    repeats: int,
) -> dict[str, float]:
    """Runs steps in turns, so that what else the machine does hits all alike.

    Args:
        steps: By name. Each is run once more beforehand.
        device: Waited for before the clock is read.
        repeats: Of every step.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            _synchronize(device)
            start = time.perf_counter()
            step()
            _synchronize(device)
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages that operators make, and their peak (backward included)."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        before = {
            leaf.untyped_storage().data_ptr()
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage.data_ptr() not in before | self.known:
                    self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        pointer, size = storage.data_ptr(), storage.nbytes()
        self.known.add(pointer)
        self.live += size
        self.peak = max(self.peak, self.live)

        def release() -> None:
            self.known.discard(pointer)
            self.live -= size

        weakref.finalize(storage, release)


def peak_mib(step: Step, device: torch.device) -> float:
    """Peak of the memory that a step allocates beyond what is there already, in MiB.

    On a CPU it is the peak of the live operator results, without scratch inside an operator.
    """
    if device.type == "cuda":
        _synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        _synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with _LiveBytes() as counter:
        step()
    return counter.peak / 2**20
