"""Every problem of a data set in one pass, and the manifest if it is sound."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.inspection import (
    Inspection,
    MaskPlan,
    gather_masks,
    inspect_entries,
)
from weaktr.data.checks.links import check_links
from weaktr.data.checks.masks import check_against_tags, check_palettes, settle_white
from weaktr.data.checks.summary import summarise
from weaktr.data.class_words import same_but_for_writing
from weaktr.data.images import PixelLimit, orientation_for
from weaktr.data.manifest import Manifest, MaskRecord, Record
from weaktr.data.readers.listing import Entry, Listing, Problem, StoredMask
from weaktr.data.readers.registry import list_dataset
from weaktr.data.wording import some
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOID

FEW_IMAGES = 10
"""Training images of a class; from fewer, a network learns the pictures and not the class."""
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, line ends, and surrogates (as which undecodable bytes reach Python)."""
_WAY_OUT = "make it smaller, cut it into tiles, or raise dataset.max_megapixels"
_DARK = 2**14
"""Images whose values lie below, of 16 bits, use a quarter of the range at most."""
_PASSED_OVER = frozenset(("unread-format", "no-row", "spare-mask", "outside", "no-shape"))
"""Kinds of warnings about files or entries that are not used."""
_LONGEST_ID = 200
"""Bytes; file systems allow 255, and results add suffixes."""


@dataclass
class Report:
    """What a check found.

    Attributes:
        manifest: Class list and the images that are sound.
        problems: Everything wrong, errors first.
        notes: Where tags, splits and masks came from, one sentence each.
        masks: How the mask of each image comes about, in manifest order.
        listing: What the reader listed; `None` where it could not.
    """

    manifest: Manifest
    problems: list[Problem]
    notes: list[str]
    masks: list[MaskPlan] = field(default_factory=list)
    listing: Listing | None = None

    @property
    def errors(self) -> list[Problem]:
        """Problems with which a stage would fail."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def passed_over(self) -> dict[str, int]:
        """What was found and not used, by kind -> how many files or entries."""
        counts = Counter(self.listing.passed_over if self.listing else {})
        for problem in self.problems:
            if problem.kind in _PASSED_OVER:
                counts[problem.kind] += problem.count
        return dict(sorted(counts.items()))

    def raise_for_errors(self) -> None:
        """Does nothing if the data set is fit for training.

        Raises:
            UserError: If it is not; one sentence for the first error, with the number of others.
        """
        errors = self.errors
        if not errors:
            return
        more = len(errors) - 1
        rest = (
            f" ({more} more error{'s' * (more > 1)}: `weaktr check-data` lists all.)"
            if more
            else ""
        )
        raise UserError(errors[0].message + rest)

    def write_masks(
        self, folder: str | Path, *, listed_as: str | None = None, workers: int | None = None
    ) -> dict[str, MaskRecord]:
        """Image id -> mask with the class list's ids; those that need a change go to the folder.

        Args:
            folder: Takes `<id>.png` files; made when the first one is written.
            listed_as: What to call the folder in the records, where it will be moved.
            workers: Processes; `None`: one per core.
        """
        if self.listing is None:
            return {}
        return gather_masks(self.masks, self.listing, folder, listed_as=listed_as, workers=workers)

    def summary(self) -> dict[str, Any]:
        """Counts, notes and problems as plain data: see `weaktr.data.checks.summary.summarise`."""
        return {
            **summarise(self.manifest, {plan.id for plan in self.masks}),
            "notes": self.notes,
            **({"passed_over": self.passed_over} if self.passed_over else {}),
            "problems": [
                {"severity": p.severity, "kind": p.kind, "message": p.message}
                for p in self.problems
            ],
        }


def check_dataset(params: DatasetParams, *, workers: int | None = None) -> Report:
    """Lists a data set, reads every image and mask once, and notes every problem.

    Args:
        params: Where the data set is and how to read it.
        workers: Processes that read files; `None`: one per core.
    """
    try:
        listing = list_dataset(params)
    except UserError as error:
        return Report(Manifest((), ()), [Problem("error", "layout", str(error))], [])
    check_links(listing, params.root)
    entries = _usable(listing)
    records, plans = [], []
    limit = PixelLimit(params.max_megapixels, _WAY_OUT)
    inspections = inspect_entries(entries, limit, workers=workers)
    peaks = []
    for entry, seen in zip(entries, inspections, strict=True):
        record = _record(listing, entry, seen)
        if record is not None:
            records.append(record)
            if not isinstance(seen.image, str) and seen.image.peak is not None:
                peaks.append((entry.image, seen.image.peak))
            plan = _mask_plan(listing, entry, seen)
            if plan is not None:
                plans.append(plan)
    manifest = Manifest(listing.classes, tuple(records))
    _check_tags(listing, manifest)
    _check_masks(listing, manifest, plans)
    settle_white(listing, plans)
    check_palettes(listing, plans)
    check_against_tags(listing, manifest, plans, workers=workers)
    _check_copies(listing, manifest)
    _check_depth(listing, manifest, peaks)
    _check_names(listing)
    problems = sorted(listing.problems, key=lambda problem: problem.severity != "error")
    return Report(manifest, problems, listing.notes, plans, listing)


def _usable(listing: Listing) -> list[Entry]:
    """The entries that can go into a manifest: each id once, with names that can be written."""
    entries: dict[str, Entry] = {}
    for entry in listing.entries:
        first = entries.get(entry.id)
        if any(unicodedata.category(character) in _UNWRITABLE for character in entry.image):
            listing.error(
                "bad-name",
                f"The name of an image has characters that cannot be written in a table; rename "
                f"it. Got: {entry.image!a}.",
            )
        elif len(entry.id.encode()) > _LONGEST_ID:
            listing.error(
                "bad-name",
                f"{entry.image} has too long a name for results to be called by; shorten it to "
                f"{_LONGEST_ID} bytes.",
            )
        elif first is None:
            entries[entry.id] = entry
        elif first.image != entry.image:
            listing.error(
                "duplicate-id",
                f"{first.image} and {entry.image} would share the id {entry.id!r}; rename one.",
            )
        elif first.split != entry.split:
            listing.error(
                "two-splits",
                f"{entry.image} is in the splits {first.split} and {entry.split}; take it out of "
                "one.",
            )
        else:
            listing.error(
                "duplicate-id", f"{entry.image} is listed twice in {entry.split}; list it once."
            )
    return list(entries.values())


def _record(listing: Listing, entry: Entry, seen: Inspection) -> Record | None:
    """The manifest's row, or `None` with a problem where the image cannot be read."""
    if isinstance(seen.image, str):
        note = listing.warn if entry.split == "test" else listing.error
        note("unreadable-image", seen.image)
        return None
    facts = seen.image
    return Record(
        id=entry.id,
        image=entry.image,
        split=entry.split,
        tags=entry.tags or (),
        width=facts.width,
        height=facts.height,
        digest=facts.digest,
    )


def _mask_plan(listing: Listing, entry: Entry, seen: Inspection) -> MaskPlan | None:
    """How the image's mask comes about, or `None` where it has none that can be used."""
    if entry.mask is None or isinstance(seen.image, str):
        return None
    if isinstance(seen.mask, str):
        listing.error("unreadable-mask", seen.mask)
        return None
    size = entry.mask.size if seen.mask is None else (seen.mask.width, seen.mask.height)
    name = entry.mask.path if isinstance(entry.mask, StoredMask) else "The annotation"
    orientation = orientation_for(seen.image, *size) if size else None
    if size and orientation is None:
        listing.error(
            "mask-size",
            f"{name} is {size[0]}x{size[1]} pixels but its image {entry.image} is "
            f"{seen.image.width}x{seen.image.height}; draw the mask at the image's size.",
        )
        return None
    if seen.mask is not None:
        known = {BACKGROUND, VOID, *listing.mask_ids, *listing.other_ids}
        strange = [str(i) for i in seen.mask.ids if i not in known]
        if strange:
            listing.error(
                "mask-ids",
                f"{name} holds ids that are no class; use 0 for background, 1 to "
                f"{max(known - {VOID})} for classes, 255 for void. Got: {', '.join(strange)}.",
            )
            return None
    return MaskPlan(entry.id, entry.mask, orientation or 1, seen.mask)


def _check_tags(listing: Listing, manifest: Manifest) -> None:
    """Training needs images of every class."""
    train = manifest.of_split("train")
    counts = Counter(tag for record in train for tag in record.tags)
    if len(train) == 0:
        listing.error("no-training-images", "No training image is usable; add images to the split.")
        return
    for name in manifest.classes:
        if counts[name] == 0:
            listing.error(
                "class-without-images",
                f"No training image has the tag {name!r}; add one, or leave the class out with "
                "dataset.classes.",
            )
    if few := [
        f"{name} ({counts[name]})" for name in manifest.classes if 0 < counts[name] < FEW_IMAGES
    ]:
        listing.warn(
            "few-images",
            f"Fewer than {FEW_IMAGES} training images have the tags {', '.join(few)}; add images, "
            "or expect little of these classes.",
        )
    validation = manifest.of_split("val")
    if len(validation) == 0:
        listing.notes.append(
            "There are no validation images: the evaluate stage needs evaluation.split: train."
        )
    seen = {tag for record in validation for tag in record.tags}
    if len(validation) and (unseen := [name for name in manifest.classes if name not in seen]):
        listing.warn(
            "class-not-validated",
            f"No validation image has the tags {', '.join(unseen)}; nothing will be measured for "
            "them.",
        )
    if tagless := [record.image for record in train if not record.tags]:
        listing.warn(
            "no-tags",
            f"{some(tagless)} without tags; training takes them as images of background only.",
        )


def _check_masks(listing: Listing, manifest: Manifest, plans: Sequence[MaskPlan]) -> None:
    """Evaluation needs masks."""
    validation = manifest.of_split("val")
    masked = {plan.id for plan in plans}
    if without := [record.image for record in validation if record.id not in masked]:
        listing.warn(
            "no-mask",
            "No validation image has a mask: masks will be predicted but not measured."
            if len(without) == len(validation)
            else f"{some(without)} of the validation split without a mask; add the masks, or they "
            "will not be measured.",
        )


def _check_copies(listing: Listing, manifest: Manifest) -> None:
    """The same file in two splits makes measurements too good."""
    first: dict[str, Record] = {}
    for record in manifest:
        other = first.setdefault(record.digest, record)
        if other.split != record.split:
            listing.warn(
                "same-content",
                f"{record.image} ({record.split}) is the same file as {other.image} "
                f"({other.split}); take it out of one split.",
            )


def _check_depth(listing: Listing, manifest: Manifest, peaks: Sequence[tuple[str, int]]) -> None:
    """Sixteen bits are scaled by a fixed factor: what uses fewer of them comes out dark.

    Args:
        peaks: Image and its largest value, of every image with 16 bits a value.
    """
    highest = max((peak for _, peak in peaks), default=_DARK)
    if highest >= _DARK:
        return
    note = listing.error if 2 * len(peaks) > len(manifest) else listing.warn
    note(
        "dark-images",
        f"{some([image for image, _ in peaks])} stored with 16 bits and no value above {highest}, "
        f"as of cameras with {max(8, highest.bit_length())} bits: of 65535, that is nearly black; "
        "scale the values to 16 bits, or convert to 8.",
    )


def _check_names(listing: Listing) -> None:
    """Classes that are one class in two spellings."""
    if quoted := [c for c in listing.classes if len(c) > 1 and c[0] == c[-1] and c[0] in "'\"`"]:
        listing.warn(
            "quoted-classes",
            f"Classes have quotes in their names: {', '.join(quoted)}; take them out of the tags.",
        )
    for group in same_but_for_writing(listing.classes):
        listing.warn(
            "alike-classes",
            f"The classes {' and '.join(map(repr, group))} differ in writing only; if they are one "
            "class, give it one name.",
        )
