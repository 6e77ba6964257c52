"""What can be told from a mask file: its ids, and how it is stored."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weaktr.data.images import PixelLimit, digest_bytes, read_bytes
from weaktr.data.masks import decode_stored
from weaktr.labels import VOID

Colour = tuple[int, int, int]
_WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """What indexing learns about a mask file.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        ids: The ids in it, ascending, as stored.
        digest: Hex blake2b (128 bits) of the file's bytes.
        colours: Of these ids, by the file's palette; `None`: it has none.
        black_and_white: Whether a pixel is one bit, so that white is id 1.
    """

    width: int
    height: int
    ids: tuple[int, ...]
    digest: str
    colours: tuple[Colour, ...] | None = None
    black_and_white: bool = False


def inspect_mask(path: str | Path, limit: PixelLimit | None = None) -> MaskFacts:
    """Size, ids, palette and digest of a mask file.

    Raises:
        UserError: As `weaktr.data.masks.read_mask`.
    """
    data = read_bytes(path)
    stored = decode_stored(data, path, limit)
    height, width = stored.ids.shape
    present = np.flatnonzero(np.bincount(stored.ids.ravel(), minlength=256)).tolist()
    colours = None
    if stored.palette is not None:
        triples = list(zip(*[iter(stored.palette)] * 3, strict=False))
        colours = tuple(triples[id_] if id_ < len(triples) else (0, 0, 0) for id_ in present)
    return MaskFacts(
        width, height, tuple(present), digest_bytes(data), colours, stored.black_and_white
    )


def white_is_the_class(masks: Iterable[MaskFacts], source_ids: Collection[int]) -> bool:
    """Whether masks of one class are black and white, so that 255 is the class and not void.

    That is: there is one class, some mask has 255, and no mask that could hold other ids has a 1.
    What tools store in one bit has id 1 for white; in eight bits the same picture has 255.

    Args:
        masks: All masks of a data set.
        source_ids: Ids of the classes in them.
    """
    if set(source_ids) != {1}:
        return False
    found = False
    for mask in masks:
        if mask.black_and_white:
            continue
        if not set(mask.ids) <= {0, VOID}:
            return False
        if VOID in mask.ids:
            if mask.colours is not None and mask.colours[mask.ids.index(VOID)] != _WHITE:
                return False
            found = True
    return found
