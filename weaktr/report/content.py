"""What a report is made of. The page shows it, and knows no file; stages gather it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from weaktr.labels import Pixels
from weaktr.metrics.scores import Counts, SegmentationScores
from weaktr.report.evidence import Finding, TagRow


@dataclass(frozen=True)
class Step:
    """One step from tags to masks.

    Attributes:
        title: Such as `pseudo-labels`.
        split: Whose images were measured.
        miou: In percent.
        metric: Its name in `metrics.json`; empty where it is not there.
        published: What the recipe's source reports of this step, in percent; NaN where it does not.
    """

    title: str
    split: str
    miou: float
    metric: str = ""
    published: float = math.nan


@dataclass(frozen=True)
class Picture:
    """One step of one image.

    Attributes:
        step: Such as `fine CAM`.
        pixels: RGB `[H, W, 3]`.
        alt: What a person who cannot see it should know.
    """

    step: str
    pixels: Pixels
    alt: str


@dataclass(frozen=True)
class Panel:
    """One image through the steps.

    Attributes:
        name: Id of the image.
        rank: Why it is shown, such as `worst`.
        facts: Numbers and tags, in one line each.
        pictures: In the order of the pipeline.
        labels: Ids in its label maps and CAMs, for the key.
    """

    name: str
    rank: str
    facts: Sequence[str]
    pictures: Sequence[Picture]
    labels: frozenset[int]


@dataclass(frozen=True)
class Panels:
    """Images of one split, from the worst to the best."""

    title: str
    intro: str
    rows: Sequence[Panel]


@dataclass(frozen=True)
class ParamRow:
    """A param that differs from the recipe's: its value there and here, and what it means."""

    key: str
    recipe: str
    own: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Attention heads over some training images; each array is `[layers, heads]`.

    Attributes:
        images: How many.
        weight: The fusion's weight, mean.
        made_from_lift: Whether these weights are lifts (`cam.fusion: lift`), the affinity's here.
        spread: Of the weight over images, from the 10th to the 90th percentile.
        class_row, affinity: Lift: share of attention on the object beyond chance, -1 to 1; NaN
            where no coarse CAM shows an object.
        class_row_order, affinity_order: Rank correlation of weight and lift; NaN where there is no
            order.
        chance: What rank correlation 19 of 20 meaningless weights stay under.
    """

    images: int
    made_from_lift: bool
    weight: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    class_row: npt.NDArray[np.float64]
    affinity: npt.NDArray[np.float64]
    class_row_order: float
    affinity_order: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report tells; what a run does not have stays empty.

    Attributes:
        title: Its heading.
        summary: What it is about, in a sentence.
        tiles: The few numbers on top: value, what it is.
        findings: What stands out.
        notes: Which masks were used, and for what.
        ladder: Steps from tags to masks that were measured.
        marks: Values to hold the ladder against, such as the colour floor: name, mIoU in percent.
        classes: Names without background, in the order of label ids.
        panels: Images through the steps.
        scores: Of the segmenter; `None` where there were no true masks.
        matrix: Its confusion: pixels by true (row) and predicted (column) label.
        shares: What labels and predictions hold, by what is counted: label set -> value.
        tags: How well the CAM network knows each tag.
        tag_split: Split that tags were scored on.
        curves: Training curves by what is drawn: epochs, and values by name.
        heads: What the attention heads do, and whether their weights know it.
        recipe: The recipe that the params come from, or a name of their own.
        from_recipe: Whether they come from one.
        params: Where they differ from it.
        all_params: Dotted key and value.
        provenance: What the result was made of.
    """

    title: str
    summary: str
    classes: Sequence[str]
    tiles: Sequence[tuple[str, str]] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    ladder: Sequence[Step] = ()
    marks: Sequence[tuple[str, float]] = ()
    panels: Sequence[Panels] = ()
    scores: SegmentationScores | None = None
    matrix: Counts | None = None
    shares: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    tags: Sequence[TagRow] = ()
    tag_split: str = ""
    curves: Mapping[str, tuple[Sequence[int], Mapping[str, Sequence[float]]]] = field(
        default_factory=dict
    )
    heads: Heads | None = None
    recipe: str = ""
    from_recipe: bool = True
    params: Sequence[ParamRow] = ()
    all_params: Sequence[tuple[str, str]] = ()
    provenance: Sequence[tuple[str, str]] = ()


def chosen_ranks(
    values: Sequence[float], each: int, names: tuple[str, str]
) -> list[tuple[int, str]]:
    """Which of some images to show: the lowest, those in the middle, the highest.

    Args:
        values: One per image; images with NaN are not shown.
        each: So many of each kind, where there are as many.
        names: What the lowest and the highest are called.

    Returns:
        Index and rank, from the lowest to the highest, each image once.

    >>> chosen_ranks([0.5, 0.1, 0.9, float("nan"), 0.4], each=1, names=("worst", "best"))
    [(1, 'worst'), (0, 'median'), (2, 'best')]
    """
    order = [i for i in np.argsort(values, kind="stable").tolist() if not math.isnan(values[i])]
    if len(order) <= 3 * each:
        return [
            (i, names[0] if place == 0 else names[1] if place == len(order) - 1 else "between")
            for place, i in enumerate(order)
        ]
    start = (len(order) + 1 - each) // 2
    middle = order[start : start + each]
    return [
        *((i, names[0]) for i in order[:each]),
        *((i, "median") for i in middle),
        *((i, names[1]) for i in order[-each:]),
    ]
