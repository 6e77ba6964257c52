"""Batches of images in several processes, each with a device of its own."""

import multiprocessing
import os
import pickle
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from weaktr.batching import map_ahead
from weaktr.config.evaluation import EvaluationParams
from weaktr.data.parallel import end_with_parent
from weaktr.device import set_threads
from weaktr.errors import UserError
from weaktr.models.segmenter import Segmenter
from weaktr.predict.images import Done, Loaded, segment_batch, write
from weaktr.predict.table import Row

AHEAD = 2
"""Batches for each process that are under way or waiting."""


class Work(NamedTuple):
    """What is the same for all images."""

    model: Segmenter
    params: EvaluationParams
    output: Path
    classes: tuple[str, ...]
    overlay: bool


def rows_of_processes(
    work: Work, batches: Iterable[list[Loaded]], devices: Sequence[str]
) -> Generator[tuple[int, Row | str]]:
    """Segments and writes in processes; what they find comes back in the order of the batches.

    Args:
        work: The model may be anywhere.
        batches: Decoded images of equal shape, consumed a few ahead.
        devices: One for each process.

    Raises:
        UserError: If a process was killed.
        Exception: What went wrong in a process, as it would have here.
    """
    # Spawned, not forked: CUDA and the locks of other threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    free: SimpleQueue[str] = context.SimpleQueue()
    for device in devices:
        free.put(device)
    with TemporaryDirectory() as folder:
        # A file, as a pipe to a process that was killed before it read on would never empty, and
        # shared memory, through which torch lends tensors, is scarce in containers.
        pickled = Path(folder) / "work"
        pickled.write_bytes(pickle.dumps(work))
        start = (pickled, free, len(devices))
        pool = ProcessPoolExecutor(len(devices), context, initializer=_begin, initargs=start)
        try:
            for rows in map_ahead(pool, _do, batches, ahead=AHEAD * len(devices)):
                yield from rows
        except BrokenProcessPool:
            raise UserError(
                f"one of {len(devices)} processes was killed, as happens when memory runs out; use "
                "fewer --devices, or smaller --scales."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


_work: Work
"""What this process of a pool does."""


def _begin(pickled: Path, free: "SimpleQueue[str]", processes: int) -> None:
    """Takes a device and puts the model there."""
    global _work
    end_with_parent()
    os.environ["LOCAL_WORLD_SIZE"] = str(processes)
    set_threads(0)
    _work = pickle.loads(pickled.read_bytes())
    _work.model.to(free.get())


def _do(batch: list[Loaded]) -> list[tuple[int, Row | str]]:
    results: list[Done] = segment_batch(_work.model, batch, _work.params)
    writing = partial(write, output=_work.output, classes=_work.classes, overlay=_work.overlay)
    with ThreadPoolExecutor(len(results)) as pool:
        rows = list(pool.map(writing, results))
    return [(done.job.index, row) for done, row in zip(results, rows, strict=True)]
