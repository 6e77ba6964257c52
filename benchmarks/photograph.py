"""Photograph-like images, made here: coloured shapes with shading and grain."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from weaktr.data.manifest import Manifest, Record

CLASSES = tuple(f"class {number}" for number in range(20))


def scene(
    height: int, width: int, *, labels: int = 6, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """An image, RGB uint8 `[H, W, 3]`, and the map of its shapes, uint8 `[H, W]`."""
    generator = torch.Generator().manual_seed(seed)

    def smooth(cells: int, channels: int) -> torch.Tensor:
        noise = torch.randn(1, channels, cells, cells, generator=generator)
        return F.interpolate(noise, (height, width), mode="bicubic", align_corners=False)[0]

    regions = smooth(6, labels).argmax(0)
    colours = torch.randint(40, 216, (labels, 3), generator=generator).float()
    grain = torch.randn(3, height, width, generator=generator)
    pixels = colours[regions].permute(2, 0, 1) + 18 * smooth(30, 3) + 4 * grain
    image = pixels.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    return image.numpy(), regions.to(torch.uint8).numpy()


def write_scenes(folder: Path, count: int, height: int, width: int) -> Manifest:
    """JPEG files with two tags each, and their label maps beside them as PNG."""
    records = []
    for number in range(count):
        image, shapes = scene(height, width, seed=number)
        path = folder / f"{number:03}.jpg"
        Image.fromarray(image).save(path, quality=90)
        Image.fromarray(shapes).save(path.with_suffix(".png"))
        tags = (CLASSES[number % 10], CLASSES[10 + number % 7])
        records.append(
            Record(
                id=path.stem,
                image=path.as_posix(),
                split="train",
                tags=tags,
                width=width,
                height=height,
                digest="",
            )
        )
    return Manifest(CLASSES, tuple(records))
