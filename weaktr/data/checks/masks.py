"""Whether masks mean what their ids say: palettes, tags against ids, what covers the border."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weaktr.data.checks.inspection import MaskPlan
from weaktr.data.manifest import Manifest
from weaktr.data.mask_facts import fills_mask, renumbered, two_ids_of_a_colour, white_is_the_class
from weaktr.data.parallel import parallel_map
from weaktr.data.readers.listing import Listing, StoredMask
from weaktr.data.wording import some
from weaktr.labels import BACKGROUND, VOID

_MOST_PAINTED = 400
"""Masks that are painted to compare them with tags: enough to see whether most disagree."""
_ROWS = 6
"""Classes in the table of ids against tags."""


def settle_white(listing: Listing, plans: Sequence[MaskPlan]) -> None:
    """Takes 255 for the class where masks of one class are black and white."""
    facts = [plan.facts for plan in plans if plan.facts is not None]
    if white_is_the_class(facts, {*listing.mask_ids, *listing.other_ids}):
        white = sum(VOID in fact.ids for fact in facts)
        (becomes,) = listing.mask_ids.values()
        listing.mask_ids = {**listing.mask_ids, VOID: becomes}
        listing.warn(
            "white-masks",
            f"{white} masks hold 0 and 255 and none holds 1: 255 is taken for the class "
            f"{listing.classes[0]!r}, as white is; if it is void, write 1 for the class.",
        )


def check_black_and_white(listing: Listing, manifest: Manifest, plans: Sequence[MaskPlan]) -> None:
    """Notes masks of one bit, of which white would be the first of several classes."""
    if len({*listing.mask_ids, *listing.other_ids}) < 2:
        return
    first = manifest.classes[listing.mask_ids[1] - 1] if 1 in listing.mask_ids else None
    tags = {record.id: record.tags for record in manifest}
    wrong = [
        plan.id
        for plan in plans
        if plan.facts and plan.facts.black_and_white and 1 in plan.facts.ids
        if tags[plan.id] not in ((first,), ())
    ]
    if wrong:
        listing.error(
            "black-and-white",
            f"{some(wrong, 'mask')} black and white, which does not say which of several classes "
            "is meant; save one id per pixel, as palette or grey PNG.",
        )


def check_palettes(listing: Listing, plans: Sequence[MaskPlan]) -> None:
    """Notes masks whose palette says that their ids were renumbered."""
    known = {BACKGROUND, VOID, *listing.mask_ids, *listing.other_ids}
    stored = [
        (plan.source.path, plan.facts)
        for plan in plans
        if isinstance(plan.source, StoredMask) and plan.facts and plan.facts.colours
    ]
    wrong = [
        (path, moved) for path, facts in stored if (moved := renumbered(facts, known)) is not None
    ]
    for path, (id_, colour, other) in wrong[:1]:
        listing.error(
            "palette-ids",
            f"{path} gives id {id_} the colour {colour}, which stands for id {other}: its ids were "
            "renumbered when it was saved; save the original with the order of its palette kept, "
            f"or as grey{_and_others(len(wrong) - 1)}.",
        )
    if wrong:
        return
    if contradiction := two_ids_of_a_colour(stored):
        listing.error("palette-ids", f"{contradiction}.")


def _and_others(number: int) -> str:
    return f" ({number} more masks are alike)" if number else ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a mask shows.

    Attributes:
        id: The image's id.
        classes: By the class list's ids.
        is_whole: Whether it says so of every pixel.
        fills: Whether what is not background fills it.
    """

    id: str
    classes: set[int]
    is_whole: bool
    fills: bool


def look_at_masks(
    listing: Listing,
    manifest: Manifest,
    plans: Sequence[MaskPlan],
    *,
    workers: int | None = None,
) -> list[Shown]:
    """What masks show, but for the test split; of those that are still to be painted, a sample."""
    wanted = {record.id for record in manifest if record.split != "test"}
    seen, painted = [], []
    for plan in plans:
        if plan.id not in wanted:
            continue
        if plan.facts is None:
            painted.append(plan)
        else:
            ids = {listing.mask_ids[id_] for id_ in plan.facts.ids if id_ in listing.mask_ids}
            seen.append(Shown(plan.id, ids, True, plan.facts.fills))
    step = -(-len(painted) // _MOST_PAINTED) or 1
    return seen + list(parallel_map(_paint, painted[::step], "painting masks", workers=workers))


def _paint(plan: MaskPlan) -> Shown:
    ids = plan.source.read()
    found = set(np.unique(ids).tolist())
    return Shown(plan.id, found - {BACKGROUND, VOID}, VOID not in found, fills_mask(ids))


def check_inverted(listing: Listing, seen: Sequence[Shown]) -> None:
    """Notes masks of one class in which object and background may have changed places."""
    full = [shown.id for shown in seen if shown.fills]
    if len({*listing.mask_ids, *listing.other_ids} - {VOID}) == 1 and 2 * len(full) > len(seen):
        (name,) = listing.classes
        listing.warn(
            "inverted-masks",
            f"The class {name!r} covers more than half of the pixels and nearly all of the border "
            f"in {len(full)} of {len(seen)} masks, such as that of {full[0]!r}: if 0 is the object "
            "there and not the background, invert the masks.",
            count=len(full),
        )


def check_against_tags(listing: Listing, manifest: Manifest, seen: Sequence[Shown]) -> None:
    """Notes masks that show other classes than the tags: an error where most do."""
    tags = {
        record.id: {manifest.classes.index(tag) + 1 for tag in record.tags} for record in manifest
    }
    images = {record.id: record.image for record in manifest}
    differing = []
    table: dict[int, Counter[int]] = defaultdict(Counter)
    masks: Counter[int] = Counter()
    for shown in seen:
        wanted = tags[shown.id]
        for tag in wanted:
            masks[tag] += 1
            table[tag].update(shown.classes)
        if not (shown.classes == wanted or (not shown.is_whole and shown.classes < wanted)):
            differing.append(shown.id)
    if 2 * len(differing) > len(seen):
        stored = {new: old for old, new in listing.mask_ids.items() if old != VOID}
        rows = [
            f"tag {name!r} (id {stored[index]}): "
            + (
                ", ".join(
                    f"id {stored[other]} in {number}"
                    for other, number in sorted(table[index].items())
                )
                or "no class"
            )
            + f" of {masks[index]}"
            for index, name in enumerate(manifest.classes, start=1)
            if masks[index]
        ]
        more = f"; and {len(rows) - _ROWS} more tags" if len(rows) > _ROWS else ""
        listing.error(
            "mask-and-tags",
            f"Most masks show other classes than the tags ({len(differing)} of {len(seen)}, such "
            f"as {images[differing[0]]}). Ids in the masks by tag: {'; '.join(rows[:_ROWS])}"
            f"{more}. Put the class list in the order of the ids, or mend the masks.",
        )
    elif differing:
        listing.warn(
            "mask-and-tags",
            f"{some([images[id_] for id_ in differing])} whose mask shows other classes than the "
            "tags; check them if that is many.",
        )
