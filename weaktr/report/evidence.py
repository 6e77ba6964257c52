"""What findings are drawn from, and what each says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from weaktr.metrics.image_table import LabelRow, PredictionRow

EDGE = 99.5
"""Share of an image, in percent, from which a label counts as nothing but background or class."""
MANY = 0.02
"""Share of images, or of tags, from which something is no exception any more."""
CLIPPED = 0.3
"""Share of object pixels without a gradient under which no measured run lost more than 4 points of
mIoU to clipping; from it on they lost up to 64 (docs/evidence.md)."""
NAMED = 4
"""Names that a finding lists."""


@dataclass(frozen=True)
class Finding:
    """Something that stands out.

    Attributes:
        title: What, in one line.
        detail: How much, where.
        turn: What to change; backticks around params.
        serious: Whether results cannot be trusted before it is mended.
    """

    title: str
    detail: str
    turn: str
    serious: bool = False


@dataclass(frozen=True)
class TagRow:
    """How well the CAM network knows a tag: average precision in percent (NaN where no image has
    it), images that carry it, images it was found in, and both."""

    name: str
    average_precision: float
    given: int
    predicted: int
    both: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What findings are drawn from; what a run does not have stays empty.

    Attributes:
        classes: All class names.
        labels: The pseudo-labels that the segmenter learned from.
        predictions: The evaluated images.
        split: Of the predictions.
        tags: On the split that tags were scored on.
        tag_images: Images of that split.
        seed: Kind of CAM that the labels are made of.
        background_score: Of the labels.
        clipped_objects: Share of the pixels labelled as a class that got no gradient, as the
            segmenter's loss was clipped: mean over the batches of the last epoch.
        start_value: Of the clipping; `None`: there was none.
        train_miou: mIoU in percent of `coarse`, the seed and `pseudo_labels`, by these names.
        optimum: For each seed the best `background_score` by the masks, and its `miou`.
        steps: mIoU in percent of the segmenter after each step, in their order.
        class_iou: Of the segmenter, in percent, by name; NaN where there was no such pixel.
        behind: For each metric that has a published value: ours and that.
    """

    classes: Sequence[str]
    labels: Sequence[LabelRow] = ()
    predictions: Sequence[PredictionRow] = ()
    split: str = "val"
    tags: Sequence[TagRow] = ()
    tag_images: int = 0
    seed: str = "fine"
    background_score: float = math.nan
    clipped_objects: float = 0.0
    start_value: float | None = None
    train_miou: Mapping[str, float] = field(default_factory=dict)
    optimum: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    steps: Mapping[str, float] = field(default_factory=dict)
    class_iou: Mapping[str, float] = field(default_factory=dict)
    behind: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def gives_objects_up(self) -> bool:
        """Whether clipping left out so much of the objects that it is the first thing to mend."""
        return self.start_value is not None and self.clipped_objects >= CLIPPED


def count(values: Sequence[str], noun: str, plural: str = "") -> str:
    """`1 label`, `2 labels`."""
    return f"{len(values)} {noun if len(values) == 1 else plural or noun + 's'}"


def names(values: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(values) - NAMED
    return ", ".join(values[:NAMED]) + (f" and {more} more" if more > 0 else "")


def verb(values: Sequence[str], plural: str) -> str:
    """`holds` for one, `hold` for several."""
    return plural + "s" * (len(values) == 1)
