"""Cross-entropy that cuts off the losses of noisy labels (WeakTr, section III-C)."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weaktr.distributed import all_sum
from weaktr.labels import VOID


class PixelLosses(NamedTuple):
    """Loss of every pixel before and after clipping, each `[B, H, W]`, 0 at void pixels."""

    plain: Tensor
    clipped: Tensor


class ClippedCrossEntropy(nn.Module):
    """Cross-entropy whose large values are cut off, so that noisy labels stop pulling.

    While the batch's mean loss is above `start_value`, this is plain cross-entropy. Under it, a
    pixel's loss is clipped at the mean loss of its region (`region` x `region` pixels), but never
    under the batch's mean. A clipped pixel keeps the threshold as its value and gets no gradient.
    Regions at the right and bottom border may be smaller; their mean is over the pixels in them.

    Every mean is over the batch of all processes together.

    Args:
        start_value: Mean loss (nats) under which clipping begins; `None`: never.
        region: Side of a region in pixels.
        void_in_mean: `zero`: void pixels enter every mean as zeros, the final one too, as in the
            published code. `ignore`: means are over labelled pixels only.
        region_means: `batch`: a region's mean is over the whole batch and shared by it, as in the
            published code. `image`: every image has its own.
        void: Label of pixels without a class.
    """

    def __init__(
        self,
        *,
        start_value: float | None = 1.2,
        region: int = 120,
        void_in_mean: Literal["zero", "ignore"] = "ignore",
        region_means: Literal["batch", "image"] = "batch",
        void: int = VOID,
    ) -> None:
        super().__init__()
        self.start_value = start_value
        self.region = region
        self.void_in_mean = void_in_mean
        self.region_means = region_means
        self.void = void

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss of a batch.

        Args:
            logits: `[B, K, H, W]`.
            target: Label of every pixel, 0 to K - 1 or void: `[B, H, W]`, integers.

        Returns:
            A scalar (nats): the mean or, of several processes, this one's part of it. The parts of
            all add up to the mean, and so do their gradients.
        """
        return self._mean(self.pixel_losses(logits, target), target)

    def with_shares(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Mean loss of a batch, and what clipping takes from it; arguments as in `forward`.

        Returns:
            `loss`, as `forward` gives it, and where clipping may begin `clipped` and
            `clipped_objects`: shares of the labelled pixels, and of those labelled as a class, that
            get no gradient. Of several processes, each one's part, which add up.
        """
        losses = self.pixel_losses(logits, target)
        shares = {} if self.start_value is None else self._shares(losses, target)
        return {"loss": self._mean(losses, target), **shares}

    def pixel_losses(self, logits: Tensor, target: Tensor) -> PixelLosses:
        """Loss of every pixel; arguments as in `forward`."""
        target = target.long()
        plain = F.cross_entropy(logits.float(), target, ignore_index=self.void, reduction="none")
        if self.start_value is None:
            return PixelLosses(plain, plain)
        with torch.no_grad():
            weight = self._weight(target)
            total, count = all_sum((plain * weight).sum()), all_sum(weight.sum())
            mean = total / count.clamp(min=1)
            threshold = torch.maximum(self._region_means(plain, weight, mean), mean)
            over = (plain > threshold) & (mean <= self.start_value)
        return PixelLosses(plain, torch.where(over, threshold, plain))

    def _mean(self, losses: PixelLosses, target: Tensor) -> Tensor:
        weight = self._weight(target)
        return (losses.clipped * weight).sum() / all_sum(weight.sum()).clamp(min=1)

    @torch.no_grad()
    def _shares(self, losses: PixelLosses, target: Tensor) -> dict[str, Tensor]:
        over = losses.clipped < losses.plain
        labelled = target != self.void
        parts = {"clipped": labelled, "clipped_objects": labelled & (target != 0)}
        return {
            name: (over & part).sum() / all_sum(part.sum()).clamp(min=1)
            for name, part in parts.items()
        }

    def _weight(self, target: Tensor) -> Tensor:
        """1 for the pixels that count in a mean, else 0: `[B, H, W]`."""
        if self.void_in_mean == "zero":
            return torch.ones_like(target, dtype=torch.float32)
        return (target != self.void).float()

    def _region_means(self, loss: Tensor, weight: Tensor, fallback: Tensor) -> Tensor:
        """Mean loss of each pixel's region: `[1 or B, H, W]`; `fallback` where none counts."""
        H, W = loss.shape[-2:]
        total, count = self._region_sums(loss * weight), self._region_sums(weight)
        if self.region_means == "batch":
            total, count = (all_sum(x.sum(0, keepdim=True)) for x in (total, count))
        means = torch.where(count > 0, total / count.clamp(min=1), fallback)
        means = means.repeat_interleave(self.region, -2).repeat_interleave(self.region, -1)
        return means[..., :H, :W]

    def _region_sums(self, x: Tensor) -> Tensor:
        """Sums over regions: `[B, H, W]` to `[B, ceil(H / region), ceil(W / region)]`."""
        B, H, W = x.shape
        x = F.pad(x, (0, -W % self.region, 0, -H % self.region))
        rows, columns = x.shape[-2] // self.region, x.shape[-1] // self.region
        return x.reshape(B, rows, self.region, columns, self.region).sum((2, 4))
