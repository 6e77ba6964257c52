"""Masks from the export of a labelling tool, as corrected masks of a run's images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weaktr.config.dataset import DatasetParams
from weaktr.data.corrected import ImageNames, find_corrected
from weaktr.data.manifest import Manifest
from weaktr.data.masks import write_mask
from weaktr.data.readers.listing import Listing
from weaktr.data.readers.registry import list_dataset
from weaktr.data.readers.tags import did_you_mean
from weaktr.data.wording import some
from weaktr.errors import UserError
from weaktr.files import replace_dir
from weaktr.labels import BACKGROUND, VOID, Pixels
from weaktr.progress import track


@dataclass(frozen=True)
class Collected:
    """What came out of an export.

    Attributes:
        masks: How many.
        notes: What was passed over and where things came from, one sentence each.
    """

    masks: int
    notes: Sequence[str]


def collect_masks(export: DatasetParams, manifest: Manifest, output: Path) -> Collected:
    """Writes one PNG per image of an export that has a mask, with the ids of a run's classes.

    Classes are matched by name. The masks are checked as they will be before training.

    Args:
        export: Its layout and folder; `classes` and `tags_from` stay as they are by default.
        manifest: Of the run.
        output: The folder, which appears whole or not at all.

    Raises:
        UserError: If the export is wrong somewhere, names classes that the run has not, has no
            masks, or has one that cannot be learned from (`find_corrected`).
    """
    listing = list_dataset(export)
    errors = [problem.message for problem in listing.problems if problem.severity == "error"]
    if errors:
        more = f" ({len(errors) - 1} more problems)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0]}{more}")
    names = ImageNames(manifest)
    table = id_table(listing, manifest.classes)
    marked = [(entry.image, entry.mask) for entry in listing.entries if entry.mask is not None]
    if not marked:
        raise UserError(f"{export.root} has no masks; export regions with their pixels.")
    with replace_dir(output) as folder:
        for image, mask in track(marked, "masks"):
            record = names.record_of(Path(image), by_folders=True)
            target = folder / f"{record.id}.png"
            if target.exists():
                raise UserError(f"{export.root} has a second mask of {record.id}; remove one.")
            write_mask(target, table[mask.read()])
        try:
            find_corrected(folder, manifest)
        except UserError as error:
            raise UserError(str(error).replace(str(folder), str(output))) from None
    notes = [*listing.notes, *(problem.message for problem in listing.problems)]
    without = [entry.id for entry in listing.entries if entry.mask is None]
    if without:
        notes.append(f"Passed over, as they have no mask: {some(without)}.")
    return Collected(len(marked), notes)


def id_table(listing: Listing, classes: Sequence[str]) -> Pixels:
    """Table `[256]` from the ids in an export's masks to those of a run.

    Raises:
        UserError: If a class of the export is none of the run's.
    """
    table = np.full(256, VOID, np.uint8)
    table[BACKGROUND] = BACKGROUND
    for stored, listed in listing.mask_ids.items():
        name = listing.classes[listed - 1]
        if name not in classes:
            raise UserError(
                f"the export has the class {name!r}{did_you_mean(name, classes)}, which the run "
                f"has not; it knows {', '.join(classes)}."
            )
        table[stored] = classes.index(name) + 1
    return table
