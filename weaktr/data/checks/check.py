"""Every problem of a data set in one pass, and the manifest if it is sound."""

import unicodedata
from collections import Counter
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
from weaktr.data.checks.masks import (
    check_against_tags,
    check_black_and_white,
    check_inverted,
    check_palettes,
    look_at_masks,
    settle_white,
)
from weaktr.data.checks.summary import summarise
from weaktr.data.checks.whole import (
    check_copies,
    check_depth,
    check_masks,
    check_names,
    check_tags,
)
from weaktr.data.images import PixelLimit, orientation_for
from weaktr.data.manifest import Manifest, MaskRecord, Record
from weaktr.data.readers.listing import Entry, Listing, Problem, StoredMask
from weaktr.data.readers.registry import list_dataset
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOID

_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, line ends, and surrogates (as which undecodable bytes reach Python)."""
_WAY_OUT = "make it smaller, cut it into tiles, or raise dataset.max_megapixels"
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
    check_tags(listing, manifest)
    check_masks(listing, manifest, plans)
    settle_white(listing, plans)
    check_black_and_white(listing, manifest, plans)
    check_palettes(listing, plans)
    shown = look_at_masks(listing, manifest, plans, workers=workers)
    check_against_tags(listing, manifest, shown)
    check_inverted(listing, shown)
    check_copies(listing, manifest)
    check_depth(listing, manifest, peaks)
    check_names(listing)
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
