import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaktr.batching import equal_shape_batches, map_ahead, read_run_write, shape_batches

Shapes = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=40)


def test_map_ahead_keeps_order_and_reads_only_a_little_ahead() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    with ThreadPoolExecutor(4) as pool:
        results = map_ahead(pool, lambda i: i * i, source(), ahead=3)
        for i, result in enumerate(results):
            assert result == i * i
            assert len(taken) <= i + 5


def test_map_ahead_works_side_by_side() -> None:
    together = threading.Barrier(2, timeout=10)
    with ThreadPoolExecutor(2) as pool:
        assert len(list(map_ahead(pool, lambda _: together.wait(), range(4), ahead=2))) == 4


def test_map_ahead_raises_what_a_call_raises() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        list(map_ahead(pool, lambda i: 1 // i, [1, 0], ahead=1))


@given(shapes=Shapes, window=st.integers(1, 9), held=st.integers(1, 30))
def test_batches_hold_every_item_once_with_one_shape_each(
    shapes: list[tuple[int, int]], window: int, held: int
) -> None:
    items = list(enumerate(shapes))
    read = 0

    def source() -> Iterator[tuple[int, tuple[int, int]]]:
        nonlocal read
        for item in items:
            read += 1
            yield item

    out: list[tuple[int, tuple[int, int]]] = []
    for batch in equal_shape_batches(
        source(), lambda item: item[1], images=4, pixels=12, held=held, window=window
    ):
        assert len({shape for _, shape in batch}) == 1
        assert len(batch) <= 4
        assert (len(batch) - 1) * batch[0][1][0] * batch[0][1][1] < 12
        out += batch
        if read < len(items):
            waiting = [item for item in items[:read] if item not in out]
            oldest = min((index for index, _ in waiting), default=read)
            assert read - oldest <= window + 1
    assert sorted(out) == items


def test_images_of_one_shape_fill_batches() -> None:
    batches = equal_shape_batches(
        [(2, 2)] * 7, lambda shape: shape, images=3, pixels=100, held=1000, window=100
    )
    assert [len(batch) for batch in batches] == [3, 3, 1]


def test_few_pixels_wait() -> None:
    shapes = [(1, side) for side in range(1, 30)]
    batches = equal_shape_batches(
        shapes, lambda shape: shape, images=8, pixels=1000, held=50, window=1000
    )
    waiting, read = 0, iter(shapes)
    for batch in batches:
        while waiting < 50 and (shape := next(read, None)) is not None:
            waiting += shape[1]
        assert waiting < 50 + 30
        waiting -= sum(shape[1] for shape in batch)


def test_shape_batches() -> None:
    a, b = (3, 4), (4, 3)
    assert shape_batches([a, b, a, a, b], 2) == [[0, 2], [3], [1, 4]]
    assert shape_batches([], 2) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_files_are_read_ahead_and_written_behind_the_step_between(threads: int) -> None:
    """While the step works on an item, the next is read and the one before written."""
    here = threading.get_ident()
    reading, written = threading.Event(), threading.Event()

    def read(i: int) -> int:
        assert threading.get_ident() != here
        if i == 1:
            reading.set()
        return 10 * i

    def run(values: Iterator[int]) -> Iterator[int]:
        for place, value in enumerate(values):
            assert threading.get_ident() == here
            if place == 0:
                assert reading.wait(10), "the next item is read while this one runs"
            if place == 2:
                assert written.wait(10), "what is done is written while the next runs"
            yield value + 1

    def write(value: int) -> int:
        assert threading.get_ident() != here
        written.set()
        return -value

    found = read_run_write(range(5), read=read, run=run, write=write, threads=threads)
    assert list(found) == [-1, -11, -21, -31, -41]


def test_a_failure_of_any_step_comes_out() -> None:
    def fail(i: int) -> int:
        return 1 // i

    keep = {"read": int, "run": iter, "write": int}
    for step, broken in (("read", fail), ("write", fail), ("run", lambda xs: map(fail, xs))):
        steps: dict[str, Any] = {**keep, step: broken}
        with pytest.raises(ZeroDivisionError):
            list(read_run_write([2, 0], threads=2, **steps))
