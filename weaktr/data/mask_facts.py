"""What can be told from a mask file: its ids, and how it is stored."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weaktr.data.images import PixelLimit, digest_bytes, read_bytes
from weaktr.data.masks import decode_stored
from weaktr.labels import BACKGROUND, VOC_PALETTE, VOID, Pixels

Colour = tuple[int, int, int]
_WHITE = (255, 255, 255)
_MOST, _BORDER = 0.5, 0.9
"""Shares of a mask and of its border from which something fills it."""


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
        fills: Whether what is not background fills it (`fills_mask`).
    """

    width: int
    height: int
    ids: tuple[int, ...]
    digest: str
    colours: tuple[Colour, ...] | None = None
    black_and_white: bool = False
    fills: bool = False


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
        width,
        height,
        tuple(present),
        digest_bytes(data),
        colours,
        stored.black_and_white,
        fills_mask(stored.ids),
    )


def fills_mask(ids: Pixels) -> bool:
    """Whether what is not background is most of a mask and nearly all of its border.

    So it is where background and object are swapped, whatever the object's size.

    Args:
        ids: `[H, W]`.
    """
    marked = ids != BACKGROUND
    border = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])
    return bool(marked.mean() > _MOST and border.mean() > _BORDER)


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


def two_ids_of_a_colour(masks: Iterable[tuple[str, MaskFacts]]) -> str | None:
    """A sentence without an end on two mask files in which one colour has two ids, if there are.

    Args:
        masks: Path and facts; those without a palette are passed over.
    """
    first: dict[Colour, tuple[int, str]] = {}
    for path, facts in masks:
        shared = Counter(facts.colours or ())
        for id_, colour in zip(facts.ids, facts.colours or (), strict=False):
            if shared[colour] > 1:
                continue
            other, where = first.setdefault(colour, (id_, path))
            if other != id_:
                return (
                    f"{path} gives id {id_} the colour {colour} that id {other} has in "
                    f"{Path(where).name}: ids mean different classes in the two; save masks with "
                    "one order of the palette, or as grey"
                )
    return None


def renumbered(facts: MaskFacts, known: Collection[int]) -> tuple[int, Colour, int] | None:
    """An id whose colour stands for another id, and that id, where all colours stand for ids.

    So it looks when a program numbers a palette anew as it saves a mask.

    Args:
        facts: A mask with a palette.
        known: Ids that it may hold.
    """
    assert facts.colours is not None
    greys = {(id_, id_, id_): id_ for id_ in known}
    voc: dict[Colour, int] = {}
    for id_ in known:
        red, green, blue = VOC_PALETTE[id_].tolist()
        voc[red, green, blue] = id_
    black_and_white = facts.colours in (((0, 0, 0), (255, 255, 255)), ((255, 255, 255),))
    for meaning in (voc, greys):
        if all(colour in meaning for colour in facts.colours) and not black_and_white:
            for id_, colour in zip(facts.ids, facts.colours, strict=True):
                if meaning[colour] != id_:
                    return id_, colour, meaning[colour]
    return None
