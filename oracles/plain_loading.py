"""Training samples the plain way: files through timm's and torchvision's own transforms."""

from collections.abc import Sequence

import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from weaktr.config.cam import CamAugmentParams
from weaktr.config.decoder import DecoderAugmentParams
from weaktr.labels import VOID


class TimmSamples(Dataset[tuple[Tensor, Tensor]]):
    """Images through timm's training transform, with tags.

    Args:
        images: Files.
        tags: `[N, C]`.
        params: The transform's.
        side: Of the output.
    """

    def __init__(
        self, images: Sequence[str], tags: Tensor, params: CamAugmentParams, side: int
    ) -> None:
        self.images, self.tags = images, tags
        self.transform = create_transform(
            side,
            is_training=True,
            scale=(params.scale_min, 1.0),
            color_jitter=params.color_jitter,
            auto_augment=params.auto_augment,
            interpolation="bicubic",
            re_prob=params.erase_probability,
            re_mode="pixel",
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(Image.open(self.images[index]).convert("RGB")), self.tags[index]


class TorchvisionSamples(Dataset[tuple[Tensor, Tensor]]):
    """Images with masks through torchvision's resize, crop, flip and photometric distortion.

    Args:
        images: Files.
        masks: Files, in the same order.
        params: Sizes and what is drawn.
        crop_size: Side of the output.
    """

    def __init__(
        self,
        images: Sequence[str],
        masks: Sequence[str],
        params: DecoderAugmentParams,
        crop_size: int,
    ) -> None:
        self.images, self.masks = images, masks
        low, high = (int(params.short_side * r) for r in (params.ratio_min, params.ratio_max))
        fill: dict[type, int] = {tv_tensors.Image: 0, tv_tensors.Mask: VOID}
        self.transform = v2.Compose(
            [
                v2.RandomShortestSize(list(range(low, high + 1))),
                v2.RandomCrop(crop_size, pad_if_needed=True, fill=fill),
                v2.RandomHorizontalFlip(),
                v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
                v2.RandomPhotometricDistort(p=0.5),
                v2.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = tv_tensors.Image(Image.open(self.images[index]).convert("RGB"))
        mask = tv_tensors.Mask(Image.open(self.masks[index]))
        image, mask = self.transform(image, mask)
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)[0].long()
