"""Label maps as a folder for a labelling tool."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from weaktr.data.manifest import CLASSES_FILE
from weaktr.data.masks import read_mask
from weaktr.data.parallel import parallel_map
from weaktr.data.readers.find_files import without_suffix
from weaktr.errors import UserError
from weaktr.files import replace_dir
from weaktr.labelling import coco, cvat, labelstudio, palette, yolo
from weaktr.labelling.format_names import FormatName
from weaktr.labelling.labelled_image import Annotated, LabelledImage, Style
from weaktr.labelling.regions import Left, find_regions
from weaktr.labels import VOID


class Format(NamedTuple):
    """How one tool wants it.

    Attributes:
        describe: What an image becomes.
        write: Writes the files that all of them make, and gives the one to open.
        by_stem: Whether images are told apart by their names without suffix only.
    """

    describe: Callable[[Annotated, Sequence[str], Style], Any]
    write: Callable[[Iterable[Any], Sequence[str], Path], Path]
    by_stem: bool


FORMATS: dict[str, Format] = {
    "coco": Format(coco.describe, coco.write, by_stem=False),
    "yolo": Format(yolo.describe, yolo.write, by_stem=True),
    "labelstudio": Format(labelstudio.describe, labelstudio.write, by_stem=False),
    "cvat": Format(cvat.describe, cvat.write, by_stem=True),
    "palette": Format(palette.describe, palette.write, by_stem=True),
}


@dataclass
class Outcome:
    """What was written.

    Attributes:
        path: The file to give to the tool.
        images: How many.
        regions: Regions in them.
        empty: Images without any.
        left: What was left out.
    """

    path: Path
    images: int = 0
    regions: int = 0
    empty: int = 0
    left: Left = field(default_factory=Left)


def write_labels(
    images: Sequence[LabelledImage],
    classes: Sequence[str],
    format: FormatName,
    output: str | Path,
    style: Style | None = None,
    *,
    workers: int | None = None,
) -> Outcome:
    """Writes a folder for a labelling tool: whole or not at all, in the place of an old one.

    Equal images, masks and style give equal bytes. `classes.txt` lies beside the tool's files, so
    that what comes back from the tool has the same ids.

    Args:
        images: In any order.
        classes: Names without background.
        format: A name of `FORMATS`.
        output: The folder.
        style: How; by default whole classes as exact pixels.
        workers: Processes; `None`: one per core.

    Raises:
        UserError: If there is no image, an id is there twice, a name cannot be written, or a mask
            cannot be read, has another size than its image, or ids that are no class.
    """
    style = style or Style()
    images = sorted(images, key=lambda image: image.id)
    tool = FORMATS[format]
    _check_names(images, by_stem=tool.by_stem)
    outcome = Outcome(Path(output), images=len(images))
    job = partial(_annotate, tool.describe, tuple(classes), style)

    def described() -> Iterable[Any]:
        for entry, regions, left in parallel_map(job, images, "reading masks", workers=workers):
            outcome.regions += regions
            outcome.empty += not regions
            outcome.left.add(left)
            yield entry

    with replace_dir(output) as folder:
        path = tool.write(described(), classes, folder)
        (folder / CLASSES_FILE).write_text(
            "".join(f"{name}\n" for name in classes), encoding="utf-8", newline="\n"
        )
        outcome.path = Path(output) / path.relative_to(folder)
    return outcome


def _annotate(
    describe: Callable[[Annotated, Sequence[str], Style], Any],
    classes: tuple[str, ...],
    style: Style,
    image: LabelledImage,
) -> tuple[Any, int, Left]:
    """What an image becomes, how many regions it has, and what of its mask is left out."""
    ids = read_mask(image.mask)
    height, width = ids.shape
    if (width, height) != (image.width, image.height):
        raise UserError(
            f"{image.mask} is {width}x{height} pixels but its image {image.name} is "
            f"{image.width}x{image.height}; give the images that the masks were made of."
        )
    strange = [i for i in np.unique(ids).tolist() if i > len(classes) and i != VOID]
    if strange:
        raise UserError(
            f"{image.mask} holds ids that are no class; {len(classes)} classes are known "
            f"({', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}), and 255 is void; "
            f"give the class list of the masks. Got: {', '.join(map(str, strange[:5]))}."
        )
    regions, left = find_regions(
        ids,
        split_parts=style.split_parts,
        min_area=style.min_area,
        scores=dict(image.scores),
    )
    kept = np.where(ids == VOID, ids, 0)
    for region in regions:
        left_edge, top, width, height = region.box
        kept[top : top + height, left_edge : left_edge + width][region.window] = region.label
    annotated = Annotated(image, kept, tuple(regions))
    return describe(annotated, classes, style), len(regions), left


def _check_names(images: Sequence[LabelledImage], *, by_stem: bool) -> None:
    if not images:
        raise UserError("there are no images with masks to write; check the folder of masks.")
    ids: set[str] = set()
    names: dict[str, str] = {}
    for image in images:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in image.name):
            raise UserError(
                "the name of an image has characters that cannot be written into a file for a "
                f"tool; rename it. Got: {image.name!a}."
            )
        if image.id in ids:
            raise UserError(f"two masks are called {image.id!r}; rename one.")
        ids.add(image.id)
        stem = without_suffix(image.name) if by_stem else image.name
        if stem in names:
            raise UserError(
                f"{names[stem]} and {image.name} have the same name for the tool; rename one."
            )
        names[stem] = image.name
