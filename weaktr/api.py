"""Trained models in Python, for notebooks and scripts; `docs/api.md` is the guide.

`import weaktr` has these names too, and loads this module when one of them is asked for.
"""

import base64
import html
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import ValidationError

from weaktr.batching import equal_shape_batches, map_ahead
from weaktr.config.evaluation import EvaluationParams
from weaktr.data.any_image import ImageLike, rgb_pixels
from weaktr.data.images import read_image
from weaktr.data.masks import write_mask
from weaktr.device import choose_device
from weaktr.errors import UserError
from weaktr.experiments.model_uri import model_folder
from weaktr.files import replace_file
from weaktr.labels import VOC_PALETTE, Pixels
from weaktr.models.any_network import load_any_model
from weaktr.models.cam_kinds import CAM_KINDS
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.network import Network
from weaktr.models.segmenter import Segmenter
from weaktr.predict import run
from weaktr.predict.images import overlay_picture
from weaktr.predict.known_tags import parse_class_tags
from weaktr.segmentation.segment import segment as segment_arrays

N = TypeVar("N", bound=Network)
Tags = str | Iterable[str] | None
Floats = npt.NDArray[np.float32]


def load(
    name: str | os.PathLike[str], device: str | torch.device = "auto"
) -> "SegmenterModel | CAMModel":
    """Loads a trained model of whichever kind it is.

    Args:
        name: A folder with `model.safetensors` and `config.json`, or an MLflow address:
            `runs:/<run id>/segmenter`, `models:/<name>/<version>` or `models:/<name>@<alias>`.
        device: `auto` (CUDA if there is one, else the CPU) or a torch device.

    Raises:
        UserError: If there is no such model or device, or the model's files are damaged.
    """
    place = choose_device(str(device), given_as="device")
    with model_folder(os.fspath(name)) as folder:
        loaded = load_any_model(folder, place)
    if isinstance(loaded.model, CAMNetwork):
        return CAMModel(os.fspath(name), loaded.model, loaded.classes)
    return SegmenterModel(os.fspath(name), loaded.model, loaded.classes)


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """What was found in one image. A notebook shows it as overlay and key.

    Attributes:
        labels: uint8 `[H, W]`; 0 is background.
        confidence: float32 `[H, W]`, the probability of each pixel's label.
        classes: What labels mean, background first: pixels of label 2 are `classes[2]`.
        image: RGB uint8 `[H, W, 3]`, what was segmented.
    """

    labels: Pixels
    confidence: Floats
    classes: tuple[str, ...]
    image: Pixels

    @property
    def shares(self) -> dict[str, float]:
        """Share of the area of what was found, background included, by name."""
        pixels = np.bincount(self.labels.reshape(-1), minlength=len(self.classes))
        shares = zip(self.classes, (pixels / self.labels.size).tolist(), strict=True)
        return {name: share for name, share in shares if share}

    def overlay(self) -> Image.Image:
        """The labels painted over the image; at most 2048 pixels long."""
        return overlay_picture(self.image, self.labels)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the labels as the palette PNG that `weaktr predict` writes.

        Raises:
            UserError: If the name is that of another format, which would spoil the labels.
        """
        if Path(path).suffix.lower() != ".png":
            raise UserError(f"{path}: masks are PNG files; let the name end in .png.")
        with replace_file(Path(path)) as temporary:
            write_mask(temporary, self.labels)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        found = ", ".join(f"{name} {share:.1%}" for name, share in self.shares.items())
        return f"Segmentation({width} x {height} pixels: {found})"

    def _repr_html_(self) -> str:
        png = base64.b64encode(self.overlay()._repr_png_() or b"").decode()
        key = "&ensp;".join(
            f'<span style="color:#{VOC_PALETTE[self.classes.index(name)].tobytes().hex()}">&#9632;'
            f"</span>&nbsp;{html.escape(name)} {share:.1%}"
            for name, share in self.shares.items()
        )
        return f'<img src="data:image/png;base64,{png}" style="min-width:240px"><br>{key}'


@dataclass(frozen=True, eq=False, repr=False)
class ClassMaps:
    """What a CAM network sees in one image. A notebook shows it as picture.

    Attributes:
        classes: Names of the K classes: the tags or, without any, all.
        maps: float32 `[K, h, w]` by kind, `coarse`, `cross`, `fused` and `fine`: one value per
            patch, not normalised. `maps["fine"][0]` is of `classes[0]`.
        probabilities: float32 `[K]`, how likely each class is to be in the image.
        head_weights: float32 `[L, H]`, the fusion's weight of every layer's heads.
        image: RGB uint8 `[h', w', 3]` as the network saw it; large images are shrunk.
    """

    classes: tuple[str, ...]
    maps: dict[str, Floats]
    probabilities: Floats
    head_weights: Floats
    image: Pixels
    _drawn_from: tuple[Any, ...]

    def picture(self) -> Image.Image:
        """The picture that `weaktr cam` draws: of the tags, or of the most probable classes."""
        from weaktr.report import cam_picture  # plots are slow to import

        seen, names, known, title = self._drawn_from
        figure = cam_picture.cam_figure(seen, names, cam_picture.chosen_classes(seen, known), title)
        with TemporaryDirectory() as folder:
            cam_picture.save_picture(figure, Path(folder) / "cam.png")
            return read_image(Path(folder) / "cam.png")

    def __repr__(self) -> str:
        likely = np.argsort(-self.probabilities, kind="stable")[:5]
        shown = ", ".join(f"{self.classes[i]} {self.probabilities[i]:.2f}" for i in likely)
        size = " x ".join(map(str, self.maps["fine"].shape))
        return f"ClassMaps({shown}; {', '.join(self.maps)}: {size})"

    def _repr_png_(self) -> bytes | None:
        return self.picture()._repr_png_()


class _Model(Generic[N]):
    """What both kinds of models have in common.

    Attributes:
        name: What it was loaded from.
        network: The torch module, in evaluation mode.
        classes: Names of what it can find, without background: the tags it takes.
        params: The section of params that it was built and trained with.
    """

    def __init__(self, name: str, network: N, classes: tuple[str, ...]) -> None:
        self.name, self.network, self.classes = name, network, classes
        self.params = network.params

    def __repr__(self) -> str:
        more = ", ..." if len(self.classes) > 8 else ""
        return (
            f"{type(self).__name__}({self.name!r}, {self.params.backbone.name} on "
            f"{next(self.network.parameters()).device}, {len(self.classes)} classes: "
            f"{', '.join(self.classes[:8])}{more})"
        )

    def _known(self, tags: Tags) -> tuple[int, ...]:
        """Tags as classes, 0-based; empty where nothing is known."""
        if tags is None:
            return ()
        try:
            text = tags if isinstance(tags, str) else ",".join(tags)
        except TypeError:
            raise UserError(f"tags must be names of classes. Got: {tags!r}") from None
        return parse_class_tags(text, self.classes, given_as="tags")


class SegmenterModel(_Model[Segmenter]):
    """A segmenter: from images to masks."""

    def segment(
        self,
        image: ImageLike,
        *,
        tags: Tags = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = True,
        short_side: int | None = None,
        crf: bool = False,
    ) -> Segmentation:
        """Segments one image, as `weaktr predict` does with the same options.

        Args:
            image: A path, a PIL image, or an array: RGB `[H, W, 3]`, RGBA or grey.
            tags: Classes known to be in the image, such as `("cat", "dog")`; no other is found.
            scales: Factors of the working size, averaged over.
            flip: Whether to average with the mirrored image.
            short_side: Of the image at scale 1, in pixels; `None`: as in training.
            crf: Whether a dense CRF sharpens the labels along edges.

        Raises:
            UserError: If the image cannot be read, or an option makes no sense.
        """
        params = self._settings(scales=scales, flip=flip, short_side=short_side, crf=crf)
        return self._segment([rgb_pixels(image)], params, self._known(tags))[0]

    def segment_all(
        self, images: Iterable[ImageLike], *, tags: Tags = None, **options: Any
    ) -> Iterator[Segmentation]:
        """Segments many images: those of equal shape together, only a few in memory at a time.

        Args:
            images: As for `segment`; files are read ahead.
            tags: Classes known to be in all of them.
            options: As for `segment`.

        Yields:
            The result of every image, in their order.

        Raises:
            UserError: As `segment`.
        """
        if isinstance(images, str | os.PathLike):
            raise UserError(f"segment_all takes many images; give a list. Got: {images!r}")
        params, known = self._settings(**options), self._known(tags)
        early: dict[int, Segmentation] = {}
        turn = 0
        with ThreadPoolExecutor(2) as pool:
            for batch in equal_shape_batches(
                enumerate(map_ahead(pool, rgb_pixels, images, ahead=2)),
                lambda numbered: numbered[1].shape[:2],
                images=run.BATCH_IMAGES,
                pixels=run.BATCH_PIXELS,
                held=run.HELD_PIXELS,
                window=run.WINDOW,
            ):
                indices, pixels = zip(*batch, strict=True)
                early |= zip(indices, self._segment(pixels, params, known), strict=True)
                while turn in early:
                    yield early.pop(turn)
                    turn += 1

    def maps(self, *args: Any, **options: Any) -> NoReturn:
        """Refuses: class maps are what a `CAMModel` gives."""
        raise UserError(
            f"{self.name} is a segmenter, which gives masks and no class maps; load a CAM network, "
            "such as models/cam, for maps()."
        )

    def _settings(self, **options: Any) -> EvaluationParams:
        try:
            return run.prediction_params(self.params, **options)
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{first['loc'][0]}: {first['msg']}. Got: {first['input']!r}") from None

    def _segment(
        self, images: Sequence[Pixels], params: EvaluationParams, known: tuple[int, ...]
    ) -> list[Segmentation]:
        """Segments images of equal shape."""
        allowed = [known or range(len(self.classes))] * len(images)
        found = segment_arrays(self.network, images, params, allowed)
        names = ("background", *self.classes)
        return [Segmentation(*one, names, image) for one, image in zip(found, images, strict=True)]


class CAMModel(_Model[CAMNetwork]):
    """A CAM network: from images to class activation maps and head weights."""

    def maps(self, image: ImageLike, *, tags: Tags = None) -> ClassMaps:
        """Runs the network once on an image; one longer than 48 patches is shrunk.

        Args:
            image: A path, a PIL image, or an array: RGB `[H, W, 3]`, RGBA or grey.
            tags: The classes wanted, such as `("cat", "dog")`; `None`: all.

        Raises:
            UserError: If the image cannot be read, or a tag is no class.
        """
        from weaktr.report import cam_picture

        known = self._known(tags)
        seen = cam_picture.class_maps(self.network, rgb_pixels(image))
        rows = list(known or range(len(self.classes)))
        kinds = zip(CAM_KINDS, seen.maps, strict=True)
        title = Path(image).name if isinstance(image, str | os.PathLike) else ""
        return ClassMaps(
            classes=tuple(self.classes[row] for row in rows),
            maps={kind.name: maps[rows] for kind, maps in kinds},
            probabilities=seen.probabilities[rows],
            head_weights=seen.head_weights,
            image=seen.image,
            _drawn_from=(seen, self.classes, known, title),
        )

    def segment(self, *args: Any, **options: Any) -> NoReturn:
        """Refuses: masks are what a `SegmenterModel` gives."""
        raise UserError(
            f"{self.name} is a CAM network, which gives class maps and no masks; load a segmenter, "
            "such as models/segmenter, for segment()."
        )

    segment_all = segment
