"""The kinds of class activation maps that a CAM network gives.

Another kind is one more row here; measuring, tables and pictures follow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:  # Names and titles are wanted where the network is not.
    from weaktr.models.cam_network import CAMMaps


@dataclass(frozen=True)
class CAMKind:
    """One kind of map.

    Attributes:
        name: The key in metrics.
        title: For tables and pictures.
        made_of: What it is the product of, in a few words.
        of: From all maps of a batch to this one, `[B, C, h, w]`.
    """

    name: str
    title: str
    made_of: str
    of: Callable[["CAMMaps"], Tensor]


COARSE = CAMKind("coarse", "coarse CAM", "conv head", lambda maps: maps.coarse)
CROSS = CAMKind("cross", "class-to-patch", "attention", lambda maps: maps.cross)
FUSED = CAMKind("fused", "fused CAM", "coarse × attention", lambda maps: maps.fused)
FINE = CAMKind("fine", "fine CAM", "affinity × fused", lambda maps: maps.fine)

CAM_KINDS = (COARSE, CROSS, FUSED, FINE)
"""In the order in which each is made of those before it."""
SEEDS = (COARSE, FUSED, FINE)
"""Kinds that could become pseudo-labels, and are measured where there are masks."""
