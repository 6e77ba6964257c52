"""Order and seeds of samples, which depend on (seed, epoch, sample id) and on nothing else.

An item is asked for as `(epoch, index)`. Results then do not depend on the number of loader
processes, and an epoch can be repeated alone, which is what makes a resumed run equal an
uninterrupted one.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import BatchSampler, Sampler

from weaktr.distributed import share

Key = tuple[int, int]
"""Epoch and index of a sample."""
_OWN_BITS = np.random.MT19937(0)
"""What `numpy` draws from while a sample is made."""


def sample_seed(*parts: object) -> int:
    """A 32-bit seed from any printable parts, equal on every machine."""
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds `random`, `numpy` and `torch` (CPU) inside the block and restores them after it."""
    python_state = random.getstate()
    numpys = np.random.get_bit_generator()  # type: ignore[attr-defined]
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        # Twenty times faster than to copy the state.
        np.random.set_bit_generator(_OWN_BITS)  # type: ignore[attr-defined]
        np.random.seed(seed)  # noqa: NPY002
        torch.random.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_bit_generator(numpys)  # type: ignore[attr-defined]


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
