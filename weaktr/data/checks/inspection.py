"""Reading the files behind a listing: every image and mask once, in several processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from weaktr.data.images import (
    ImageFacts,
    PixelLimit,
    digest_bytes,
    inspect_image,
    upright,
)
from weaktr.data.manifest import MaskRecord
from weaktr.data.mask_facts import MaskFacts, inspect_mask
from weaktr.data.masks import remap_table, write_mask
from weaktr.data.parallel import parallel_map
from weaktr.data.readers.listing import Entry, Listing, MaskSource, StoredMask
from weaktr.errors import UserError
from weaktr.labels import Pixels


@dataclass(frozen=True, slots=True)
class Inspection:
    """An image and its mask file as read, or, as text, why they could not be read."""

    image: ImageFacts | str
    mask: MaskFacts | str | None


def inspect_entries(
    entries: Sequence[Entry], limit: PixelLimit, *, workers: int | None = None
) -> Iterator[Inspection]:
    """Reads image and mask file of every entry, in order; decodes each once so that damage shows.

    Args:
        entries: What to read. Masks that are no files are not read.
        limit: Of the size of both; larger ones are not decoded.
        workers: Processes; `None`: one per core.
    """
    pairs = [
        (entry.image, entry.mask.path if isinstance(entry.mask, StoredMask) else None)
        for entry in entries
    ]
    inspect = partial(_inspect, limit=limit)
    return parallel_map(inspect, pairs, "checking images", workers=workers)


def _inspect(pair: tuple[str, str | None], limit: PixelLimit) -> Inspection:
    image_path, mask_path = pair
    image: ImageFacts | str
    mask: MaskFacts | str | None = None
    try:
        image = inspect_image(image_path, limit)
    except UserError as error:
        image = str(error)
    if mask_path is not None:
        try:
            mask = inspect_mask(mask_path, limit)
        except UserError as error:
            mask = str(error)
    return Inspection(image, mask)


@dataclass(frozen=True, slots=True)
class MaskPlan:
    """How the mask of one image comes about.

    Attributes:
        id: The image's id.
        source: The mask as it is.
        orientation: EXIF orientation by which it is still to be turned upright.
        facts: What was learnt about its file; `None` where there is none yet.
    """

    id: str
    source: MaskSource
    orientation: int = 1
    facts: MaskFacts | None = None


def gather_masks(
    plans: Sequence[MaskPlan],
    listing: Listing,
    folder: str | Path,
    *,
    listed_as: str | None = None,
    workers: int | None = None,
) -> dict[str, MaskRecord]:
    """Where each image's mask is, with the class list's ids and on the image as shown.

    Masks that are so already stay where they are; the others are written to the folder.

    Args:
        plans: One for every mask.
        listing: Says how ids are to be changed.
        folder: Takes `<id>.png` files; made when the first one is written.
        listed_as: What to call that folder in the records, where it will be moved.
        workers: Processes; `None`: one per core.
    """
    folder = Path(folder)
    place = Path(listed_as) if listed_as is not None else folder
    table = None
    if not listing.keeps_ids:
        table = remap_table(listing.mask_ids, other=listing.other_becomes)
    records = {}
    jobs = []
    for plan in plans:
        stored = plan.source if isinstance(plan.source, StoredMask) else None
        if stored and plan.facts and plan.orientation == 1 and table is None:
            records[plan.id] = MaskRecord(plan.id, stored.path, plan.facts.digest)
        else:
            jobs.append(_Job(plan, folder / f"{plan.id}.png", table if stored else None))
    if jobs:
        folder.mkdir(parents=True, exist_ok=True)
    for job, digest in zip(
        jobs, parallel_map(_write, jobs, "writing masks", workers=workers), strict=True
    ):
        path = (place / job.target.name).as_posix()
        records[job.plan.id] = MaskRecord(job.plan.id, path, digest)
    return records


@dataclass(frozen=True, slots=True)
class _Job:
    plan: MaskPlan
    target: Path
    table: Pixels | None


def _write(job: _Job) -> str:
    """Writes one mask; returns the digest of its file."""
    ids = job.plan.source.read()
    if job.table is not None:
        ids = job.table[ids]
    if job.plan.orientation != 1:
        ids = np.asarray(upright(Image.fromarray(ids), job.plan.orientation))
    write_mask(job.target, ids)
    return digest_bytes(job.target.read_bytes())
