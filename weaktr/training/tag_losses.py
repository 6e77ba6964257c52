"""The CAM network's three multi-label losses (WeakTr, section III-B)."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from weaktr.distributed import batch_share


class TagLosses(NamedTuple):
    """The three multi-label soft margin losses, each a scalar."""

    class_token: Tensor
    coarse: Tensor
    fine: Tensor

    @property
    def total(self) -> Tensor:
        """Their plain sum: what is minimised."""
        return self.class_token + self.coarse + self.fine

    def named(self) -> dict[str, Tensor]:
        """The losses by name; `loss` is the one to minimise."""
        return {"loss": self.total, **{f"loss_{k}": v for k, v in self._asdict().items()}}


def cam_losses(logits: tuple[Tensor, Tensor, Tensor], targets: Tensor) -> TagLosses:
    """Compares each head of the CAM network with the image-level tags.

    Args:
        logits: Logits of class tokens, coarse CAM and fine CAM, each `[B, C]`.
        targets: 1 where the image carries the tag, else 0: `[B, C]`.

    Returns:
        One loss per head, computed in float32 also under autocast: the mean over the samples or,
        of several processes, this one's part of the mean over the samples of all.
    """
    share = batch_share(len(targets))
    class_token, coarse, fine = (
        share * F.multilabel_soft_margin_loss(head.float(), targets.float()) for head in logits
    )
    return TagLosses(class_token, coarse, fine)
