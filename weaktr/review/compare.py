"""Runs the segmenter over the images that its labels belong to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from weaktr.batching import shape_batches
from weaktr.data.images import read_image
from weaktr.data.manifest import Record
from weaktr.data.masks import read_mask
from weaktr.errors import UserError
from weaktr.labels import Pixels
from weaktr.models.segmenter import Segmenter
from weaktr.predict.run import prediction_params
from weaktr.progress import track
from weaktr.segmentation.segment import segment

BATCH = 8
"""Images of equal shape that are segmented together."""


class Compared(NamedTuple):
    """An image with its label and what the segmenter sees."""

    record: Record
    image: Pixels
    """RGB `[H, W, 3]`."""
    label: Pixels
    """`[H, W]`."""
    prediction: Pixels
    """`[H, W]`."""


def compare(
    model: Segmenter, records: Sequence[Record], labels: Mapping[str, str]
) -> Iterator[Compared]:
    """Segments images as `weaktr predict` does, with all classes allowed.

    Args:
        model: In evaluation mode.
        records: The images, each of which has a label.
        labels: Path of each image's label, by id.

    Yields:
        Every image, in the order of batches of equal shape.

    Raises:
        UserError: If an image or a label cannot be read, or if they differ in size.
    """
    params = prediction_params(model.params)
    for batch in track(shape_batches([(r.height, r.width) for r in records], BATCH), "review"):
        images = [np.array(read_image(records[i].image)) for i in batch]
        for i, image, found in zip(batch, images, segment(model, images, params), strict=True):
            record = records[i]
            label = read_mask(labels[record.id])
            if label.shape != image.shape[:2]:
                raise UserError(
                    f"{labels[record.id]} is {label.shape[1]}x{label.shape[0]} pixels but its "
                    f"image {record.image} is {image.shape[1]}x{image.shape[0]}; remake the label."
                )
            yield Compared(record, image, label, found.labels)
