"""Your own images: a folder with a tags table, or one sub-folder for each tag. Masks are optional.

With a table, `tags.csv` in the root has the columns `image` and `tags`, and optionally `split` and
`mask`; paths start at the root, or at `images` and `masks`. Without one, an image's tag is the name
of its top sub-folder below `images` (or below the root), and folders called like the splits, above
those of the tags, set the split. Where no column says otherwise, `masks/<path of the image>.png` is
an image's mask if it is there.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from weaktr.config.dataset import DatasetParams
from weaktr.data.class_words import refuse_no_classes, within_another
from weaktr.data.manifest import check_classes, read_class_list
from weaktr.data.readers.class_choice import add_tagged, empty_listing, tags_from_masks
from weaktr.data.readers.find_files import (
    FileFinder,
    existing_folder,
    flat_ids,
    say_passed_over,
)
from weaktr.data.readers.folder_images import (
    FolderImage,
    Places,
    images_of_table,
)
from weaktr.data.readers.folder_tree import images_of_tree
from weaktr.data.readers.listing import Entry, Listing, Problem, StoredMask
from weaktr.data.readers.tags import read_tag_table
from weaktr.errors import UserError

_TABLE = "tags.csv"
_CLASSES = "classes.txt"


def read_folder(params: DatasetParams) -> Listing:
    """Lists a data set in the folder layout.

    Classes are those of `classes.txt` in the root (one name per line, in the order of mask ids),
    else all tags in alphabetical order. Where no split is given, `params.val_share` of the images
    is held out by a digest of their ids, never the last training image of a class.

    Args:
        params: `root` is the folder.

    Raises:
        UserError: If there is neither a table nor a sub-folder with images.
    """
    root = existing_folder(params.root)
    if params.tags_from == "annotations":
        raise UserError("dataset.tags_from: annotations needs the voc or coco layout, not folder.")
    finder = FileFinder(root)
    places = Places.of(finder)
    named = ((params.train_split, "train"), (params.val_split, "val"), ("test", "test"))
    splits = {name: split for name, split in named if name}
    problems: list[Problem] = []
    notes: list[str] = []
    table = root / _TABLE
    _refuse_other_capitals(root)
    in_table = table.exists() or params.tags_from == "table"
    if in_table:
        rows = read_tag_table(table, problems)
        images, source = images_of_table(places, rows, table, splits, problems), str(table)
    else:
        images, source = images_of_tree(places, splits, problems, notes), f"the folders of {root}"
    if not images and any(problem.severity == "error" for problem in problems):
        return Listing(classes=(), entries=[], mask_ids={}, problems=problems)
    if not images:
        raise UserError(
            f"{table} names no images; write one row per image."
            if in_table
            else f"{root} has no images; put them there with a {_TABLE}, or in one sub-folder per "
            "tag."
        )
    from_masks = params.tags_from == "masks" or (
        params.tags_from == "auto" and _lacks_tags(images) and any(i.mask for i in images)
    )
    if not from_masks and not any(image.tags for image in images):
        raise UserError(
            f"{table} gives no tags; add a column `tags` with the tags of each image."
            if in_table
            else f"no image of {root} has a tag; write a {_TABLE} with the columns image,tags, or "
            "put the images into one sub-folder per tag."
        )
    known = _known_classes(root, images, params, notes, from_masks=from_masks)
    listing = empty_listing(params, known, str(root))
    listing.problems += problems
    listing.notes += notes
    if not in_table and (tables := [f.name for f in sorted(root.iterdir()) if _is_table(f)]):
        listing.warn(
            "other-table",
            f"{root} has tables that are not read ({', '.join(tables)}), as tags come from the "
            f"folders; a table of tags must be called {_TABLE}.",
        )
    say_passed_over(listing, finder)
    ids = flat_ids(image.file for image in images)
    entries = [
        Entry(
            id=ids[image.file],
            image=finder.path(image.file),
            split=image.split or "",
            tags=None,
            mask=StoredMask(finder.path(image.mask)) if image.mask else None,
        )
        for image in images
    ]
    if from_masks:
        tags = tags_from_masks(entries, known)
        source = "the masks"
        listing.notes.append(
            "Tags were derived from the masks: this is not training from tags alone."
        )
    else:
        tags = {ids[image.file]: image.tags for image in images if image.tags is not None}
        listing.notes.append(f"Tags come from {source}.")
    if any(image.mask for image in images) and not (root / _CLASSES).exists():
        legend = ", ".join(f"{index} {name}" for index, name in enumerate(known, start=1))
        listing.notes.append(
            f"There is no {_CLASSES}: masks are taken to hold these ids: {legend}."
        )
    if not any(image.split for image in images):
        entries = hold_out(entries, tags, params.val_share)
        listing.notes.append(
            f"No split is given: {params.val_share:.0%} of the images were held out for "
            "validation by a digest of their ids."
        )
    add_tagged(listing, entries, tags, known, source)
    return listing


def _refuse_other_capitals(root: Path) -> None:
    """`Tags.csv` would be passed over, and its user believe it was read."""
    for path in root.iterdir():
        for name in (_TABLE, _CLASSES):
            if path.name != name and path.name.casefold() == name:
                raise UserError(f"{path} is read under the name {name} only; rename it.")


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv", ".xlsx", ".xls") and path.name[0] not in ".~"


def hold_out(
    entries: Sequence[Entry], tags: Mapping[str, tuple[str, ...]], share: float
) -> list[Entry]:
    """Gives every entry a split: `val` for a share of them, `train` for the rest.

    The order in which images are held out follows a digest of their ids, so that it is the same
    everywhere and hardly moves when images are added. No class loses its last training image.

    Args:
        entries: Images without a split.
        tags: Image id -> tags.
        share: Share of the images to hold out, in [0, 1).
    """
    left = Counter(tag for entry in entries for tag in tags.get(entry.id, ()))
    held: set[str] = set()
    wanted = round(share * len(entries))
    for entry in sorted(entries, key=lambda e: (_digest(e.id), e.id)):
        if len(held) >= wanted:
            break
        found = tags.get(entry.id, ())
        if all(left[tag] > 1 for tag in found):
            left.subtract(found)
            held.add(entry.id)
    return [replace(e, split="val" if e.id in held else "train") for e in entries]


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _lacks_tags(images: Iterable[FolderImage]) -> bool:
    """Whether nothing at all is said about tags of images that may be trained on."""
    return all(image.tags is None for image in images)


def _known_classes(
    root: Path,
    images: Sequence[FolderImage],
    params: DatasetParams,
    notes: list[str],
    *,
    from_masks: bool,
) -> tuple[str, ...]:
    """Classes in the order of their ids in the masks."""
    path = root / _CLASSES
    if path.exists():
        classes, note = read_class_list(path)
        notes += [note] if note else []
        return classes
    if from_masks:
        if not params.classes:
            raise UserError(
                f"{path} does not exist, so that ids in masks have no names; write one class name "
                "per line, or set dataset.classes."
            )
        return check_classes(params.classes, where="dataset.classes")
    names = sorted({tag for image in images for tag in image.tags or ()})
    classes = check_classes(refuse_no_classes(names, str(root)), where=str(root))
    within = [(n, other) for n in classes if (other := within_another(n, classes)) and n < other]
    if within:
        pairs = ", ".join(f"{name!r} and {other!r}" for name, other in within[:3])
        notes.append(f"Tags that differ by a word are classes of their own here: {pairs}.")
    return classes
