"""Heads measured by true masks: an oracle, for people who want to know what there is to learn."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from weaktr.data.masks import read_label_map
from weaktr.heads.seen import SeenImage
from weaktr.metrics.scores import mean_iou
from weaktr.pseudo_labels.background_sweep import BackgroundSweep

POINTS = 4
"""Points along the side of a patch at which maps and masks are compared."""
THRESHOLDS = tuple(i / 20 for i in range(1, 20))
HALVES = 2
"""Images are measured in two halves, so that what is chosen on one can be judged on the other."""

Values = npt.NDArray[np.float64]


def read_truth(seen: SeenImage, mask: str, num_classes: int) -> Tensor:
    """The true mask of an image at `POINTS` points per patch and side, uint8 `[h', w']`.

    Raises:
        UserError: If it is not a mask of the image and of the classes.
    """
    record = seen.record
    ids = read_label_map(mask, num_classes + 1, (record.width, record.height), record.image)
    h, w = seen.grid
    size = (w * POINTS, h * POINTS)
    return torch.from_numpy(np.array(Image.fromarray(ids).resize(size, Image.Resampling.NEAREST)))


class MapScores:
    """Best mIoU over background scores of many kinds of maps at once, in two halves of the images.

    Memory does not grow with the images: for each kind and half there is one histogram.

    Args:
        kinds: How many.
        num_classes: Classes without the background.
    """

    def __init__(self, kinds: int, num_classes: int) -> None:
        self.sweeps = [
            [BackgroundSweep(num_classes, THRESHOLDS) for _ in range(kinds)] for _ in range(HALVES)
        ]

    def update(
        self,
        maps: Tensor,
        present: Sequence[int],
        grid: tuple[int, int],
        truth: Tensor,
        half: int,
    ) -> None:
        """Counts one image.

        Args:
            maps: `[kinds, K, P]`, each scaled by its own range.
            present: The K classes of the maps, 0-based.
            grid: `(h, w)` of the patches.
            truth: Of `read_truth`.
            half: 0 or 1.
        """
        large = F.interpolate(
            maps.unflatten(2, grid), truth.shape, mode="bilinear", align_corners=False
        )
        low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
        span = (high - low).clamp(min=torch.finfo(torch.float32).tiny)
        scaled = ((large - low) / span).cpu()
        for sweep, cams in zip(self.sweeps[half], scaled, strict=True):
            sweep.update(cams, present, truth)

    def of_half(self, half: int) -> Values:
        """Best mIoU of each kind on one half of the images, in percent `[kinds]`."""
        return np.array([sweep.best().miou for sweep in self.sweeps[half]])

    def of_all(self) -> Values:
        """Best mIoU of each kind on all images, in percent `[kinds]`."""
        pairs = zip(*self.sweeps, strict=True)
        return np.array([mean_iou(a.confusion() + b.confusion()).max() for a, b in pairs])


def single_head_maps(seen: SeenImage) -> tuple[Tensor, Tensor]:
    """What each head gives when it stands alone in one place of the fine CAM.

    Returns:
        `[L * H, K, P]` twice: the coarse CAM times the head's class rows; and the fused CAM, of all
        heads as they are weighed, propagated by the head's affinity alone.
    """
    fused = seen.fused
    propagated = [(affinity @ fused.T).mT for affinity in seen.affinities()]
    return (seen.rows * seen.coarse).flatten(0, 1), torch.stack(propagated).flatten(0, 1)
