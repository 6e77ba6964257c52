"""Several processes that work as one: shares of a list, sums over all, one that writes.

Each process trains on its share of every batch and labels its share of the images. With one process
there is no process group, and each function here gives back what it was given.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn

Item = TypeVar("Item")
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, whose images may be larger or whose disk slower."""


class LostProcessError(Exception):
    """Another process of the group is gone; why is for that one to say."""


def started_as_one_of_many() -> bool:
    """Whether a launcher such as `torchrun` started this process and others."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


_store: dist.Store | None = None
"""What all processes can read and write, where there are several."""


@contextmanager
def process_group() -> Iterator[None]:
    """Joins the processes that the launcher started: gloo for the CPU, NCCL for GPUs."""
    global _store
    if not started_as_one_of_many():
        yield
        return
    with _lost_if_it_fails():
        _store, rank, size = next(dist.rendezvous("env://", timeout=PATIENCE))
        dist.init_process_group(store=_store, rank=rank, world_size=size, timeout=PATIENCE)
    yield
    dist.destroy_process_group()


@cache
def fails_first() -> bool:
    """To be asked by a process that fails: whether no other one did before. The answer stays."""
    return _store is None or _store.add("failures", 1) == 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if _joined() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if _joined() else 1


def is_first() -> bool:
    """Whether this is the process that writes, tracks and prints."""
    return rank() == 0


def share(items: Sequence[Item]) -> Sequence[Item]:
    """Every n-th item of n processes, each beginning with its own number."""
    return items[rank() :: world_size()]


def gather(value: Item) -> list[Item]:
    """The value of each process, in the order of their numbers, in all of them."""
    if not _joined():
        return [value]
    values: list[Any] = [None] * world_size()
    with _lost_if_it_fails():
        dist.all_gather_object(values, value)
    return values


def gather_shares(results: Sequence[Item]) -> list[Item]:
    """What all processes made of their shares, in the order of the list that was shared out."""
    parts = gather(results)
    total = sum(map(len, parts))
    return [parts[i % len(parts)][i // len(parts)] for i in range(total)]


def from_first(value: Item) -> Item:
    """The first process's value, in all of them."""
    if not _joined():
        return value
    box: list[Any] = [value]
    with _lost_if_it_fails():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def all_sum(tensor: Tensor) -> Tensor:
    """The sum of a tensor of any shape over all processes; no gradient flows through it."""
    if not _joined():
        return tensor
    total = tensor.detach().clone()
    with _lost_if_it_fails():
        dist.all_reduce(total)
    return total


def all_max(value: int) -> int:
    """The highest of a number over all processes."""
    if not _joined():
        return value
    highest = torch.tensor(value)
    with _lost_if_it_fails():
        dist.all_reduce(highest, dist.ReduceOp.MAX)
    return int(highest)


def sum_counts(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts of any shape, added up over all processes."""
    return np.sum(gather(counts), axis=0)


def wait_for_all() -> None:
    """Returns when all processes have come here."""
    all_sum(torch.zeros(()))


def batch_share(samples: int) -> float:
    """The part that this process's samples are of the whole batch, from 0 to 1."""
    return samples / all_sum(torch.tensor(samples)).item() if _joined() else 1.0


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces each gradient with its sum over all processes, in one exchange.

    Every process has to have gradients for the same parameters.
    """
    if not _joined():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    summed = all_sum(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = summed.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def copy_from_first(model: nn.Module) -> None:
    """Gives every process the first one's parameters and buffers."""
    if _joined():
        with _lost_if_it_fails():
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def _lost_if_it_fails() -> Iterator[None]:
    """What backends raise when a process does not answer."""
    try:
        yield
    except RuntimeError as error:  # DistBackendError and its like are among them
        reason = " ".join(str(error).split())[:200]
        raise LostProcessError(f"another process does not answer ({reason})") from error
