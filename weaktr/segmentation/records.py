"""The images of a split, from files to what is written of each: one loop for all who segment."""

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from weaktr.batching import read_run_write
from weaktr.data.images import read_image
from weaktr.data.manifest import Record
from weaktr.distributed import share
from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter
from weaktr.progress import track
from weaktr.segmentation.look import Seen, look
from weaktr.segmentation.sliding_window import InferenceSettings

GROUP = 8
"""Images whose windows share forward passes. A group is looked at whole or not at all, whatever has
been done before: in other company the last digits of a result would change."""

Result = TypeVar("Result")


def each_record(
    model: Segmenter,
    records: Sequence[Record],
    settings: InferenceSettings,
    finish: Callable[[Record, Seen], Result],
    *,
    done: Container[str],
    threads: int,
    title: str,
) -> Iterator[Result]:
    """Looks at every image of a split, or of this process's share of it.

    Images are read ahead of the network, and `finish` is called behind it.

    Args:
        model: In evaluation mode; inputs go to its device.
        records: The images.
        settings: Windows, scales and flip.
        finish: What is done with an image that the network has seen, in a thread.
        done: Ids of images that need not be finished.
        threads: That read, and as many that finish.
        title: Of the progress bar.

    Yields:
        What `finish` returns, in the order of the images.

    Raises:
        UserError: If an image cannot be read.
    """
    groups = [records[first : first + GROUP] for first in range(0, len(records), GROUP)]
    groups = list(share([g for g in groups if any(record.id not in done for record in g)]))
    left = [record for group in groups for record in group]

    def read(record: Record) -> Pixels:
        return np.array(read_image(record.image))

    def run(images: Iterator[Pixels]) -> Iterator[tuple[Record, Seen]]:
        for group in groups:
            seen = look(model, islice(images, len(group)), settings)
            yield from zip(group, seen, strict=True)

    def write(job: tuple[Record, Seen]) -> list[Result]:
        return [] if job[0].id in done else [finish(*job)]

    results = read_run_write(left, read=read, run=run, write=write, threads=threads)
    for some in track(results, title, total=len(left)):
        yield from some
