"""MS COCO's layout: `annotations/instances_<split>.json` beside folders of images.

Semantic masks do not exist there: they are painted from the instances, large ones first, so that
small objects on top of large ones stay visible.
"""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaktr.config.dataset import DatasetParams
from weaktr.data.manifest import check_classes
from weaktr.data.readers.class_choice import add_tagged, empty_listing
from weaktr.data.readers.find_files import FileFinder, existing_folder, without_suffix
from weaktr.data.readers.listing import Entry, Listing
from weaktr.errors import UserError
from weaktr.labels import VOID, Pixels

Polygons = tuple[npt.NDArray[np.float64], ...]
RunLengths = dict[str, Any]

_YEAR = "2014"
_SHORTEST_POLYGON = 6
"""Numbers: three corners."""
_FARTHEST = 10
"""Longer sides of the image that a corner may lie away; pycocotools crashes far outside."""


@dataclass(frozen=True, slots=True)
class PaintedMask:
    """A mask that is still a list of shapes.

    Attributes:
        height: Height in pixels, of the image as stored.
        width: Width in pixels.
        shapes: Polygons (`[x0, y0, x1, y1, ...]` each) or a COCO run-length code, with the id that
            they are painted with; later ones cover earlier ones.
    """

    height: int
    width: int
    shapes: tuple[tuple[Polygons | RunLengths, int], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    def read(self) -> Pixels:
        """Ids `[H, W]`, uint8, in class-list order."""
        from pycocotools import mask as coco_mask

        ids = np.zeros((self.height, self.width), np.uint8)
        for shape, value in self.shapes:
            if isinstance(shape, dict):
                code = shape
                if isinstance(shape["counts"], list):
                    code = coco_mask.frPyObjects(shape, self.height, self.width)
            else:
                code = coco_mask.merge(coco_mask.frPyObjects(list(shape), self.height, self.width))
            ids[coco_mask.decode(code).astype(bool)] = value
        return ids


def read_coco(params: DatasetParams) -> Listing:
    """Lists a data set in MS COCO's layout.

    A split called `train` is looked for as `train2014`, then as `train`: its annotations in
    `annotations/instances_train2014.json`, its images in `train2014` or `images/train2014`. Classes
    are the file's categories in the order of their ids, made contiguous (COCO's ids have gaps).

    An image's id is its name without suffix; validation images named like a training image get
    `val__` before it.

    Every annotation gives its image a tag, crowds too; training images without any annotation are
    left out (the published list has the 82,081 others). Pixels of a crowd become void where no
    other object is on top, or keep their class, as `params.crowd` says.

    Args:
        params: `root` is the folder that holds `annotations`.

    Raises:
        UserError: If the layout is not there, or a file is not what COCO's API reads.
    """
    root = existing_folder(params.root)
    existing_folder(root, "annotations")
    listing: Listing | None = None
    known: tuple[str, ...] = ()
    for name, split in ((params.train_split, "train"), (params.val_split, "val")):
        if not name:
            continue
        path = _annotation_file(root, name)
        api = _load(path)
        try:
            numbers = sorted(api.cats)
            names = tuple(str(api.cats[number]["name"]) for number in numbers)
        except (KeyError, TypeError) as error:
            raise _malformed(path, error) from None
        if listing is None:
            known = check_classes(names, where=str(path))
            listing = empty_listing(params, known, str(path))
        elif names != known:
            raise UserError(f"{path} has other categories than the training split; use one list.")
        category = {number: index for index, number in enumerate(numbers, start=1)}
        values = {
            number: listing.mask_ids.get(index, listing.other_becomes)
            for number, index in category.items()
        }
        try:
            entries, tags = _entries(
                listing,
                api,
                path,
                values=values,
                split=split,
                taken={entry.id for entry in listing.entries},
                keep_crowds=params.crowd == "keep",
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(path, error) from None
        del api  # Gigabytes for COCO itself; the entries keep what they need.
        by_name = {
            id_: tuple(known[category[number] - 1] for number in sorted(found))
            for id_, found in tags.items()
        }
        add_tagged(listing, entries, by_name, known, str(path))
    if listing is None:
        raise UserError("dataset.train_split is empty; name a split, such as train.")
    # Painted masks have the class list's ids from the start.
    listing.mask_ids = {index: index for index in range(1, len(listing.classes) + 1)}
    listing.other_ids = frozenset()
    listing.notes.append("Tags come from the instance annotations; masks are painted from them.")
    return listing


def _annotation_file(root: Path, name: str) -> Path:
    candidates = [root / "annotations" / f"instances_{n}.json" for n in (name + _YEAR, name)]
    for path in candidates:
        if path.exists():
            return path
    raise UserError(
        f"{candidates[0]} does not exist (nor does {candidates[1].name}); fetch COCO's "
        "annotations, or set dataset.train_split and dataset.val_split."
    )


def _load(path: Path) -> Any:
    """The file as `pycocotools.coco.COCO`, without its prints."""
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            api = COCO(str(path))
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise _malformed(path, error) from None
    if not api.cats or not api.imgs:
        raise UserError(f"{path} has no categories or no images; fetch it again.")
    return api


def _malformed(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(
        f"{path} is not a sound COCO annotation file ({type(error).__name__}: {reason}); "
        "fetch it again."
    )


def _image_folder(root: Path, path: Path) -> Path:
    name = path.stem.removeprefix("instances_")
    for folder in (root / name, root / "images" / name):
        if folder.is_dir():
            return folder
    raise UserError(f"{root / name} is not a folder; put the images of {path.name} there.")


def _entries(
    listing: Listing,
    api: Any,
    path: Path,
    *,
    values: dict[int, int],
    split: str,
    taken: set[str],
    keep_crowds: bool,
) -> tuple[list[Entry], dict[str, set[int]]]:
    """Entries, still without tags, and the category numbers that each image's annotations have.

    Args:
        listing: Takes the problems.
        api: The loaded annotation file.
        path: Where it was loaded from.
        values: Category number -> id to paint with.
        split: Split of the entries.
        taken: Ids that other images have.
        keep_crowds: Whether a crowd's pixels keep their class instead of becoming void.
    """
    folder = _image_folder(path.parent.parent, path)
    finder = FileFinder(folder)
    entries, tags = [], {}
    shapeless = unannotated = 0
    for number in sorted(api.imgs):
        image = api.imgs[number]
        name = str(image["file_name"])
        annotations = api.imgToAnns.get(number, [])
        if not annotations and split == "train":
            unannotated += 1
            continue
        file = finder.find(name) or finder.find(name.removeprefix(f"{folder.name}/"))
        if file is None:
            listing.error(
                "missing-image",
                f"{folder / name} does not exist, but {path.name} names it; add the image.",
            )
            continue
        height, width = int(image["height"]), int(image["width"])
        # Crowds lie under everything, then large objects under small ones.
        annotations = sorted(annotations, key=_painting_order)
        shapes = []
        for annotation in annotations:
            value = values[annotation["category_id"]]
            shape = _shape(annotation.get("segmentation"), height, width)
            if shape is None:
                shapeless += 1
                continue
            crowd = annotation.get("iscrowd") and not keep_crowds
            kept = value in range(1, len(listing.classes) + 1)
            shapes.append((shape, VOID if crowd and kept else value))
        id_ = without_suffix(file).replace("/", "__")
        if id_ in taken:
            id_ = f"{split}__{id_}"
        mask = PaintedMask(height, width, tuple(shapes))
        entries.append(Entry(id_, finder.path(file), split, (), mask))
        tags[id_] = {annotation["category_id"] for annotation in annotations}
    if unannotated:
        listing.notes.append(
            f"Training images left out because {path.name} has no annotation of them, as the "
            f"published lists do: {unannotated}."
        )
    if shapeless:
        listing.warn(
            "no-shape",
            f"{path} has annotations without a usable polygon or run-length code, which give "
            f"tags but no pixels: {shapeless}.",
        )
    return entries, tags


def _painting_order(annotation: dict[str, Any]) -> tuple[float, float]:
    return -(annotation.get("iscrowd") or 0), -(annotation.get("area") or 0)


def _shape(segmentation: Any, height: int, width: int) -> Polygons | RunLengths | None:
    """Polygons as arrays (a quarter of the memory of lists), run-length codes as they are.

    What pycocotools cannot paint, or would crash on, is no shape.
    """
    if isinstance(segmentation, dict):
        fits = segmentation.get("size") == [height, width]
        return segmentation if fits and _decodes(segmentation, height, width) else None
    if not isinstance(segmentation, list):
        return None
    usable = (p for p in segmentation if len(p) >= _SHORTEST_POLYGON and len(p) % 2 == 0)
    polygons = (np.asarray(p, np.float64) for p in usable)
    farthest = _FARTHEST * max(height, width)
    return tuple(p for p in polygons if p.ndim == 1 and (np.abs(p) <= farthest).all()) or None


def _decodes(code: RunLengths, height: int, width: int) -> bool:
    """Whether a run-length code covers an image of that size."""
    from pycocotools import mask as coco_mask

    counts = code.get("counts")
    try:
        if isinstance(counts, list):
            return min(counts) >= 0 and sum(counts) == height * width
        coco_mask.decode(code)
    except (KeyError, TypeError, ValueError):
        return False
    return True
