"""Known troubles of weak supervision, laid over the demo's scenes one at a time.

What they draw comes from sources of their own beside the scene's: context, hues and tags leave
places and shapes as they were, so that two data sets can be compared image by image.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from weaktr.config.dataset import TroubleParams
from weaktr.data.demo.scenes import OVERHANG, Coat, Scenery, SceneStyle
from weaktr.errors import UserError

Random = np.random.Generator


def troubled_style(style: SceneStyle, trouble: TroubleParams) -> SceneStyle:
    """Smaller or larger objects, and smaller or larger heads on them.

    Raises:
        UserError: If the largest bodies have no place in a scene.
    """
    low, high = style.body_radius
    size = trouble.object_size
    if 2 * OVERHANG * high * size > style.side:
        raise UserError(
            f"dataset.shapes.trouble.object_size: objects of {2 * high * size:.0f} pixels "
            f"({size:g}) do not fit images of {style.side}; lower it, or raise "
            "dataset.shapes.image_side."
        )
    return dataclasses.replace(
        style, body_radius=(low * size, high * size), head_size=trouble.evidence_size
    )


def troubled_coats(
    rng: Random, coats: Sequence[Coat], trouble: TroubleParams, num_classes: int
) -> list[Coat]:
    """Coats of one class only, of hues that are close, on their class's scenery.

    Args:
        rng: Of the trouble alone.
        coats: The scene's.
        trouble: What to do.
        num_classes: Of the data set.
    """
    if trouble.crowd:
        coats = [dataclasses.replace(c, label=coats[0].label, hues=coats[0].hues) for c in coats]
    return [_troubled(rng, coat, trouble, num_classes) for coat in coats]


def _troubled(rng: Random, coat: Coat, trouble: TroubleParams, num_classes: int) -> Coat:
    first, second = (hue * trouble.hue_range for hue in coat.hues)
    scenery = Scenery(hue=(coat.label + 0.5) / num_classes, angle=rng.uniform(0, np.pi))
    stands = rng.random() < trouble.context
    return dataclasses.replace(coat, hues=(first, second), scenery=scenery if stands else None)


def troubled_tags(
    rng: Random, present: Sequence[int], trouble: TroubleParams, num_classes: int
) -> list[int]:
    """The class indices that an image is tagged with, sorted.

    Args:
        rng: Of the trouble alone.
        present: The classes in the image.
        trouble: What to do.
        num_classes: Of the data set.
    """
    absent = [label for label in range(num_classes) if label not in present]
    kept = [label for label in present if rng.random() >= trouble.missing_tags]
    tags = kept or [present[int(rng.integers(len(present)))]]
    for place, _ in enumerate(tags):
        if absent and rng.random() < trouble.wrong_tags:
            tags[place] = absent.pop(int(rng.integers(len(absent))))
    return sorted(tags)
