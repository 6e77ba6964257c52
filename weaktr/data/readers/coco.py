"""MS COCO's layout: `annotations/instances_<split>.json` beside folders of images.

Semantic masks do not exist there: they are painted from the instances, large ones first, so that
small objects on top of large ones stay visible.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weaktr.config.dataset import DatasetParams
from weaktr.data.class_words import composed, meaning_of, refuse_no_classes
from weaktr.data.manifest import check_classes
from weaktr.data.readers.class_choice import add_tagged, empty_listing
from weaktr.data.readers.coco_file import CocoAnnotation, CocoFile, CocoImage, Id, load_coco
from weaktr.data.readers.coco_seen import SeenShapes
from weaktr.data.readers.coco_shapes import PaintedMask, Shape
from weaktr.data.readers.find_files import (
    FileFinder,
    existing_folder,
    say_passed_over,
    without_suffix,
)
from weaktr.data.readers.listing import Entry, Listing
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOID

_YEAR = "2014"


def read_coco(params: DatasetParams) -> Listing:
    """Lists a data set in MS COCO's layout.

    A split called `train` is looked for as `train2014`, then as `train`: its annotations in
    `annotations/instances_train2014.json`, its images in `train2014` or `images/train2014`. Classes
    are the file's categories in the order of their ids, made contiguous (COCO's ids have gaps); a
    category that means background or void is no class, its shapes are painted as what it means.

    An image's id is its name without suffix; validation images named like a training image get
    `val__` before it.

    Every annotation gives its image a tag, crowds too; training images without any annotation are
    left out (the published list has the 82,081 others). Pixels of a crowd become void where no
    other object is on top, or keep their class, as `params.crowd` says. An image with an object
    that has no shape keeps its tags and has no mask: nobody knows which of its pixels are
    background.

    Args:
        params: `root` is the folder that holds `annotations`.

    Raises:
        UserError: If the layout is not there, or an annotation file contradicts itself.
    """
    root = existing_folder(params.root)
    existing_folder(root, "annotations")
    listing: Listing | None = None
    known: tuple[str, ...] = ()
    for name, split in ((params.train_split, "train"), (params.val_split, "val")):
        if not name:
            continue
        path = _annotation_file(root, name)
        file = load_coco(path)
        classes = {
            number: composed(name)
            for number, name in file.categories.items()
            if meaning_of(name) not in ("background", "void")
        }
        if listing is None:
            known = refuse_no_classes(classes.values(), str(path))
            listing = empty_listing(params, check_classes(known, where=str(path)), str(path))
        elif tuple(classes.values()) != known:
            raise UserError(f"{path} has other categories than the training split; use one list.")
        if split == "val" and not file.annotations:
            raise UserError(
                f"{path} has no annotations, so that its images would be measured as background; "
                "fetch the file with annotations, or set dataset.val_split to '' to do without."
            )
        entries, numbers = _Split(listing, file, split, _values(listing, file, classes)).read(
            taken={entry.id for entry in listing.entries}, keep_crowds=params.crowd == "keep"
        )
        del file  # Gigabytes for COCO itself; the entries keep what they need.
        tags = {
            id_: tuple(classes[number] for number in classes if number in found)
            for id_, found in numbers.items()
        }
        add_tagged(listing, entries, tags, known, str(path))
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


def _image_folder(root: Path, path: Path) -> Path:
    name = path.stem.removeprefix("instances_")
    for folder in (root / name, root / "images" / name):
        if folder.is_dir():
            return folder
    raise UserError(f"{root / name} is not a folder; put the images of {path.name} there.")


def _values(listing: Listing, file: CocoFile, classes: Mapping[Id, str]) -> dict[Id, int]:
    """Category id -> id to paint with."""
    values = {
        number: listing.mask_ids.get(index, listing.other_becomes)
        for index, number in enumerate(classes, start=1)
    }
    for number, name in file.categories.items():
        if number not in classes:
            values[number] = BACKGROUND if meaning_of(name) == "background" else VOID
            listing.notes.append(
                f"{file.path} has the category {name!r}, which is no class: its shapes are painted "
                f"as {meaning_of(name)}."
            )
    return values


@dataclass
class _Split:
    """One annotation file on its way to entries.

    Attributes:
        listing: Takes problems and notes.
        file: The file.
        split: Split of the entries.
        values: Category id -> id to paint with.
        seen: What is to be said about shapes.
    """

    listing: Listing
    file: CocoFile
    split: str
    values: Mapping[Id, int]
    seen: SeenShapes = field(default_factory=SeenShapes)

    def read(self, *, taken: set[str], keep_crowds: bool) -> tuple[list[Entry], dict[str, set[Id]]]:
        """Entries, still without tags, and the category ids that each image's annotations have.

        Args:
            taken: Ids that other images have.
            keep_crowds: Whether a crowd's pixels keep their class instead of becoming void.
        """
        path = self.file.path
        folder = _image_folder(path.parent.parent, path)
        finder = FileFinder(folder)
        entries, tags = [], {}
        listed: set[str] = set()
        unannotated = maskless = 0
        for image in self.file.images:
            annotations = self.file.of_image[image.number]
            file = finder.find(image.file_name) or finder.find(
                image.file_name.removeprefix(f"{folder.name}/")
            )
            if file is not None:
                listed.add(file)
            if not annotations:
                unannotated += 1
                if self.split == "train":
                    continue
            if file is None:
                self.listing.error(
                    "missing-image",
                    f"{folder / image.file_name} does not exist, but {path.name} names it; add the "
                    "image.",
                )
                continue
            mask = self._mask(image, annotations, keep_crowds=keep_crowds)
            maskless += mask is None
            id_ = without_suffix(file).replace("/", "__")
            if id_ in taken:
                id_ = f"{self.split}__{id_}"
            entries.append(Entry(id_, finder.path(file), self.split, (), mask))
            tags[id_] = {annotation.category for annotation in annotations}
        say_passed_over(self.listing, finder)
        if spare := len(finder.files) - len(listed):
            text = f"Images of {folder} that {path.name} does not list: {spare}."
            self.listing.left_out("not-listed", spare, text)
        self._say(unannotated)
        self.seen.say(self.listing, path, maskless, keep_crowds=keep_crowds)
        for what, number in self.file.repaired.items():
            self.listing.warn("repaired", f"{path}: {what}, {number} times.")
        return entries, tags

    def _mask(
        self, image: CocoImage, annotations: list[CocoAnnotation], *, keep_crowds: bool
    ) -> PaintedMask | None:
        """The image's mask; `None` where an object's pixels are not known."""
        found: list[tuple[bool, float, Shape, int]] = []
        for annotation in annotations:
            parsed = self.seen.parse(annotation, image)
            if parsed is None or parsed.shape is None:
                continue
            value = self.values[annotation.category]
            if annotation.crowd and not keep_crowds and 0 < value <= len(self.listing.classes):
                value = VOID
            found.append((annotation.crowd, parsed.area, parsed.shape, value))
        if len(found) < len(annotations):
            return None
        # Crowds lie under everything, then large objects under small ones.
        found.sort(key=lambda one: (not one[0], -one[1]))
        return PaintedMask(
            image.height, image.width, tuple((shape, value) for *_, shape, value in found)
        )

    def _say(self, unannotated: int) -> None:
        path, listing = self.file.path, self.listing
        if unannotated and self.split == "train":
            listing.left_out(
                "no-annotation",
                unannotated,
                f"Training images left out because {path.name} has no annotation of them, as the "
                f"published lists do: {unannotated}.",
            )
        elif unannotated:
            text = (
                f"Validation images of which {path.name} has no annotation, taken as background "
                f"only: {unannotated} of {len(self.file.images)}."
            )
            if 2 * unannotated > len(self.file.images):
                listing.warn("no-annotations", text)
            else:
                listing.notes.append(text)
