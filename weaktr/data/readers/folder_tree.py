"""Images of the folder layout as they lie in folders: one for each tag."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from weaktr.data.readers.find_files import without_suffix
from weaktr.data.readers.folder_images import FolderImage, Places, count_spare_masks
from weaktr.data.readers.listing import Problem
from weaktr.data.readers.splits import split_folders, split_named
from weaktr.data.readers.tags import parse_tags
from weaktr.data.wording import some
from weaktr.errors import UserError

_IMAGES = ("images", "image", "imgs", "img", "jpegimages", "photos", "pictures")
_MASKS = ("masks", "mask", "labels", "label", "gt", "ground truth", "groundtruth", "annotations")
_VOC = ("segmentationclass", "segmentationclassaug", "segmentationobject", "segmentation")
_MASK_OF = re.compile(r"(.+?)[ _.-]*(?:mask|masks|seg|segmentation|label|labels|gt)", re.IGNORECASE)
_NO_TAGS = frozenset((*_IMAGES, *_MASKS, *_VOC))
"""Folders that hold images and masks in other layouts; no tags."""


def images_of_tree(
    places: Places, splits: Mapping[str, str], problems: list[Problem], notes: list[str]
) -> list[FolderImage]:
    """Images in one sub-folder per tag (a folder called `cat, dog` gives two).

    Raises:
        UserError: If folders are no tags, or two mean one split.
    """
    finder, base = places.finder, places.images
    files = [
        file.removeprefix(base)
        for file in finder.files
        if file.startswith(base) and not places.is_mask(file)
    ]
    outside = [f for f in finder.files if not f.startswith(base) and not places.is_mask(f)]
    if outside:
        text = f"{some(outside)} of {finder.root} outside of {base} stay out; move them there."
        problems.append(Problem("warning", "outside", text, len(outside)))
    tops = dict.fromkeys(file.split("/")[0] for file in files if "/" in file)
    of_folder = split_folders(tops, splits, where=str(finder.root / base))
    if of_folder is None:
        for name in tops:
            if split_named(name, splits):
                notes.append(
                    f"The folder {name} is taken for the tag {name!r}, as the others are no splits."
                )
    else:
        for name, meant in of_folder.items():
            if name not in splits:
                notes.append(f"The folder {name} is taken for the split {meant}.")
    images = []
    below: Counter[tuple[str, str]] = Counter()
    for file in files:
        *folders, _ = file.split("/")
        split: str | None = None
        if of_folder is not None:
            split = of_folder.get(folders.pop(0)) if folders else None
            if split is None:
                problems.append(
                    Problem(
                        "error",
                        "unknown-split",
                        f"{finder.path(base + file)} lies outside the folders of the splits; move "
                        "it into one.",
                    )
                )
                continue
        tags = parse_tags(folders[0]) if folders else (None if split == "test" else ())
        if folders[1:]:
            below[folders[0], folders[1]] += 1
        images.append(FolderImage(base + file, tags, split, places.mask_beside(base + file)))
    _refuse_no_tags(finder.root, images)
    _refuse_masks_beside(finder.root, images)
    _say_empty(places, of_folder, problems)
    _check_below(finder.root, below, len(images), notes)
    used = {image.mask for image in images}
    count_spare_masks(
        places, [f for f in finder.files if places.is_mask(f) and f not in used], problems
    )
    return images


def _say_empty(
    places: Places, of_folder: Mapping[str, str] | None, problems: list[Problem]
) -> None:
    """Folders in the place of those of tags or splits that hold no image that is read."""
    finder, base = places.finder, places.images
    full = {folder.as_posix() for file in finder.files for folder in PurePosixPath(file).parents}
    empty = []
    for folder in sorted(finder.folders):
        parts = folder.removeprefix(base).split("/")
        deepest = 2 if of_folder is not None and parts[0] in of_folder else 1
        is_place = folder.startswith(base) and len(parts) <= deepest and not _is_no_tag(parts[-1])
        if is_place and folder not in full and f"{folder}/" not in (base, places.masks):
            empty.append(folder)
    if empty:
        text = (
            f"{finder.root} has {some(empty, 'folder')} without an image that is read, which give "
            "no tag and no split; add images, or remove them."
        )
        problems.append(Problem("warning", "empty-folder", text, len(empty)))


def _check_below(
    root: Path, below: Counter[tuple[str, str]], number: int, notes: list[str]
) -> None:
    """Folders inside those of the tags: counted, or the tags themselves, one level too deep."""
    if not below:
        return
    tops = list(dict.fromkeys(top for top, _ in below))
    inner = [name for _, name in below]
    if len(tops) == 1 and len(inner) > 1 and below.total() == number:
        raise UserError(
            f"{root} has all images in folders of {tops[0]!r} ({', '.join(inner[:3])}"
            f"{', ...' if inner[3:] else ''}), which would be the only tag; move these folders one "
            "level up, set dataset.root, or write a tags.csv."
        )
    top, name = next(iter(below))
    notes.append(
        f"Images in folders inside those of tags, such as {top}/{name}, which give no further tag: "
        f"{below.total()}."
    )


def _refuse_no_tags(root: Path, images: Sequence[FolderImage]) -> None:
    """Folders called `images` or `masks` in the place of tags are another layout."""
    tags = {tag for image in images for tag in image.tags or ()}
    if tags and all(map(_is_no_tag, tags)):
        raise UserError(
            f"{root} has its images in folders called {', '.join(sorted(tags))}, which is no tag; "
            "write a tags.csv with the columns image,tags (and mask), or put images into one "
            "sub-folder per tag."
        )


def _refuse_masks_beside(root: Path, images: Sequence[FolderImage]) -> None:
    """`1_mask.png` beside `1.jpg` would be trained on as an image."""
    stems = {without_suffix(image.file) for image in images}
    masks = [
        image.file
        for image in images
        if (named := _MASK_OF.fullmatch(without_suffix(image.file))) and named[1] in stems
    ]
    if masks:
        raise UserError(
            f"{root} has {some(masks, 'file')} named like masks of the images beside them, which "
            "would be trained on as images; move them to masks/, named like their images, or "
            "remove them."
        )


def _is_no_tag(name: str) -> bool:
    return name.casefold().replace("_", " ") in _NO_TAGS
