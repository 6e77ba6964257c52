"""What only a data set as a whole shows: classes without images, copies, names, depth of colour."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from weaktr.data.checks.inspection import MaskPlan
from weaktr.data.class_words import same_but_for_writing
from weaktr.data.depth import dark_images
from weaktr.data.manifest import Manifest, Record
from weaktr.data.readers.listing import Listing
from weaktr.data.wording import some

FEW_IMAGES = 10
"""Training images of a class; from fewer, a network learns the pictures and not the class."""


def check_tags(listing: Listing, manifest: Manifest) -> None:
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


def check_masks(listing: Listing, manifest: Manifest, plans: Sequence[MaskPlan]) -> None:
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


def check_copies(listing: Listing, manifest: Manifest) -> None:
    """The same file in two splits makes measurements too good; with other tags, one is wrong."""
    first: dict[str, Record] = {}
    contradicting = []
    for record in manifest:
        other = first.setdefault(record.digest, record)
        if other.split != record.split:
            listing.warn(
                "same-content",
                f"{record.image} ({record.split}) is the same file as {other.image} "
                f"({other.split}); take it out of one split.",
            )
        if other.tags != record.tags and "test" not in (record.split, other.split):
            contradicting.append(f"{record.image} and {other.image}")
    if contradicting:
        listing.warn(
            "same-image-other-tags",
            f"The same file is there with different tags, so that each denies what the other says: "
            f"{some(contradicting, 'pair')}; keep one, with all of its tags.",
            count=len(contradicting),
        )


def check_depth(listing: Listing, manifest: Manifest, peaks: Sequence[tuple[str, int]]) -> None:
    """Notes images that come out dark: an error where most do.

    Args:
        listing: Takes it.
        manifest: The images.
        peaks: Image and its largest value, of every image with 16 bits a value.
    """
    if (text := dark_images(peaks)) is not None:
        note = listing.error if 2 * len(peaks) > len(manifest) else listing.warn
        note("dark-images", text)


def check_names(listing: Listing) -> None:
    """Classes that are one class in two spellings, or look like it."""
    if mixed := [name for name in listing.classes if len(_alphabets(name)) > 1]:
        listing.warn(
            "mixed-alphabets",
            "Classes have letters of two alphabets in their names, some of which look alike: "
            f"{', '.join(f'{name!r} ({name!a})' for name in mixed)}; type them again if they are "
            "another class.",
        )
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


def _alphabets(name: str) -> set[str]:
    """Those whose letters look like those of another."""
    words = {unicodedata.name(letter, "").split(" ")[0] for letter in name}
    return words & {"LATIN", "CYRILLIC", "GREEK"}
