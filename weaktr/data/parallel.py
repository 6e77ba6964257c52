"""One function over many items, in several processes where that pays."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from typing import TypeVar

from weaktr.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")

_SERIAL_BELOW = 512
"""Starting a process costs about as much as decoding this many small images."""
_CHUNK = 64


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    description: str,
    *,
    workers: int | None = None,
) -> Iterator[Result]:
    """Results in the order of the items, with a progress bar on a terminal.

    Args:
        function: A module-level function (it is sent to other processes by name).
        items: Its arguments; they and the results must be picklable.
        description: What is being done, in a few words.
        workers: Processes; `None`: one per core. With one, or with few items, none is started.
    """
    if workers is None:
        workers = _cores()
    if workers <= 1 or len(items) < _SERIAL_BELOW:
        yield from track(map(function, items), description, total=len(items))
        return
    # Spawned, not forked: a fork would copy the locks of the caller's threads (MLflow, torch).
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        results = pool.map(function, items, chunksize=_CHUNK)
        yield from track(results, description, total=len(items))


def end_with_parent() -> None:
    """Lets a process of a pool neither outlive the one that started it nor be stopped before it.

    A pool's processes wait for work for ever when theirs is killed, and a Ctrl-C reaches them all.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_leave, args=(parent,), daemon=True).start()


def _wait_and_leave(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
