"""Class activation maps of one image, kept at patch resolution: composed, stored and read back."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from weaktr.errors import UserError
from weaktr.files import replace_file

_LEVELS = 255


@dataclass(frozen=True)
class PatchCAMs:
    """CAMs of the classes present in one image, one patch grid per scale.

    Enlarging a map is linear, so the sum over a scale and its flip can be taken on the patch grid;
    `full` then enlarges one map per scale instead of one per network input, and gives the same
    result.

    Attributes:
        classes: Present classes, 0-based and ascending; empty for an image without tags.
        grids: For each scale float32 `[K, h, w]`, unnormalised.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """

    classes: tuple[int, ...]
    grids: tuple[Tensor, ...]
    height: int
    width: int

    def full(self) -> Tensor:
        """CAMs at the size of the image, each scaled to [0, 1] by its own minimum and maximum.

        Returns:
            float32 `[K, H, W]` on the device of the grids.
        """
        if not self.classes:
            return torch.zeros(0, self.height, self.width, device=self.grids[0].device)
        size = (self.height, self.width)
        total = sum(
            F.interpolate(grid[None], size, mode="bilinear", align_corners=False)[0]
            for grid in self.grids
        )
        assert isinstance(total, Tensor)
        low = total.amin(dim=(1, 2), keepdim=True)
        high = total.amax(dim=(1, 2), keepdim=True)
        return (total - low) / (high - low + 1e-8)

    def contrast(self) -> Tensor:
        """How much of a place each map names, in its first grid: (high - low) / (high + low).

        Returns:
            float32 `[K]`, 0 for a flat map and 1 for one that is zero somewhere; maps are never
            negative.
        """
        low, high = self.grids[0].amin(dim=(1, 2)), self.grids[0].amax(dim=(1, 2))
        return (high - low) / (high + low).clamp(min=torch.finfo(torch.float32).tiny)

    def cpu(self) -> "PatchCAMs":
        """The same CAMs with grids in main memory."""
        grids = tuple(grid.cpu() for grid in self.grids)
        return PatchCAMs(self.classes, grids, self.height, self.width)

    def save(self, path: str | Path) -> None:
        """Writes the CAMs with 8 bits per value, whole or not at all; equal CAMs give equal bytes.

        A stored value is off by at most 1/510 of the range of its class in its grid.

        Args:
            path: A `.safetensors` file: `image` (height, width), `classes` `[K]`, and for each
                scale `grid.i` uint8 `[K, h, w]` with `range.i` float32 `[K, 2]`.
        """
        tensors = {
            "image": torch.tensor([self.height, self.width], dtype=torch.int32),
            "classes": torch.tensor(self.classes, dtype=torch.int32),
        }
        for i, grid in enumerate(self.grids):
            tensors[f"grid.{i}"], tensors[f"range.{i}"] = _quantise(grid.float().cpu())
        with replace_file(path) as temporary:
            temporary.write_bytes(save(tensors))

    @classmethod
    def load(cls, path: str | Path) -> "PatchCAMs":
        """Reads what `save` wrote.

        Raises:
            UserError: If the file is missing or holds no CAMs.
        """
        try:
            tensors = load(Path(path).read_bytes())
            height, width = tensors["image"].tolist()
            count = sum(name.startswith("grid.") for name in tensors)
            grids = tuple(
                _restore(tensors[f"grid.{i}"], tensors[f"range.{i}"]) for i in range(count)
            )
            return cls(tuple(tensors["classes"].tolist()), grids, height, width)
        except FileNotFoundError:
            raise UserError(f"{path} does not exist; export the labels with CAMs first.") from None
        except (SafetensorError, KeyError, ValueError):
            raise UserError(f"{path} is no file of CAMs; export the labels again.") from None


def _quantise(grid: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 levels `[K, h, w]` and the range (lowest, highest) of each map `[K, 2]`."""
    if not len(grid):
        return grid.to(torch.uint8), grid.new_zeros(0, 2)
    low, high = grid.amin(dim=(1, 2)), grid.amax(dim=(1, 2))
    step = ((high - low) / _LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
    levels = ((grid - low[:, None, None]) / step[:, None, None]).round()
    return levels.to(torch.uint8), torch.stack([low, high], dim=1)


def _restore(levels: Tensor, bounds: Tensor) -> Tensor:
    low, high = bounds[:, 0, None, None], bounds[:, 1, None, None]
    return low + levels.float() * ((high - low) / _LEVELS)
