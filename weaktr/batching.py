"""Many items through slow steps, side by side, with a bound on how many are held."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Ran = TypeVar("Ran")
Result = TypeVar("Result")
Shape = tuple[int, int]


@contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that, when the block fails or is stopped, begins no call that waits."""
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def map_ahead(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Generator[Result]:
    """Results in the order of the items, each worked out before it is asked for.

    Args:
        pool: Runs the calls.
        function: Called with each item.
        items: Consumed lazily, in the caller's thread.
        ahead: Most results under way or waiting.
    """
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def read_run_write(
    items: Iterable[Item],
    *,
    read: Callable[[Item], Read],
    run: Callable[[Iterator[Read]], Iterable[Ran]],
    write: Callable[[Ran], Result],
    threads: int,
) -> Generator[Result]:
    """Items through a step that is taken one after another, and what comes before and after it.

    Files are read ahead of the step and results written behind it, by threads. None of the results
    depends on how many.

    Args:
        items: Consumed lazily.
        read: Called with each item, in threads.
        run: From all that was read to all that is to be written, in the caller's thread.
        write: Called with each of these, in threads.
        threads: That read, and as many that write.

    Yields:
        What `write` returns, in the order of what `run` gives.
    """
    with thread_pool(threads) as readers, thread_pool(threads) as writers:
        ready = map_ahead(readers, read, items, ahead=2 * threads)
        yield from map_ahead(writers, write, run(ready), ahead=2 * threads)


def equal_shape_batches(
    items: Iterable[Item],
    shape_of: Callable[[Item], Shape],
    *,
    images: int,
    pixels: int,
    held: int,
    window: int,
) -> Iterator[list[Item]]:
    """Batches of one shape each, gathered from a stream that is read only a little ahead.

    Args:
        items: Consumed lazily.
        shape_of: Height and width of an item.
        images: Most items per batch.
        pixels: A batch that reaches so many is complete.
        held: When so many pixels wait in incomplete batches, the one begun first goes on as it is.
        window: So does one that was begun so many items ago: items do not overtake each other by
            more.

    Yields:
        Every item once.
    """
    groups: dict[Shape, list[Item]] = {}
    begun: dict[Shape, int] = {}
    waiting = 0
    for index, item in enumerate(items):
        shape = shape_of(item)
        begun.setdefault(shape, index)
        groups.setdefault(shape, []).append(item)
        area = shape[0] * shape[1]
        waiting += area
        size = len(groups[shape])
        ready = [shape] if size >= images or size * area >= pixels else []
        while ready or (
            begun and (waiting >= held or index - next(iter(begun.values())) >= window)
        ):
            first = ready.pop() if ready else next(iter(begun))
            batch = groups.pop(first)
            del begun[first]
            waiting -= len(batch) * first[0] * first[1]
            yield batch
    yield from groups.values()


def shape_batches(shapes: Sequence[tuple[int, int]], batch_size: int) -> list[list[int]]:
    """Indices of images in batches of one shape each.

    Args:
        shapes: Shape of every image.
        batch_size: Most images per batch.

    Returns:
        Batches in the order in which each shape first occurs; every index occurs once.

    >>> shape_batches([(3, 4), (4, 3), (3, 4), (3, 4)], batch_size=2)
    [[0, 2], [3], [1]]
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for i, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(i)
    return [
        group[start : start + batch_size]
        for group in groups.values()
        for start in range(0, len(group), batch_size)
    ]
