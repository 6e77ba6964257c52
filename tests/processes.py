"""Functions called in real processes that form a group, as `torchrun` would start them."""

import multiprocessing
import os
import pickle
import socket
from collections.abc import Callable
from typing import Any


def in_processes(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What a function of a test module gives in each of so many processes, by rank."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", function.__module__])
    results = context.Queue()
    workers = [
        context.Process(target=_member, args=(rank, count, port, results, function, arguments))
        for rank in range(count)
    ]
    for worker in workers:
        worker.start()
    found = dict(results.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(timeout=30)
    return [pickle.loads(found[rank]) for rank in range(count)]


def _member(
    rank: int,
    count: int,
    port: int,
    results: Any,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
    }
    import torch

    from weaktr.distributed import process_group

    torch.set_num_threads(1)
    with process_group():
        # Pickled here, as tensors in a queue are lent by a process that may have ended.
        results.put((rank, pickle.dumps(function(*arguments))))
