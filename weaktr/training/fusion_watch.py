"""Whether the attention fusion learns: its gradient and its head weights, epoch by epoch."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from weaktr.distributed import batch_share
from weaktr.models.attention_fusion import AdaptiveAttentionFusion, MeanAttentionFusion


class FusionWatch:
    """Measures a fusion while it trains, without waiting for the device.

    Args:
        fusion: The module whose parameters' gradients are looked at; of a fusion that has none,
            nothing is measured.
    """

    def __init__(self, fusion: AdaptiveAttentionFusion | MeanAttentionFusion) -> None:
        self.fusion = fusion
        self.heads: Tensor | None = None
        if not isinstance(fusion, MeanAttentionFusion):
            fusion.register_forward_hook(self._see)

    def _see(self, fusion: nn.Module, pooled: object, weights: Tensor) -> None:
        """Keeps the head weights `[B, H * L]` of the latest batch."""
        self.heads = weights.detach()

    def weights(self) -> Mapping[str, Tensor]:
        """What the head weights of the latest batch look like, as part of the batch's mean.

        Returns:
            `head_weight`: their mean. `head_weight_spread`: the standard deviation over the heads
            of an image. Of several processes, each one's part.
        """
        if self.heads is None:
            return {}
        heads = self.heads
        share = batch_share(len(heads))
        return {
            "head_weight": share * heads.mean(),
            "head_weight_spread": share * heads.std(dim=1, correction=0).mean(),
        }

    def gradient(self) -> Mapping[str, Tensor]:
        """The gradient of a step, once all processes have summed it.

        Returns:
            `fusion_gradient`: mean absolute value of an element, to be held against AdamW's
            `fusion_eps`. `fusion_raises`: share of heads for whose weight the gradient asks more.
            The last layer's inputs are not negative, so that the sum over a head's row of its
            gradient has the sign of the head's own, images weighed by their activation. Both are 0
            in a step that float16 skips, as its gradient overflowed.
        """
        if isinstance(self.fusion, MeanAttentionFusion):
            return {}
        gradients = {n: p.grad for n, p in self.fusion.named_parameters() if p.grad is not None}
        if not gradients:
            return {}
        elements = torch.cat([gradient.flatten() for gradient in gradients.values()])
        finite = elements.isfinite().all()
        raises = gradients["head_ffn.2.weight"].sum(dim=1) < 0
        return {
            "fusion_gradient": torch.where(finite, elements, 0).abs().mean(),
            "fusion_raises": (raises & finite).float().mean(),
        }
