"""What the segmenter learned from: tags only, true masks, or label maps of the user's own."""

from pathlib import Path
from typing import Literal

from stages.common.paths import MASKS, PSEUDO_LABELS, RENDERED_MASKS

Source = Literal["pseudo-labels", "true masks", "other label maps"]


def label_source(labels_from: str) -> Source:
    """What `decoder.labels_from` names, however the path is written."""
    place = Path(labels_from).resolve()
    if place == PSEUDO_LABELS.resolve():
        return "pseudo-labels"
    if place in (MASKS.resolve(), RENDERED_MASKS.resolve()):
        return "true masks"
    return "other label maps"
