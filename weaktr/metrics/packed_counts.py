"""Counts that are mostly zeros as a short text, for journals."""

import base64
import zlib

import numpy as np

from weaktr.metrics.scores import Counts

NUMBER = "<u4"
"""Pixels of one image, and places in an array of counts, stay under 2^32."""


def pack_counts(counts: Counts) -> str:
    """Places and values of what is not zero.

    >>> unpack_counts(pack_counts(np.array([[0, 7], [0, 0]])), (2, 2)).tolist()
    [[0, 7], [0, 0]]
    """
    flat = counts.ravel()
    places = np.flatnonzero(flat)
    content = np.concatenate([places, flat[places]]).astype(NUMBER).tobytes()
    return base64.b64encode(zlib.compress(content, 1)).decode("ascii")


def unpack_counts(text: str, shape: tuple[int, ...]) -> Counts:
    """The counts that `pack_counts` was given, int64 of this shape."""
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(text)), NUMBER)
    places, values = numbers.reshape(2, -1)
    counts = np.zeros(shape, np.int64)
    counts.reshape(-1)[places] = values
    return counts
