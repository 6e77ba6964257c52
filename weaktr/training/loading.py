"""Batches for a training, from loader processes or this one, and how long it waits for them."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from weaktr.device import PREFETCHED, threads_of_process
from weaktr.training.sampling import EpochSampler, SharedBatches

Batch = tuple[Tensor, Tensor]
LONG_WAIT = 0.2
"""Share of an epoch spent waiting for batches from which on something is said."""


def training_loader(
    dataset: Dataset[Batch],
    sampler: EpochSampler,
    *,
    batch_size: int,
    workers: int,
    pin_memory: bool,
) -> DataLoader[Batch]:
    """Batches in the sampler's order, each cut to what this process takes of it.

    Args:
        dataset: Takes `(epoch, index)` keys.
        sampler: Gives the keys.
        batch_size: Samples per batch, of all processes together.
        workers: Loader processes; they stay alive between epochs.
        pin_memory: Whether batches go to a CUDA device.
    """
    return DataLoader(
        dataset,
        batch_sampler=SharedBatches(sampler, batch_size),
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=PREFETCHED if workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_the_main_process,
        generator=torch.Generator(),  # else it draws from the network's, more or less with workers
    )


class WaitClock:
    """How much of its time a training waits for batches.

    The first batch does not count: loader processes start with it.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._waited = 0.0

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, timed."""
        stream = iter(batches)
        while True:
            begin = time.perf_counter()
            try:
                batch = next(stream)
            except StopIteration:
                return
            self._last = time.perf_counter()
            if self._first is None:
                self._first = self._last
            else:
                self._waited += self._last - begin
            yield batch

    @property
    def share(self) -> float:
        """0 to 1; 0 where fewer than two batches were taken."""
        spent = self._last - (self._first or 0.0)
        return self._waited / spent if spent > 0 and self._first is not None else 0.0


def waiting_in_words(share: float, loader: DataLoader[Batch]) -> str:
    """A sentence for a training that waits long for its batches; empty for another.

    Args:
        share: Of its time.
        loader: What it waits for.
    """
    if share <= LONG_WAIT:
        return ""
    workers, cores = loader.num_workers, threads_of_process(0)
    if workers + 1 < cores:
        way_out = f"runtime.workers above {workers} may help ({cores} CPU cores are there)"
    else:
        way_out = "all CPU cores are at it: images stored at a smaller size load faster"
    return f"training waited for images during {share:.0%} of its first epoch; {way_out}"


def _leave_signals_to_the_main_process(worker: int) -> None:
    """A stop may reach every process; the training is to end its step, and needs the batch."""
    for name in ("SIGINT", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None and hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_told_by, args=(parent.pid,), daemon=True).start()


def _end_when_told_by(process: int | None) -> None:
    """Takes SIGTERM from one process only: the training ends its loaders so, SLURM all at once."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != process:
        pass
    os._exit(0)
