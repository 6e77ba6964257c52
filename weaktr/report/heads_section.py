"""The report's section on attention heads: weights, their spread, and whether they follow worth."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from weaktr.report.content import Heads
from weaktr.report.elements import heat_of, rich

Values = npt.NDArray[np.float64]

LEAST_SPAN = 0.01
"""Weights that differ by less weigh the same, and have nearly one colour."""
EQUAL = "They hardly differ: here the fusion does about what plain averaging would."
CIRCLE = (
    "They were made from lift on all training images (`cam.fusion: lift`), so that this is no "
    "evidence of their worth; class rows have weights of their own, which are not shown."
)
MEANING = (
    "Lift is the share of a head's attention that lies on the object, beyond what chance would put "
    "there; the object is where the coarse CAM is high. For class rows it is the attention of the "
    "class tokens, for the affinity that of the object's patches. `weaktr heads` shows more, by "
    "true masks too."
)


def heads_section(heads: Heads) -> Iterator[str]:
    """HTML of the section."""
    low, high = float(heads.weight.min()), float(heads.weight.max())
    alike = high - low < LEAST_SPAN
    yield "<h3>Attention heads: weight and worth</h3>"
    words = (
        f"How much the fusion counts each head of each layer, mean over {heads.images} training "
        f"images: from {low:.3f} to {high:.3f}."
    )
    yield f"<p>{words}{f' {EQUAL}' if alike else ''} {rich(_orders(heads))}</p>"
    yield f'<p class="soft">{rich(MEANING)}</p>'
    tables = [
        _table("Weight, mean", heads.weight, ".3f", LEAST_SPAN),
        _table("Weight, from p10 to p90 of the images", heads.spread, ".3f", LEAST_SPAN),
    ]
    if np.isfinite(heads.class_row).all():
        tables += [
            _table("Lift of class rows (%)", 100 * heads.class_row, ".0f", 1),
            _table("Lift of the affinity (%)", 100 * heads.affinity, ".0f", 1),
        ]
    yield f'<div class="columns">{"".join(tables)}</div>'


def _orders(heads: Heads) -> str:
    """Whether weights follow lift, in a sentence."""
    orders = (heads.class_row_order, heads.affinity_order)
    if any(map(math.isnan, orders)):
        return ""
    rows, affinity = orders
    if heads.made_from_lift:
        return f"The affinity's rank correlation with the heads' lift is {affinity:+.2f}. {CIRCLE}"
    verdict = "more than chance" if max(orders) > heads.chance else "no more than chance"
    return (
        f"Their rank correlation with the heads' lift is {rows:+.2f} for class rows and "
        f"{affinity:+.2f} for the affinity, {verdict} (up to {heads.chance:.2f})."
    )


def _table(caption: str, values: Values, form: str, least_span: float) -> str:
    """Layers by heads, the more coloured the higher; not more than the least span tells apart."""
    layers, heads = values.shape
    span = max(float(values.max() - values.min()), least_span)
    return heat_of(
        caption,
        "layer \\ head",
        [str(i + 1) for i in range(layers)],
        [str(i + 1) for i in range(heads)],
        [[format(value, form) for value in row] for row in values],
        (values - values.min()) / span,
    )
