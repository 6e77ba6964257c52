"""How much a better choice of heads could gain, where true masks choose it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaktr.heads.seen import SeenImage
from weaktr.heads.true_masks import HALVES, MapScores, Values

COUNTS = (1, 3, 6, 12, 24, 48, 96, 192)


@dataclass(frozen=True)
class Headroom:
    """mIoU in percent of the fine CAM when true masks choose the heads.

    Heads are ranked on one half of the images and judged on the other, both ways round, so that no
    image helps to choose what is measured on it. It still peeks: nobody who has tags alone can
    choose so. Each mIoU is that at its best background score.

    Attributes:
        counts: How many of the best heads are averaged, all of them last.
        miou: `[n, n]`: by the count for the class rows and by that for the affinity.
        mean: All heads alike.
        learned: As the fusion weighs them.
        best: The pair of counts that was best on the other half; mIoU on each half.
        learned_by_half, best_counts: What `best` is held against, and which pairs these are.
    """

    counts: tuple[int, ...]
    miou: Values
    mean: float
    learned: float
    best: tuple[float, ...]
    learned_by_half: tuple[float, ...]
    best_counts: tuple[tuple[int, int], ...]

    @property
    def gain(self) -> tuple[float, ...]:
        """Points of mIoU over the learned weights, on each half."""
        pairs = zip(self.best, self.learned_by_half, strict=True)
        return tuple(best - learned for best, learned in pairs)


class HeadroomScores:
    """Measures the choices; memory does not grow with the images.

    Args:
        class_rows: mIoU of each head's class rows on each half `[2, L, H]`.
        affinities: mIoU of each head's affinity on each half `[2, L, H]`.
        num_classes: Classes without the background.
    """

    def __init__(self, class_rows: Values, affinities: Values, num_classes: int) -> None:
        heads = class_rows[0].size
        self.counts = (*(count for count in COUNTS if count < heads), heads)
        self.shape = class_rows[0].shape
        self.chosen = [
            (self._choices(class_rows[1 - half]), self._choices(affinities[1 - half]))
            for half in range(HALVES)
        ]
        self.scores = MapScores(len(self.counts) ** 2 + 1, num_classes)

    def _choices(self, quality: Values) -> Tensor:
        """Weights `[n, L, H]` that average the best heads, for each count."""
        order = np.argsort(-quality, axis=None, kind="stable")
        weights: npt.NDArray[np.float32] = np.zeros((len(self.counts), order.size), np.float32)
        for line, count in zip(weights, self.counts, strict=True):
            line[order[:count]] = 1 / count
        return torch.from_numpy(weights).unflatten(1, self.shape)

    @torch.inference_mode()
    def update(self, seen: SeenImage, truth: Tensor, half: int) -> None:
        """Counts one image with the heads that the other half has chosen."""
        device = seen.rows.device
        by_rows, by_affinity = (one.to(device) for one in self.chosen[half])
        fused = torch.einsum("slh,lhkp->skp", by_rows, seen.rows) * seen.coarse
        weights = torch.cat([by_affinity, seen.weights[None]])  # the learned ones last
        layers = zip(weights.unbind(1), seen.affinities(), strict=True)
        affinity = sum(torch.einsum("sh,hpq->spq", some, maps) for some, maps in layers)
        assert isinstance(affinity, Tensor)
        chosen = torch.einsum("apq,rkq->rakp", affinity[:-1], fused).flatten(0, 1)
        learned = (affinity[-1] @ seen.fused.T).T
        maps = torch.cat([chosen, learned[None]])
        self.scores.update(maps, seen.present, seen.grid, truth, half)

    def result(self) -> Headroom:
        """What was measured, over all images."""
        counts, n = self.counts, len(self.counts)
        *grid, learned = self.scores.of_all()
        miou = np.array(grid).reshape(n, n)
        halves = [self.scores.of_half(half) for half in range(HALVES)]
        picked = [int(halves[1 - half][:-1].argmax()) for half in range(HALVES)]
        return Headroom(
            counts=counts,
            miou=miou,
            mean=float(miou[-1, -1]),
            learned=float(learned),
            best=tuple(float(halves[half][pick]) for half, pick in enumerate(picked)),
            learned_by_half=tuple(float(one[-1]) for one in halves),
            best_counts=tuple((counts[pick // n], counts[pick % n]) for pick in picked),
        )
