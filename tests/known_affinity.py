"""A patch-to-patch attention that a test gives as a matrix."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class KnownAffinity:
    """`weaktr.models.cam_network.Affinity` of a matrix `[B, P, P]`."""

    matrix: Tensor

    def affinity(self) -> Tensor:
        return self.matrix

    def propagate(self, cam: Tensor, /) -> Tensor:
        return cam @ self.matrix.mT
