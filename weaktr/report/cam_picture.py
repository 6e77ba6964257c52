"""One picture of what the CAM network sees in an image: its maps, class by class, and its heads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from PIL import Image

from weaktr.files import replace_file
from weaktr.labels import Pixels
from weaktr.models.cam_kinds import CAM_KINDS
from weaktr.models.cam_network import CAMNetwork
from weaktr.pseudo_labels.multi_scale_cam import scaled_input

MOST_PATCHES = 48
"""Patches along the long side: larger images are shrunk, for the affinity's sake."""
MOST_CLASSES = 6
"""Rows of the picture when no tags are given."""
LEAST_SPAN = 0.01
"""Head weights that differ by less are drawn in nearly one colour: they weigh the same."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClassMaps:
    """What the network makes of one image.

    Attributes:
        image: RGB `[H, W, 3]` as the network saw it.
        probabilities: Sigmoid of the class tokens' logits, `[C]`.
        maps: One `[C, h, w]` per kind (`CAM_KINDS`), on the patch grid, not normalised.
        head_weights: `[L, H]`: the fusion's weight of every layer's heads.
    """

    image: Pixels
    probabilities: Floats
    maps: list[Floats]
    head_weights: Floats


@torch.inference_mode()
def class_maps(model: CAMNetwork, image: Pixels) -> ClassMaps:
    """Runs the network once on an image.

    Args:
        model: In evaluation mode.
        image: RGB uint8 `[H, W, 3]`; larger ones than `MOST_PATCHES` patches are shrunk.
    """
    factor = min(1.0, MOST_PATCHES * model.patch_size / max(image.shape[:2]))
    device = next(model.parameters()).device
    x = scaled_input(model, image, factor)[None].to(device)
    found = model.maps(x)
    layers = len(model.backbone.blocks)
    height, width = x.shape[-2:]
    return ClassMaps(
        image=np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)),
        probabilities=found.class_logits[0].float().sigmoid().cpu().numpy(),
        maps=[kind.of(found)[0].float().cpu().numpy() for kind in CAM_KINDS],
        head_weights=found.head_weights[0].float().view(-1, layers).mT.cpu().numpy(),
    )


def chosen_classes(seen: ClassMaps, tags: Sequence[int]) -> list[int]:
    """The tags, or without any the classes that the network holds for most probable."""
    if tags:
        return list(tags)
    order = np.argsort(-seen.probabilities, kind="stable")
    likely = [int(c) for c in order if seen.probabilities[c] >= 0.5]
    return likely[:MOST_CLASSES] or [int(order[0])]


def cam_figure(
    seen: ClassMaps, classes: Sequence[str], chosen: Sequence[int], title: str
) -> Figure:
    """Draws the image, class probabilities and head weights above one row of maps per class.

    Args:
        seen: Of one image.
        classes: All class names.
        chosen: The classes to show, 0-based.
        title: Heading.
    """
    with matplotlib.rc_context(
        {"text.parse_math": False}
    ):  # A name with dollar signs is no formula.
        return _draw(seen, classes, chosen, title)


def save_picture(figure: Figure, path: Path) -> None:
    """Writes the figure as PNG, whole or not at all; equal figures give equal bytes."""
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None})


def heat(image: Pixels, cam: Floats) -> Pixels:
    """A map, from its minimum to its maximum, as colours over the greyed image."""
    low, high = float(cam.min()), float(cam.max())
    scaled = torch.from_numpy((cam - low) / max(high - low, 1e-12))[None, None]
    enlarged = F.interpolate(scaled, image.shape[:2], mode="bilinear")[0, 0].numpy()
    colours = matplotlib.colormaps["inferno"](enlarged)[..., :3]
    grey = np.asarray(Image.fromarray(image).convert("L"))[..., None] / 255
    opacity = 0.2 + 0.65 * enlarged[..., None]
    return ((grey * (1 - opacity) + colours * opacity) * 255).astype(np.uint8)


def _draw_probabilities(
    axis: Axes, seen: ClassMaps, classes: Sequence[str], chosen: Sequence[int]
) -> None:
    """Bars of the most probable classes; those shown below are coloured."""
    order = np.argsort(-seen.probabilities, kind="stable")[:8]
    shown = list(dict.fromkeys([*order, *chosen]))
    colours = ["#c0392b" if c in chosen else "#bbbbbb" for c in shown]
    places = np.arange(len(shown))
    axis.barh(places, seen.probabilities[shown], color=colours, height=0.7)
    axis.set_yticks(places, [classes[c] for c in shown], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title("class tokens: probability", fontsize=10)


def _draw_heads(figure: FigureBase, axis: Axes, seen: ClassMaps) -> None:
    layers, heads = seen.head_weights.shape
    low, high = float(seen.head_weights.min()), float(seen.head_weights.max())
    bottom = min(low, high - LEAST_SPAN)
    drawn = axis.imshow(seen.head_weights, cmap="viridis", aspect="auto", vmin=bottom, vmax=high)
    axis.set_xlabel("head", fontsize=8)
    axis.set_ylabel("layer", fontsize=8)
    axis.set_xticks(range(heads), [str(i + 1) for i in range(heads)], fontsize=8)
    axis.set_yticks(range(layers), [str(i + 1) for i in range(layers)], fontsize=8)
    axis.set_title(f"weights of the attention heads: {low:.4f} to {high:.4f}", fontsize=10)
    ticks = np.linspace(bottom, high, 5)
    bar = figure.colorbar(drawn, ax=axis, shrink=0.9)
    bar.set_ticks(list(ticks), labels=[f"{tick:.3f}" for tick in ticks], fontsize=8)


def _draw(seen: ClassMaps, classes: Sequence[str], chosen: Sequence[int], title: str) -> Figure:
    height, width = seen.image.shape[:2]
    aspect = min(max(height / width, 0.4), 1.8)
    cell = 2.5
    row = cell * aspect + 0.15
    header = max(row, 2.3)
    size = (cell * len(CAM_KINDS) + 1.2, header + row * len(chosen) + 1.3)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=12, x=0.02, ha="left", weight="bold")
    ratios = [header + 0.5, row * len(chosen) + 0.5]
    (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=ratios)
    axes = top.subplots(1, 3, width_ratios=[1, 1, 1.4])
    axes[0].imshow(seen.image)
    axes[0].set_title("image", fontsize=10)
    axes[0].axis("off")
    _draw_probabilities(axes[1], seen, classes, chosen)
    _draw_heads(top, axes[2], seen)
    grid = bottom.subplots(len(chosen), len(CAM_KINDS), squeeze=False)
    for axis, kind in zip(grid[0], CAM_KINDS, strict=True):
        axis.set_title(f"{kind.title}\n", fontsize=10)
        place = {"transform": axis.transAxes, "ha": "center", "fontsize": 8, "color": "#777"}
        axis.text(0.5, 1.03, kind.made_of, **place)
    for line, index in zip(grid, chosen, strict=True):
        for axis, maps in zip(line, seen.maps, strict=True):
            axis.imshow(heat(seen.image, maps[index]))
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
        line[0].set_ylabel(classes[index], fontsize=10)
    return figure
