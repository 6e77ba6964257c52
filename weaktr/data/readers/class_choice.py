"""What readers share: the choice of classes, and tags read off masks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from weaktr.config.dataset import DatasetParams
from weaktr.data.mask_facts import MaskFacts, inspect_mask, white_is_the_class
from weaktr.data.parallel import parallel_map
from weaktr.data.readers.listing import Entry, Listing, StoredMask
from weaktr.data.readers.tags import did_you_mean, in_class_order
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOID


def empty_listing(params: DatasetParams, known: tuple[str, ...], where: str) -> Listing:
    """A listing without entries, for the chosen ones of the classes that the source knows.

    Args:
        params: `classes` names the chosen ones (none: all), `other_classes` what the rest becomes.
        known: The source's classes in the order of their ids in its masks, from 1.
        where: What knows them, for messages.

    Raises:
        UserError: If a class is asked for that the source does not know.
    """
    for name in params.classes:
        if name not in known:
            raise UserError(
                f"dataset.classes asks for a class that {where} does not have"
                f"{did_you_mean(name, known)}; it has {', '.join(known)}. Got: {name!r}."
            )
    classes = params.classes or known
    ids = {name: index for index, name in enumerate(known, start=1)}
    return Listing(
        classes=classes,
        entries=[],
        mask_ids={ids[name]: index for index, name in enumerate(classes, start=1)},
        other_ids=frozenset(ids[name] for name in known if name not in classes),
        other_becomes=VOID if params.other_classes == "void" else BACKGROUND,
    )


def add_tagged(
    listing: Listing,
    entries: Sequence[Entry],
    tags: Mapping[str, tuple[str, ...]],
    known: tuple[str, ...],
    where: str,
) -> None:
    """Adds entries with their tags, checked against the known classes and cut to the chosen ones.

    Where the chosen classes are a subset, images whose tags are all outside it are left out.

    Args:
        listing: Takes the entries, and problems and notes about them.
        entries: Entries whose tags are still to be filled in.
        tags: Image id -> tags as found. An entry that is not in it keeps its own tags.
        known: All classes of the source.
        where: Where tags come from, for messages.
    """
    left_out = 0
    unknown: dict[str, list[str]] = {}
    for entry in entries:
        if entry.id not in tags:
            listing.entries.append(entry)
            continue
        found = tags[entry.id]
        for name in found:
            if name not in known:
                unknown.setdefault(name, []).append(entry.id)
        kept = in_class_order(found, listing.classes)
        if found and not kept and all(name in known for name in found):
            left_out += 1
            continue
        listing.entries.append(replace(entry, tags=kept))
    for name, ids in unknown.items():
        listing.error(
            "unknown-tag",
            f"{where} gives {_images(ids)} a tag that is not in the class list"
            f"{did_you_mean(name, known)}; mend the tag or the list. Got: {name!r}.",
        )
    if left_out:
        listing.left_out(
            "other-classes",
            left_out,
            f"Images left out because they carry none of the chosen classes: {left_out}.",
        )


def tags_from_masks(
    entries: Sequence[Entry], known: tuple[str, ...], *, workers: int | None = None
) -> dict[str, tuple[str, ...]]:
    """Image id -> classes whose ids its mask holds; images without a readable mask are not in it.

    Args:
        entries: Images; their masks must be files.
        known: Classes in the order of their ids in the masks, from 1.
        workers: Processes; `None`: one per core.
    """
    stored = [(e.id, e.mask) for e in entries if isinstance(e.mask, StoredMask)]
    found = list(
        parallel_map(
            _facts_of, [mask for _, mask in stored], "reading tags off masks", workers=workers
        )
    )
    white = white_is_the_class([facts for facts in found if facts], range(1, len(known) + 1))
    return {
        id_: tuple(
            name
            for id_of, name in enumerate(known, start=1)
            if id_of in facts.ids or (white and VOID in facts.ids)
        )
        for (id_, _), facts in zip(stored, found, strict=True)
        if facts is not None
    }


def _facts_of(mask: StoredMask) -> MaskFacts | None:
    try:
        return inspect_mask(mask.path)
    except UserError:  # The check of the masks themselves will name it.
        return None


def _images(ids: Sequence[str]) -> str:
    """`image 'a'`, or `5 images (the first is 'a')`."""
    return f"image {ids[0]!r}" if len(ids) == 1 else f"{len(ids)} images (the first is {ids[0]!r})"
