"""The atlas of heads in words and numbers: what the terminal and `--json` tell."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from weaktr.heads.atlas import Atlas
from weaktr.heads.picture import head_name

EQUAL = 0.01
"""Weights nearer to each other than this weigh the same."""


def sentences(atlas: Atlas) -> Iterator[str]:
    """What the numbers come to, one line each."""
    yield _weights(atlas)
    if np.isnan(atlas.class_row).all():
        yield (
            "No coarse CAM of these images shows an object (they are flat), so there is no lift: "
            "the network has not learned its tags yet."
        )
    found = atlas.correlations()
    if not np.array_equal(atlas.row_weight, atlas.weight):
        yield (
            "These weights are of the affinity; class rows have their own (row_weight in --json). "
            "They were made from lift, so that it is worth by masks that tells of them."
        )
    yield (
        f"Rank correlation of weight and lift, {atlas.weight.size} heads: class rows "
        f"{_signed(found['weight, class row'])}, affinity {_signed(found['weight, affinity'])} "
        f"(chance alone: up to {chance(atlas.weight.size):.2f} either way)."
    )
    if atlas.oracle is None:
        return
    yield (
        f"Of weight and mIoU: class rows {_signed(found['weight, class row by masks'])}, affinity "
        f"{_signed(found['weight, affinity by masks'])}. (Of lift and mIoU: "
        f"{_signed(found['class row, the same by masks'])} and "
        f"{_signed(found['affinity, the same by masks'])}.)"
    )
    room = atlas.oracle.headroom
    yield (
        f"Fine CAM, mIoU at its best background score: {room.learned:.1f} as weighed, "
        f"{room.mean:.1f} with all heads alike."
    )
    gains = " and ".join(f"{gain:+.1f}" for gain in room.gain)
    counts = ", ".join(f"{rows} and {affinity}" for rows, affinity in room.best_counts)
    yield (
        f"Headroom (it peeks: true masks of one half of the images choose heads for the other): "
        f"{gains} points over the weights, with the best heads for class rows and affinity "
        f"({counts})."
    )


def _weights(atlas: Atlas) -> str:
    low, high = float(atlas.weight.min()), float(atlas.weight.max())
    text = f"Weights: {low:.3f} to {high:.3f} over heads (means of {len(atlas.images)} images)"
    spread = float(np.median(atlas.weight_spread))
    if high - low < EQUAL:
        return f"{text}: every head weighs the same, so the fusion averages."
    return f"{text}; one head's over images, p10 to p90: {spread:.3f} wide (median)."


def chance(heads: int) -> float:
    """The rank correlation that 19 of 20 measures without any meaning stay under, either way."""
    return min(1.0, 1.96 / math.sqrt(max(heads - 1, 1)))


def _signed(value: float) -> str:
    return "none (no order)" if math.isnan(value) else f"{value:+.2f}"


def as_json(atlas: Atlas) -> dict[str, Any]:
    """All numbers; layers and heads count from 1, shares are from 0 to 1, mIoU is in percent."""
    result: dict[str, Any] = {
        "images": list(atlas.images),
        "heads": [_head(atlas, index) for index in range(atlas.weight.size)],
        "rank_correlations": {k: _known(v) for k, v in atlas.correlations().items()},
        "oracle": None,
    }
    if atlas.oracle is not None:
        room = atlas.oracle.headroom
        result["oracle"] = {
            "note": "it peeks: true masks of one half of the images choose heads for the other; "
            "each mIoU is at its best background score",
            "learned": room.learned,
            "mean": room.mean,
            "best_heads": [
                {"class_rows": rows, "affinity": affinity, "miou": float(room.miou[i, j])}
                for i, rows in enumerate(room.counts)
                for j, affinity in enumerate(room.counts)
            ],
            "gain_by_half": list(room.gain),
        }
    return result


def _head(atlas: Atlas, index: int) -> dict[str, Any]:
    layer, head = map(int, head_name(index, atlas.weight.shape[1]).split("."))
    columns = {
        "weight": atlas.weight,
        "row_weight": atlas.row_weight,
        "weight_p10": atlas.weight_low,
        "weight_p90": atlas.weight_high,
        "entropy": atlas.entropy,
        "distance": atlas.distance,
        "class_row": atlas.class_row,
        "affinity": atlas.affinity,
    }
    if atlas.oracle is not None:
        columns["oracle_class_row_miou"] = atlas.oracle.class_row
        columns["oracle_affinity_miou"] = atlas.oracle.affinity
    values = {name: _known(float(array.flat[index])) for name, array in columns.items()}
    return {"layer": layer, "head": head, **values}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
