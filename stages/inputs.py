"""What every stage after `prepare` begins with."""

from weaktr.data.manifest import Manifest
from weaktr.errors import UserError


def split_of(manifest: Manifest, split: str) -> Manifest:
    """One split of the manifest.

    Raises:
        UserError: If it has no images.
    """
    part = manifest.of_split(split)
    if not part.records:
        present = ", ".join(sorted({record.split for record in manifest.records})) or "none"
        raise UserError(f"the manifest has no images in split {split!r}; it has: {present}.")
    return part
