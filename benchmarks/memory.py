"""Peak memory of a step: of its tensors, or of the whole process."""

import ctypes
import gc
import sys
import threading
import weakref
from typing import Any, Literal

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.measure import Step, synchronize

Kind = Literal["tensors", "process"]

EVERY = 0.005
"""Seconds between two looks at the process."""


def peak_mib(step: Step, device: torch.device, kind: Kind = "tensors") -> float:
    """Runs a step and tells the peak of the memory that it takes beyond what was there, in MiB.

    Args:
        step: What to run, once.
        device: On a GPU it is the peak of the allocator there, whatever `kind` says.
        kind: `tensors`: of live results of operators in this thread, without scratch inside an
            operator. `process`: of resident memory, with all threads, decoders and numpy.
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    if kind == "process":
        return _process_peak(step)
    with _LiveBytes() as counter:
        step()
    return counter.peak / 2**20


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


def _process_peak(step: Step) -> float:
    """Growth of the resident set while a step runs, MiB."""
    _give_back()
    process, ended = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def look() -> None:
        nonlocal most
        while not ended.wait(EVERY):
            most = max(most, process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        step()
    finally:
        ended.set()
        thread.join()
    return (most - before) / 2**20


def _give_back() -> None:
    """Returns freed memory to the system, so that one step does not live on another's."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
