"""Palette PNG files in VOC's layout: `SegmentationClass/`, `ImageSets/`, `labelmap.txt`.

CVAT and Datumaro read it as "Segmentation mask". Of all formats, this one alone holds void; where
there is some, `labelmap.txt` has it as `ignored`, as Datumaro calls it.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from weaktr.data.masks import write_mask
from weaktr.data.readers.find_files import without_suffix
from weaktr.labelling.coco import NO_SPLIT
from weaktr.labelling.labelled_image import Annotated, Style
from weaktr.labels import VOC_PALETTE, VOID

Png = tuple[str, str, bytes, bool]
"""Split, name of the image without suffix, its label map as a PNG file, and whether it has void."""


def describe(annotated: Annotated, classes: Sequence[str], style: Style) -> Png:
    """The image's label map, without the parts that are left out."""
    file = io.BytesIO()
    write_mask(file, annotated.ids)
    image = annotated.image
    has_void = bool((annotated.ids == VOID).any())
    return image.split or NO_SPLIT, without_suffix(image.name), file.getvalue(), has_void


def write(described: Iterable[Png], classes: Sequence[str], folder: Path) -> Path:
    """Writes the PNG files, the lists of the splits, and the colours of the classes."""
    masks = folder / "SegmentationClass"
    splits: dict[str, list[str]] = {}
    any_void = False
    for split, name, png, has_void in described:
        any_void |= has_void
        splits.setdefault(split, []).append(f"{name}\n")
        path = masks / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, names in splits.items():
        (lists / f"{split}.txt").write_text("".join(names), encoding="utf-8", newline="\n")
    labels = dict(enumerate(("background", *classes)))
    if any_void:
        labels[VOID] = "ignored"
    colours = (
        f"{name}:{','.join(map(str, VOC_PALETTE[index].tolist()))}::\n"
        for index, name in labels.items()
    )
    (folder / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\n" + "".join(colours), encoding="utf-8", newline="\n"
    )
    return masks
