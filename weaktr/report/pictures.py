"""The pictures of a report: label maps and CAMs over their image, as data in the page."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from weaktr.labels import VOC_PALETTE, VOID, Pixels
from weaktr.metrics.image_table import shares
from weaktr.report.content import Picture
from weaktr.report.overlay import overlay

SIDE = 300
"""Longest side of a picture in pixels: sharp on a phone, and small."""
QUALITY = 90
"""Of JPEG, with colours at full resolution."""
FADED, OPACITY = 64, 0.85
"""Under a label the image has greys from `FADED` to 255 - `FADED` and shows through so little that
each colour stays nearer to its own in VOC's key than to any other's, which differ by 64 or more."""


class Painter:
    """Paints steps of one image at the size of the page.

    Args:
        name: Id of the image.
        image: RGB `[H, W, 3]`.
        classes: All class names, background apart.
    """

    def __init__(self, name: str, image: Pixels, classes: Sequence[str]) -> None:
        self.name = name
        self.classes = classes
        height, width = image.shape[:2]
        factor = SIDE / max(height, width)
        self.size = (max(1, round(width * factor)), max(1, round(height * factor)))
        self.image = np.asarray(Image.fromarray(image).resize(self.size, Image.Resampling.BICUBIC))
        grey = np.asarray(Image.fromarray(self.image).convert("L"), np.float32)
        self.grey = np.repeat(grey[..., None], 3, axis=2)

    def plain(self) -> Picture:
        """The image itself."""
        return Picture("image", self.image, f"{self.name}, the image")

    def labels(self, step: str, labels: Pixels) -> Picture:
        """A label map `[H, W]` over the greyed image."""
        resized = np.asarray(Image.fromarray(labels).resize(self.size, Image.Resampling.NEAREST))
        background, void, present = shares(labels, self.classes)
        parts = [f"{background:.0f} % background", *present, *["void"] * (void > 0)]
        alt = f"{self.name}, {step}: {', '.join(parts)}"
        faded = (FADED + self.grey * (1 - FADED / 128)).astype(np.uint8)
        return Picture(step, overlay(faded, resized, OPACITY), alt)

    def cams(
        self, step: str, cams: npt.NDArray[np.float32], classes: Sequence[int], score: float
    ) -> Picture:
        """CAMs `[K, h, w]` in [0, 1] of some classes, 0-based: the stronger, the more colour; a
        contour where they exceed the background score."""
        best = np.zeros((self.size[1], self.size[0]), np.float32)
        label = np.zeros(best.shape, np.uint8)
        for index, cam in zip(classes, cams, strict=True):
            resized = Image.fromarray(cam.astype(np.float32)).resize(
                self.size, Image.Resampling.BILINEAR
            )
            one = np.asarray(resized)
            label[one > best] = index + 1
            best = np.maximum(best, one)
        strength = (0.9 * best.clip(0, 1))[..., None]
        painted = self.grey * (1 - strength) + VOC_PALETTE[label] * strength
        inside = np.where(best > score, label, 0).astype(np.uint8)
        drawn = overlay(painted.astype(np.uint8), inside, opacity=0.0)
        names = ", ".join(self.classes[index] for index in classes) or "no tags"
        return Picture(step, drawn, f"{self.name}, {step} of {names}")


def label_ids(*maps: Pixels | None) -> frozenset[int]:
    """The ids in some label maps, for a key."""
    return frozenset(int(i) for one in maps if one is not None for i in np.unique(one))


def data_uri(pixels: Pixels) -> str:
    """An image `[H, W, 3]` as JPEG inside of an address; equal pixels give equal text."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def colour_of(label: int) -> str:
    """A label's colour for CSS."""
    red, green, blue = VOC_PALETTE[label]
    return f"rgb({red} {green} {blue})"


def name_of(label: int, classes: Sequence[str]) -> str:
    """A label's name."""
    if label == VOID:
        return "void"
    return classes[label - 1] if label else "background"
