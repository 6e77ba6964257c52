"""Corrected masks in place of label maps, as `decoder.corrected` asks for them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stages.common.paths import CORRECTED
from stages.common.words import counted
from weaktr.data.corrected import CorrectedMask, beyond_tags, find_corrected, mask_files
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.errors import UserError

NO_MASKS = "none"
"""What `decoder.corrected` says where no mask is corrected."""


def corrected_masks(name: str, manifest: Manifest) -> dict[str, CorrectedMask]:
    """The masks that `decoder.corrected` names, by image id.

    Raises:
        UserError: If one cannot be used, or if there are masks where none are meant to be.
    """
    folder = CORRECTED / name
    if name != NO_MASKS:
        return find_corrected(folder, manifest)
    if folder.is_dir() and any(mask_files(folder)):
        raise UserError(
            f"{folder} holds masks, which `decoder.corrected: {name}` does not use; move them to "
            "another folder beside it and name that one."
        )
    return {}


def facts_about(
    name: str,
    corrected: Mapping[str, CorrectedMask],
    manifest: Manifest,
    maps: Mapping[str, str],
) -> dict[str, Any]:
    """What is to be told of corrected masks wherever a result is."""
    same = [
        id_
        for id_, mask in corrected.items()
        if id_ in maps and np.array_equal(mask.read(), read_mask(maps[id_]))
    ]
    return {
        "folder": name,
        "masks": len(corrected),
        "same_as_label": len(same),
        "beyond_tags": beyond_tags(corrected, manifest),
    }


def in_words(facts: Mapping[str, Any]) -> list[str]:
    """What the stage says of corrected masks, if there are any."""
    said = []
    if facts["masks"]:
        said.append(counted(facts["masks"], "corrected mask"))
    if facts["same_as_label"]:
        said.append(f"{facts['same_as_label']:,} of them the same as the label")
    if facts["beyond_tags"]:
        count, first = len(facts["beyond_tags"]), facts["beyond_tags"][0]
        said.append(f"{count:,} with classes that the image's tags lack, such as {first}")
    return said
