"""What exports of labelling tools have in common: tags and regions of images, as a listing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from weaktr.config.dataset import DatasetParams
from weaktr.data.class_words import composed, meaning_of, refuse_no_classes
from weaktr.data.manifest import check_classes, read_class_list
from weaktr.data.readers.class_choice import add_tagged, empty_listing
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.coco_shapes import PaintedMask, Shape, parse_shape
from weaktr.data.readers.find_files import FileFinder, flat_ids, say_passed_over
from weaktr.data.readers.folder import hold_out
from weaktr.data.readers.listing import Entry, Listing, Problem
from weaktr.data.readers.splits import split_named
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOID

CLASSES = "classes.txt"


@dataclass(kw_only=True)
class MarkedImage:
    """An image as a tool exports it.

    Attributes:
        name: The entry, for messages: `task 7`.
        file: The image below the root.
        split: What the tool calls its split, where it has them.
        size: Width and height in pixels as the tool knows them; `None`: it does not say.
        tags: Labels of the whole image.
        regions: Label and shape, later ones on top.
        shapeless: Labels of objects whose pixels are not known: boxes, points.
    """

    name: str
    file: str
    split: str | None = None
    size: tuple[int, int] | None = None
    tags: list[str] = field(default_factory=list)
    regions: list[tuple[str, Shape]] = field(default_factory=list)
    shapeless: list[str] = field(default_factory=list)

    def labels(self) -> tuple[str, ...]:
        """Classes that are in the image, each once."""
        return tuple(label for label in self.all_labels() if is_class(label))

    def all_labels(self) -> tuple[str, ...]:
        """Labels of any sort, each once."""
        regions = (label for label, _ in self.regions)
        return tuple(dict.fromkeys((*self.tags, *regions, *self.shapeless)))


def is_class(label: str) -> bool:
    """Whether a label stands for a class, not for background or void."""
    return meaning_of(label) not in ("background", "void")


def clean_label(label: object, where: str) -> str:
    """A label without outer spaces, in Unicode's composed form.

    Raises:
        UserError: If it is no text, or empty.
    """
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"{where} has a label that is no name; mend it. Got: {label!r}.")
    return composed(label.strip())


def add_file(
    finder: FileFinder, problems: list[Problem], entry: str, names: Sequence[str]
) -> str | None:
    """The image that an entry names; what is wrong with it is noted as a problem.

    Args:
        finder: All images.
        problems: Takes what is wrong.
        entry: The entry, for messages.
        names: Names to try, most telling first.
    """
    try:
        for name in names:
            file = finder.find(name, ("", "images/"))
            if file is not None:
                return file
    except UserError as error:
        problems.append(Problem("error", "duplicate-id", f"{entry} is ambiguous: {error}"))
        return None
    problems.append(
        Problem(
            "error",
            "missing-image",
            f"{entry} names an image that is not below {finder.root}; add it there, or to its "
            f"folder images. Got: {names[0]!r}.",
        )
    )
    return None


def polygon(
    corners: Sequence[float], size: tuple[int, int], name: str, cut: list[str]
) -> Shape | None:
    """A polygon as a shape; `None` if it has no pixels in its image.

    Args:
        corners: `[x0, y0, x1, y1, ...]` in pixels.
        size: Width and height of the image.
        name: The entry.
        cut: Takes the name where the polygon reaches out of the image.

    Raises:
        UserError: As `parse_shape`.
    """
    width, height = size
    parsed = parse_shape([list(corners)], height, width)
    if parsed.remarks:
        cut.append(name)
    return parsed.shape


def by_kind(counts: Counter[str]) -> str:
    """`ellipse 2, video 1`: what was passed over."""
    return ", ".join(f"{kind} {number}" for kind, number in sorted(counts.items()))


def say_cut(source: str, cut: Sequence[str], problems: list[Problem]) -> None:
    """Counts the polygons that reach out of their image."""
    if cut:
        text = (
            f"{source} has polygons that reach out of their image and are cut at its edge: "
            f"{len(cut)} ({some(cut)})."
        )
        problems.append(Problem("warning", "shape-remark", text, len(cut)))


def listing_of(
    images: Sequence[MarkedImage],
    params: DatasetParams,
    finder: FileFinder,
    *,
    source: str,
    labels: Sequence[str] | None,
    problems: list[Problem],
    notes: list[str],
) -> Listing:
    """The listing of an export.

    Classes are those of `classes.txt` in the root, else the tool's labels in its order, else all
    labels in alphabetical order. An image has a mask if regions are drawn in it, none of its
    objects is without pixels, and each of its classes has a region; nobody knows which pixels of
    the others are background.

    Args:
        images: What the export says.
        params: Params of the data set.
        finder: Files below the root.
        source: The export, for messages.
        labels: All labels that the tool knows, in its order; `None`: it does not say.
        problems: What is wrong already.
        notes: What there is to say already.

    Raises:
        UserError: If there is no image with a label.
    """
    if params.tags_from not in ("auto", "annotations"):
        raise UserError(
            f"dataset.tags_from: {params.tags_from} is not for {params.kind}, whose tags are in "
            "the export; set auto."
        )
    _once(images, problems)
    if not any(image.labels() for image in images):
        if problems:
            return Listing((), [], {}, problems=problems)
        raise UserError(f"{source} gives no image a label; label some images and export again.")
    known = _known_classes(images, finder, labels, source, notes)
    listing = empty_listing(params, known, source)
    listing.problems += problems
    listing.notes += notes
    say_passed_over(listing, finder)
    used = {image.file for image in images}
    if unlisted := [file for file in finder.files if file not in used]:
        listing.notes.append(
            f"Images below {finder.root} without labels in {source}, which stay out: "
            f"{len(unlisted)} ({some(unlisted)})."
        )
    values = {
        name: listing.mask_ids.get(index, listing.other_becomes)
        for index, name in enumerate(known, start=1)
    }
    ids = flat_ids(image.file for image in images)
    splits = _splits(images, params, listing)
    incomplete, shapeless = [], []
    entries = []
    for image, split in zip(images, splits, strict=True):
        mask = None
        painted = {label for label, _ in image.regions}
        wanted = [label for label in image.labels() if label in listing.classes]
        if image.shapeless:
            shapeless.append(image.name)
        elif image.regions and image.size and not all(label in painted for label in wanted):
            incomplete.append(image.name)
        elif image.regions and image.size:
            width, height = image.size
            shapes = tuple((shape, _value(label, values)) for label, shape in image.regions)
            mask = PaintedMask(height, width, shapes)
        entries.append(Entry(ids[image.file], finder.path(image.file), split or "", (), mask))
    tags = {ids[image.file]: image.labels() for image in images}
    if not any(splits):
        entries = hold_out(entries, tags, params.val_share)
        listing.notes.append(
            f"No split is given: {params.val_share:.0%} of the images were held out for "
            "validation by a digest of their ids."
        )
    else:
        entries = [entry for entry in entries if entry.split]
    if shapeless:
        listing.warn(
            "no-shape",
            f"{source} has images with objects that are boxes, points or polygons without pixels, "
            f"which give tags but no pixels, so that these images have no mask: {len(shapeless)} "
            f"({some(shapeless)}).",
        )
    if incomplete:
        listing.warn(
            "incomplete-mask",
            f"{source} has images with regions, but not of all their tags, so that they have no "
            f"mask: {len(incomplete)} ({some(incomplete)}).",
        )
    add_tagged(listing, entries, tags, known, source)
    # Painted masks have the class list's ids from the start.
    listing.mask_ids = {index: index for index in range(1, len(listing.classes) + 1)}
    listing.other_ids = frozenset()
    listing.notes.append(f"Tags come from {source}, and so do masks where regions are drawn.")
    return listing


def _once(images: Sequence[MarkedImage], problems: list[Problem]) -> None:
    first: dict[str, str] = {}
    for image in images:
        other = first.setdefault(image.file, image.name)
        if other != image.name:
            problems.append(
                Problem(
                    "error",
                    "duplicate-id",
                    f"{other} and {image.name} are the same image, {image.file}; keep one.",
                )
            )


def _known_classes(
    images: Sequence[MarkedImage],
    finder: FileFinder,
    labels: Sequence[str] | None,
    source: str,
    notes: list[str],
) -> tuple[str, ...]:
    path = finder.root / CLASSES
    if path.exists():
        classes, note = read_class_list(path)
        notes += [note] if note else []
        return classes
    if labels is None:
        labels = sorted({label for image in images for label in image.all_labels()})
    dropped = [label for label in labels if not is_class(label)]
    if dropped:
        notes.append(
            f"{source} has labels that are no classes: {', '.join(map(repr, dropped))}; they give "
            "no tags, and their regions are painted as what they mean."
        )
    names = refuse_no_classes((label for label in labels if is_class(label)), source)
    return check_classes(names, where=source)


def _splits(
    images: Sequence[MarkedImage], params: DatasetParams, listing: Listing
) -> list[str | None]:
    """`train`, `val` or `test` for every image, or `None` for all: the tool has no splits."""
    named = ((params.train_split, "train"), (params.val_split, "val"), ("test", "test"))
    meant = {name: split for name, split in named if name}
    found = [image.split and split_named(image.split, meant) for image in images]
    if not any(found):
        return [None] * len(images)
    for image, split in zip(images, found, strict=True):
        if split is None or split == "":
            listing.error(
                "unknown-split",
                f"{image.name} has a split that is none of {', '.join(meant)}; mend it, or set "
                f"dataset.train_split and dataset.val_split. Got: {image.split!r}.",
            )
    return found


def _value(label: str, values: dict[str, int]) -> int:
    if is_class(label):
        return values.get(label, VOID)
    return BACKGROUND if meaning_of(label) == "background" else VOID
