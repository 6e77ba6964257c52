"""True masks spoiled in known ways at known rates, as pseudo-labels go wrong."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from weaktr.labelling.regions import find_regions
from weaktr.labels import VOID, Pixels

Mask = npt.NDArray[np.bool_]
Random = np.random.Generator


def grown(rng: Random, labels: Pixels, pixels: float, num_classes: int) -> Pixels:
    """Every object reaches so many pixels into the background."""
    spoiled = labels.copy()
    for region in find_regions(labels)[0]:
        reached = _reach(region.mask, round(pixels))
        spoiled[reached & np.isin(spoiled, (0, VOID))] = region.label
    return spoiled


def shrunk(rng: Random, labels: Pixels, pixels: float, num_classes: int) -> Pixels:
    """Every object loses so many pixels at its border, to the background."""
    spoiled = np.where(labels == VOID, 0, labels).astype(np.uint8)
    spoiled[_reach(spoiled == 0, round(pixels))] = 0
    return spoiled


def missing_parts(rng: Random, labels: Pixels, share: float, num_classes: int) -> Pixels:
    """Of a share of the objects one half is background: all on one side of a line."""
    spoiled = labels.copy()
    for mask in _chosen(rng, labels, share):
        rows, columns = np.nonzero(mask)
        angle = rng.uniform(0, 2 * np.pi)
        side = (rows - rows.mean()) * np.sin(angle) + (columns - columns.mean()) * np.cos(angle)
        spoiled[rows[side > 0], columns[side > 0]] = 0
    return spoiled


def missing_objects(rng: Random, labels: Pixels, share: float, num_classes: int) -> Pixels:
    """A share of the objects is background."""
    spoiled = labels.copy()
    for mask in _chosen(rng, labels, share):
        spoiled[mask] = 0
    return spoiled


def wrong_class(rng: Random, labels: Pixels, share: float, num_classes: int) -> Pixels:
    """A share of the objects has the label of another class."""
    spoiled = labels.copy()
    for mask in _chosen(rng, labels, share):
        own = int(labels[mask][0])
        spoiled[mask] = (own - 1 + rng.integers(1, num_classes)) % num_classes + 1
    return spoiled


def random_regions(rng: Random, labels: Pixels, share: float, num_classes: int) -> Pixels:
    """Discs with labels of the image, right or wrong, over a share of its pixels."""
    spoiled = labels.copy()
    height, width = labels.shape
    present = [label for label in np.unique(labels) if label != VOID]
    y, x = np.mgrid[:height, :width]
    covered = np.zeros(labels.shape, bool)
    while covered.mean() < share:
        radius = 0.08 * np.sqrt(height * width)
        disc = np.hypot(y - rng.uniform(0, height), x - rng.uniform(0, width)) < radius
        spoiled[disc] = rng.choice(present)
        covered |= disc
    return spoiled


NOISES: dict[str, tuple[Callable[[Random, Pixels, float, int], Pixels], tuple[float, ...]]] = {
    "grown borders (pixels)": (grown, (2, 4)),
    "shrunk borders (pixels)": (shrunk, (2, 4)),
    "missing parts": (missing_parts, (0.3, 0.6)),
    "missing objects": (missing_objects, (0.2, 0.4)),
    "wrong class": (wrong_class, (0.2, 0.4)),
    "random regions": (random_regions, (0.1, 0.3)),
}
"""What goes wrong, and how much of it is tried."""


def _chosen(rng: Random, labels: Pixels, share: float) -> list[Mask]:
    """Masks `[H, W]` of a share of the connected objects."""
    regions = find_regions(labels, split_parts=True)[0]
    return [region.mask for region in regions if rng.random() < share]


def _reach(mask: Mask, pixels: int) -> Mask:
    """The mask, and all that lies at most so many steps up, down, left or right of it."""
    for _ in range(pixels):
        padded = np.pad(mask, 1)
        mask = mask | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask
