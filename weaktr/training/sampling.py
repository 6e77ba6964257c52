"""Order and seeds of samples, which depend on (seed, epoch, sample id) and on nothing else.

An item is asked for as `(epoch, index)`. Results then do not depend on the number of loader
processes, and an epoch can be repeated alone, which is what makes a resumed run equal an
uninterrupted one.
"""

import hashlib
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from weaktr.distributed import share

Key = tuple[int, int]
"""Epoch and index of a sample."""


def sample_seed(*parts: object) -> int:
    """A 32-bit seed from any printable parts, equal on every machine."""
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds `random`, `numpy` and `torch` (CPU) inside the block and restores them after it."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.random.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


class EpochSampler(Sampler[Key]):
    """Every index once per epoch, in an order drawn from (seed, epoch)."""

    def __init__(self, length: int, *, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0
        self.skipped = 0

    def begin(self, epoch: int, *, skip: int = 0) -> None:
        """Sets the epoch, and how many of its first samples were taken before a stop."""
        self.epoch, self.skipped = epoch, skip

    def order(self, epoch: int) -> list[int]:
        """All indices, as an epoch takes them."""
        generator = torch.Generator().manual_seed(sample_seed(self.seed, epoch, "order"))
        order: list[int] = torch.randperm(self.length, generator=generator).tolist()
        return order

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Key]:
        yield from ((self.epoch, index) for index in self.order(self.epoch)[self.skipped :])


class SharedBatches(Sampler[list[Key]]):
    """Of every batch the samples that this process takes: all of them where it is the only one.

    The last, smaller batch of an epoch is dropped unless it is the only one.

    Args:
        sampler: Gives the keys.
        batch_size: Samples per batch, of all processes together.
    """

    def __init__(self, sampler: EpochSampler, batch_size: int) -> None:
        drop_last = len(sampler) >= batch_size
        self.batches = BatchSampler(sampler, batch_size, drop_last)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Key]]:
        for batch in self.batches:
            yield list(share(batch))  # type: ignore[arg-type]


def training_loader(
    dataset: Dataset[tuple[Tensor, Tensor]],
    sampler: EpochSampler,
    *,
    batch_size: int,
    workers: int,
    pin_memory: bool,
) -> DataLoader[tuple[Tensor, Tensor]]:
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
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_the_main_process,
        generator=torch.Generator(),  # else it draws from the network's, more or less with workers
    )


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
