"""Images as labelling tools export them, as a listing."""

from collections.abc import Collection, Sequence

from weaktr.config.dataset import DatasetParams
from weaktr.data.class_words import meaning_of, refuse_no_classes
from weaktr.data.manifest import check_classes, read_class_list
from weaktr.data.readers.class_choice import add_tagged, empty_listing
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.coco_shapes import PaintedMask
from weaktr.data.readers.find_files import FileFinder, flat_ids, say_passed_over
from weaktr.data.readers.folder import hold_out
from weaktr.data.readers.listing import Entry, Listing, MaskSource, Problem
from weaktr.data.readers.marked_image import MarkedImage, is_class
from weaktr.data.readers.shares_mask import SharesMask
from weaktr.data.readers.splits import split_named
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOID

CLASSES = "classes.txt"


def listing_of(
    images: Sequence[MarkedImage],
    params: DatasetParams,
    finder: FileFinder,
    *,
    source: str,
    labels: Sequence[str] | None,
    problems: list[Problem],
    notes: list[str],
    counted: Collection[str] = (),
    drawn_in: str | None = None,
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
        counted: Images that stay out, of which that is said already.
        drawn_in: Where tags and shapes are, for messages; `None`: in the source.

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
    used = {*counted, *(image.file for image in images)}
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
    drawn_in = drawn_in or source
    entries = []
    for image, split in zip(images, splits, strict=True):
        mask: MaskSource | None = None
        painted = {label for label, _ in image.regions}
        wanted = [label for label in image.labels() if label in listing.classes]
        if image.shapeless:
            shapeless.append(image.name)
        elif image.regions and not all(label in painted for label in wanted):
            incomplete.append(image.name)
        elif image.regions or image.complete:
            mask = _mask_of(image, finder, values)
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
            f"{drawn_in} has images with objects that are boxes, points or polygons without "
            "pixels, which give tags but no pixels, so that these images have no mask: "
            f"{len(shapeless)} ({some(shapeless)}).",
        )
    if incomplete:
        listing.warn(
            "incomplete-mask",
            f"{drawn_in} has images with regions, but not of all their tags, so that they have "
            f"no mask: {len(incomplete)} ({some(incomplete)}).",
        )
    add_tagged(listing, entries, tags, known, source)
    # Painted masks have the class list's ids from the start.
    listing.mask_ids = {index: index for index in range(1, len(listing.classes) + 1)}
    listing.other_ids = frozenset()
    listing.notes.append(f"Tags come from {drawn_in}, and so do masks where regions are drawn.")
    return listing


def _mask_of(image: MarkedImage, finder: FileFinder, values: dict[str, int]) -> MaskSource:
    if image.size is not None:
        width, height = image.size
        shapes = tuple((shape, _value(label, values)) for label, shape in image.regions)
        return PaintedMask(height, width, shapes)
    polygons = tuple(
        (shape, _value(label, values))
        for label, shape in image.regions
        if not isinstance(shape, dict)
    )
    return SharesMask(finder.path(image.file), polygons)


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
