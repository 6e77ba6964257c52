"""The atlas of heads as one picture: heat maps of layers by heads, and the best and worst heads."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from PIL import Image

from weaktr.data.images import read_image
from weaktr.heads.atlas import Atlas
from weaktr.heads.seen import SeenImage
from weaktr.heads.true_masks import Values, single_head_maps
from weaktr.labels import Pixels
from weaktr.report.cam_picture import LEAST_SPAN, heat

MOST_NUMBERS = 48
"""Heads up to which every cell has its number."""
SIDE = 240
"""Longest side of an example in pixels."""


def atlas_figure(
    atlas: Atlas, examples: Sequence[SeenImage], classes: Sequence[str], title: str
) -> Figure:
    """Draws the atlas.

    Args:
        atlas: To draw.
        examples: Images whose maps are shown below, each with its first tag.
        classes: All class names.
        title: Heading.
    """
    with matplotlib.rc_context({"text.parse_math": False}):  # a dollar sign in a name is no formula
        return _draw(atlas, examples, classes, title)


def head_name(index: int, heads: int) -> str:
    """A head as people count: layer and head from 1.

    >>> head_name(5, heads=4)
    '2.2'
    """
    return f"{index // heads + 1}.{index % heads + 1}"


def _draw(
    atlas: Atlas, examples: Sequence[SeenImage], classes: Sequence[str], title: str
) -> Figure:
    layers, heads = atlas.weight.shape
    panels = _panels(atlas)
    columns = (len(panels) + 3) // 2  # two scatter plots besides
    cell = min(max(0.26 * layers, 1.7), 6.0)
    above = 2 * (cell + 0.75)
    below = 1.75 * len(examples) + 0.7
    width = max(columns * min(max(0.32 * heads + 1.1, 2.5), 5.0), 12.0)
    figure = Figure(figsize=(width, above + below + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=12, x=0.02, ha="left", weight="bold")
    (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[above, below])
    axes = top.subplots(2, columns, squeeze=False)
    for axis, (name, values, form) in zip(axes.T.flat, panels, strict=False):
        _heat_map(top, axis, name, values, form)
    for axis, place, quality in zip(
        axes[:, -1], ("class row", "affinity"), atlas.quality, strict=True
    ):
        _scatter(axis, atlas, place, quality)
    if examples:
        _examples(bottom, atlas, examples, classes)
    return figure


def _panels(atlas: Atlas) -> list[tuple[str, Values, str]]:
    """Title, values and form of the numbers of each heat map; two of them share a column."""
    panels = [
        ("weight (mean)", atlas.weight, ".3f"),
        ("weight (p90 less p10)", atlas.weight_spread, ".3f"),
        ("entropy (1: all alike)", atlas.entropy, ".2f"),
        ("distance (patches)", atlas.distance, ".1f"),
        ("class row, lift (%)", 100 * atlas.class_row, ".0f"),
        ("affinity, lift (%)", 100 * atlas.affinity, ".0f"),
    ]
    if atlas.oracle is not None:
        panels += [
            ("class row alone,\nmIoU (%), oracle", atlas.oracle.class_row, ".0f"),
            ("affinity alone,\nmIoU (%), oracle", atlas.oracle.affinity, ".0f"),
        ]
    return panels


def _heat_map(figure: FigureBase, axis: Axes, name: str, values: Values, form: str) -> None:
    layers, heads = values.shape
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if name.startswith("weight") and high - low < LEAST_SPAN:  # they weigh the same: one colour
        low, high = (0.0, LEAST_SPAN) if high < LEAST_SPAN else (high - LEAST_SPAN, high)
    drawn = axis.imshow(values, cmap="viridis", aspect="auto", vmin=low, vmax=high)
    axis.set_title(name, fontsize=9)
    axis.set_xticks(*_ticks(heads), fontsize=7)
    axis.set_yticks(*_ticks(layers), fontsize=7)
    axis.set_xlabel("head", fontsize=7, labelpad=1)
    axis.set_ylabel("layer", fontsize=7, labelpad=1)
    if values.size <= MOST_NUMBERS:
        for (layer, head), value in np.ndenumerate(values):
            bright = value - low > 0.6 * (high - low)
            colour = "#222" if bright else "#eee"
            text = format(value, form) if math.isfinite(value) else "–"
            axis.text(head, layer, text, ha="center", va="center", fontsize=6, color=colour)
    bar = figure.colorbar(drawn, ax=axis, shrink=0.9)
    bar.ax.tick_params(labelsize=6)


def _ticks(count: int) -> tuple[list[int], list[str]]:
    """At most about twelve, numbered from 1."""
    places = list(range(0, count, math.ceil(count / 12)))
    return places, [str(place + 1) for place in places]


def _scatter(axis: Axes, atlas: Atlas, place: str, quality: Values) -> None:
    """Weight against quality, the deeper the layer the darker."""
    masks = atlas.oracle is not None
    found = atlas.correlations()[f"weight, {place}{' by masks' if masks else ''}"]
    layers = np.repeat(np.arange(atlas.weight.shape[0]), atlas.weight.shape[1])
    values = quality if masks else 100 * quality
    axis.scatter(atlas.weight, values, c=layers, cmap="viridis_r", s=14, linewidths=0)
    rank = "no order" if math.isnan(found) else f"rank correlation {found:+.2f}"
    axis.set_title(f"{place} against weight,\n{rank}", fontsize=9)
    axis.set_xlabel("weight (the darker, the deeper)", fontsize=7, labelpad=1)
    axis.set_ylabel("mIoU (%), oracle" if masks else "lift (%)", fontsize=7, labelpad=1)
    axis.tick_params(labelsize=6)
    axis.ticklabel_format(axis="x", useOffset=False)
    low, high = float(atlas.weight.min()), float(atlas.weight.max())
    middle, half = (low + high) / 2, max(high - low, LEAST_SPAN) * 0.55
    axis.set_xlim(middle - half, middle + half)
    axis.locator_params(axis="x", nbins=4)
    axis.spines[["top", "right"]].set_visible(False)


def _examples(
    figure: FigureBase, atlas: Atlas, examples: Sequence[SeenImage], classes: Sequence[str]
) -> None:
    """A row per image: the image, its coarse CAM, and the maps of the best and worst heads."""
    heads = atlas.weight.shape[1]
    (best_row, worst_row), (best_affinity, worst_affinity) = map(_extremes, atlas.quality)
    by = "by masks" if atlas.oracle is not None else "by CAMs"
    best, worst = f"best {by}", f"worst {by}"
    if np.isnan(atlas.quality).any():
        best = worst = "(no object, no order)"
    titles = (
        "image",
        "coarse CAM",
        f"class row {head_name(best_row, heads)}\n{best}",
        f"class row {head_name(worst_row, heads)}\n{worst}",
        f"affinity {head_name(best_affinity, heads)}\n{best}",
        f"affinity {head_name(worst_affinity, heads)}\n{worst}",
        "fine CAM\nall heads, as weighed",
    )
    axes = figure.subplots(len(examples), len(titles), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for line, seen in zip(axes, examples, strict=True):
        image = _small(seen)
        _, propagated = single_head_maps(seen)
        fine = (propagated * seen.weights.flatten()[:, None, None]).sum(0)
        rows = seen.rows.flatten(0, 1)
        maps = (
            rows[best_row],
            rows[worst_row],
            propagated[best_affinity],
            propagated[worst_affinity],
        )
        line[0].imshow(image)
        line[0].set_ylabel(classes[seen.present[0]], fontsize=8)
        for axis, values in zip(line[1:], (seen.coarse, *maps, fine), strict=True):
            axis.imshow(heat(image, values[0].unflatten(0, seen.grid).cpu().numpy()))
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)


def _extremes(quality: Values) -> tuple[int, int]:
    """The best head and the worst; the first and the last where nothing tells them apart."""
    if np.isnan(quality).all():
        return 0, quality.size - 1
    return int(np.nanargmax(quality)), int(np.nanargmin(quality))


def _small(seen: SeenImage) -> Pixels:
    image = read_image(seen.record.image)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.array(image)
