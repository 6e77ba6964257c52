"""PASCAL VOC 2012's layout: `JPEGImages`, `ImageSets/Segmentation`, `SegmentationClass(Aug)`.

Any data set in this layout can be read; a `classes.txt` in the root (one name per line, in the
order of mask ids) replaces VOC's own twenty classes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from weaktr.config.dataset import DatasetParams
from weaktr.data.class_words import composed
from weaktr.data.manifest import read_class_list
from weaktr.data.readers.class_choice import add_tagged, empty_listing, tags_from_masks
from weaktr.data.readers.find_files import (
    FileFinder,
    existing_folder,
    say_passed_over,
    without_suffix,
)
from weaktr.data.readers.listing import Entry, Listing, StoredMask
from weaktr.data.readers.tags import read_tag_table
from weaktr.errors import UserError

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

_MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClass")
_PATH_PAIR = re.compile(r"^/?JPEGImages/(\S+)\s+/?SegmentationClass\S*$")


@dataclass(frozen=True)
class _Folders:
    """The files of a VOC root."""

    root: Path
    images: FileFinder
    masks: tuple[FileFinder, ...]

    def mask(self, id_: str) -> StoredMask | None:
        for finder in self.masks:
            file = finder.find(id_)
            if file is not None:
                return StoredMask(finder.path(file))
        return None


def read_voc(params: DatasetParams) -> Listing:
    """Lists a data set in VOC 2012's layout.

    Splits come from `ImageSets/Segmentation/<name>.txt`. `train_aug` without such a list is every
    mask of `SegmentationClassAug` that is not in `val`, as in the published recipes. A `test` list
    is read where its images are there; their tags are not known.

    Tags come from `Annotations/*.xml` where that folder is, else from `tags.csv` (columns image and
    tags), else from the masks; a note says which. Objects marked `difficult` count: they are in
    the image, and the published image-level labels have them too.

    Args:
        params: `root` is the folder `VOCdevkit/VOC2012`.

    Raises:
        UserError: If the layout is not there.
    """
    root = existing_folder(params.root)
    classes_file = root / "classes.txt"
    if classes_file.exists():
        (known, note), where = read_class_list(classes_file), str(classes_file)
    else:
        known, note, where = VOC_CLASSES, None, "VOC 2012"
    listing = empty_listing(params, known, where)
    listing.notes += [note] if note else []
    folders = _Folders(
        root,
        FileFinder(existing_folder(root, "JPEGImages")),
        tuple(FileFinder(root / name) for name in _MASK_FOLDERS if (root / name).is_dir()),
    )
    if not folders.masks and (params.val_split or params.tags_from == "masks"):
        raise UserError(
            f"{root} has no mask folder ({' or '.join(_MASK_FOLDERS)}), so that nothing can be "
            "evaluated; put the masks there, or set dataset.val_split to '' to do without."
        )
    entries = _entries(listing, folders, params.train_split, "train")
    if params.val_split:
        entries += _entries(listing, folders, params.val_split, "val")
    for finder in (folders.images, *folders.masks):
        say_passed_over(listing, finder)
    tags, source = _tags(listing, folders, entries, known, params.tags_from)
    add_tagged(listing, entries, tags, known, source)
    _add_test(listing, folders)
    listed = {entry.image for entry in (*entries, *listing.entries)}
    if spare := len(folders.images.files) - len(listed):
        text = f"Images of {folders.images.root} that no split names: {spare}."
        listing.left_out("not-listed", spare, text)
    return listing


def _entries(listing: Listing, folders: _Folders, name: str, split: str) -> list[Entry]:
    """Entries, still without tags, of one split list."""
    entries = []
    for id_ in _split_ids(folders, name):
        try:
            file = folders.images.find(id_)
            mask = folders.mask(id_)
        except UserError as error:
            listing.error("duplicate-id", str(error))
            continue
        if file is None and (kind := folders.images.find_unread(id_)):
            listing.error(
                "missing-image",
                f"{folders.images.path(id_)} is a {kind} picture, which is not read; convert it to "
                "JPEG or PNG.",
            )
            continue
        if file is None:
            listing.error(
                "missing-image",
                f"{folders.images.path(id_)} does not exist as JPEG, PNG, WebP, BMP or TIFF, but "
                f"the list {name!r} names it; add the image or remove the line.",
            )
            continue
        flat = without_suffix(file).replace("/", "__")
        entries.append(Entry(flat, folders.images.path(file), split, (), mask))
    return entries


def _list_path(folders: _Folders, name: str) -> Path:
    return folders.root / "ImageSets" / "Segmentation" / f"{name}.txt"


def _split_ids(folders: _Folders, name: str) -> list[str]:
    """Names in a split list, in its order."""
    path = _list_path(folders, name)
    augmented = folders.root / "SegmentationClassAug"
    if name == "train_aug" and not path.exists() and augmented.is_dir():
        held_out = set(_split_ids(folders, "val"))
        masks = next(finder for finder in folders.masks if finder.root == augmented)
        return [id_ for id_ in map(without_suffix, masks.files) if id_ not in held_out]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        there = sorted(p.stem for p in path.parent.glob("*.txt"))
        raise UserError(
            f"{path} does not exist; dataset.train_split and dataset.val_split must name lists "
            f"of that folder. It has: {', '.join(there) or 'none'}."
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    return [_id_in(line) for line in map(str.strip, lines) if line]


def _id_in(line: str) -> str:
    """The image's name in a line: a bare name, or the pair of paths some lists hold."""
    pair = _PATH_PAIR.match(line)
    return without_suffix(pair[1] if pair else line)


def _tags(
    listing: Listing,
    folders: _Folders,
    entries: Sequence[Entry],
    known: tuple[str, ...],
    tags_from: str,
) -> tuple[dict[str, tuple[str, ...]], str]:
    """Image id -> tags, and where they come from."""
    annotations, table = folders.root / "Annotations", folders.root / "tags.csv"
    if tags_from == "auto":
        tags_from = (
            "annotations" if annotations.is_dir() else "table" if table.exists() else "masks"
        )
    if tags_from == "annotations":
        existing_folder(annotations)
        found, source = _tags_of_annotations(listing, annotations, entries), "Annotations/*.xml"
    elif tags_from == "table":
        found, source = _tags_of_table(listing, table, entries), str(table)
    else:
        found, source = tags_from_masks(entries, known), "the masks"
        for entry in entries:
            if entry.id not in found:
                listing.error(
                    "missing-tags",
                    f"Image {entry.id!r} has no mask to read tags from; add its mask, or give "
                    "tags in Annotations or tags.csv.",
                )
    listing.notes.append(
        "Tags were derived from the masks: this is not training from tags alone."
        if source == "the masks"
        else f"Tags come from {source}."
    )
    return found, source


def _tags_of_annotations(
    listing: Listing, folder: Path, entries: Sequence[Entry]
) -> dict[str, tuple[str, ...]]:
    tags = {}
    for entry in entries:
        path = folder / f"{Path(entry.image).stem}.xml"
        try:
            objects = ElementTree.parse(path).getroot().iterfind("object")
            names = [composed(element.findtext("name") or "").strip() for element in objects]
            tags[entry.id] = tuple(dict.fromkeys(names))
        except FileNotFoundError:
            listing.error(
                "missing-tags",
                f"{path} does not exist, so image {entry.id!r} has no tags; add it, or set "
                "dataset.tags_from.",
            )
        except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
            listing.error(
                "missing-tags", f"{path} cannot be read as XML ({error}); save it in UTF-8."
            )
    return tags


def _tags_of_table(
    listing: Listing, path: Path, entries: Sequence[Entry]
) -> dict[str, tuple[str, ...]]:
    by_name: dict[str, tuple[str, ...]] = {}
    for row in read_tag_table(path, listing.problems):
        if row.tags is None:
            raise UserError(f"{path} has no column `tags`; add it, or set dataset.tags_from.")
        name = without_suffix(row.image.replace("\\", "/").removeprefix("JPEGImages/"))
        name = name.replace("/", "__")
        if name in by_name:
            listing.error(
                "duplicate-id",
                f"{path} line {row.line} names image {name!r} a second time; merge the rows.",
            )
        by_name.setdefault(name, row.tags)
    for entry in entries:
        if entry.id not in by_name:
            listing.error(
                "missing-tags", f"{path} has no row for image {entry.id!r}; add one to it."
            )
    return {e.id: by_name[e.id] for e in entries if e.id in by_name}


def _add_test(listing: Listing, folders: _Folders) -> None:
    """Adds the images of the test list that are there; nothing is known about them."""
    if not _list_path(folders, "test").exists():
        return
    ids = _split_ids(folders, "test")
    files = [file for file in map(folders.images.find, ids) if file is not None]
    listing.entries += [
        Entry(without_suffix(f).replace("/", "__"), folders.images.path(f), "test", None)
        for f in files
    ]
    if len(files) < len(ids):
        missing = len(ids) - len(files)
        listing.left_out(
            "missing-test-image",
            missing,
            f"{missing} of {len(ids)} images of the test list are not there and were left out.",
        )
