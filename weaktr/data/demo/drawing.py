"""What generated scenes are painted with: textures, outlines, filled shapes, colours.

Coverages and textures are float32 `[side, side]` in [0, 1]; canvases are float32 `[side, side, 3]`,
RGB in [0, 255]. Where a generator is passed in, it is the only source of chance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from weaktr.data.demo.patterns import Tile

TEXTURES = ("plain", "stripes", "spots", "checks", "rings", "speckle")
_OVERSAMPLING = 3

Points = NDArray[np.float64]


def texture(rng: np.random.Generator, kind: str, side: int) -> NDArray[np.float32]:
    """A pattern in [0, 1] of shape `[side, side]`."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 2)
    step = 2 * np.pi / rng.uniform(5.0, 9.0)
    u = (x * np.cos(angle) + y * np.sin(angle)) * step + phase[0]
    v = (y * np.cos(angle) - x * np.sin(angle)) * step + phase[1]
    match kind:
        case "stripes":
            wave = np.sin(u)
        case "spots":
            wave = np.sin(u) * np.sin(v) * 2 - 0.6
        case "checks":
            wave = np.sin(u) * np.sin(v) * 1.2
        case "rings":
            centre = rng.uniform(0, side, 2)
            wave = np.sin(np.hypot(x - centre[0], y - centre[1]) * step)
        case "speckle":
            wave = rng.normal(0, 1.0, (side, side))
        case _:
            wave = np.zeros((side, side))
    return np.clip(0.5 + 0.8 * wave, 0, 1).astype(np.float32)


def repeat(rng: np.random.Generator, tile: Tile, side: int) -> NDArray[np.float32]:
    """`tile` repeated over `[side, side]`, turned and mirrored at random, in [0, 1]."""
    if rng.random() < 0.5:
        tile = tile[:, ::-1]
    fine = side * _OVERSAMPLING
    y, x = np.mgrid[:fine, :fine].astype(np.float32) / (_OVERSAMPLING * rng.uniform(1.4, 2.2))
    turn, shift = rng.uniform(-0.15, 0.15), rng.uniform(0, len(tile), 2)
    across = np.floor(x * np.cos(turn) + y * np.sin(turn) + shift[0]).astype(np.int32)
    down = np.floor(y * np.cos(turn) - x * np.sin(turn) + shift[1]).astype(np.int32)
    cells = tile[down % len(tile), across % len(tile)].astype(np.float32)
    return cells.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).mean((1, 3))


def blob(rng: np.random.Generator, radius: float, wobble: float) -> Points:
    """A closed smooth outline of `[36, 2]` points around the origin."""
    theta = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    waves = np.arange(2, 5)
    size = rng.normal(0, wobble, 3) / (waves - 1)
    phase = rng.uniform(0, 2 * np.pi, 3)
    reach = 1 + (size * np.cos(theta[:, None] * waves + phase)).sum(1)
    return radius * np.clip(reach, 0.55, 1.5)[:, None] * np.stack([np.cos(theta), np.sin(theta)], 1)


def shrink(points: Points, margin: float) -> Points:
    """The outline, so many pixels nearer to its middle."""
    centre = points.mean(0)
    reach = np.linalg.norm(points - centre, axis=1, keepdims=True)
    return centre + (points - centre) * np.maximum(1 - margin / np.maximum(reach, 1e-6), 0)


def stroke(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Coverage of a thin line with one bend."""
    canvas = Image.new("L", (side, side))
    ends = rng.uniform(0, side, (3, 2))
    ImageDraw.Draw(canvas).line([tuple(p) for p in ends], fill=255, width=int(rng.integers(1, 3)))
    return (np.asarray(canvas) / 255).astype(np.float32)


def fill(side: int, polygons: Sequence[tuple[Points, bool]]) -> NDArray[np.float32]:
    """Anti-aliased coverage `[side, side]` in [0, 1] of polygons drawn in order."""
    canvas = Image.new("L", (side * _OVERSAMPLING, side * _OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for points, ink in polygons:
        pen.polygon([tuple(p) for p in points * _OVERSAMPLING], fill=255 if ink else 0)
    return (np.asarray(canvas.reduce(_OVERSAMPLING)) / 255).astype(np.float32)


def paint(
    canvas: NDArray[np.float32],
    colour: NDArray[np.floating],
    coverage: NDArray[np.float32],
) -> None:
    """Lays a colour, `[3]` or one per pixel, over a canvas where its coverage says."""
    canvas += (colour - canvas) * coverage[..., None]


def rgb(hue: float, saturation: float, value: float) -> NDArray[np.float32]:
    """HSV in [0, 1] to RGB in [0, 255]."""
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return (255 * (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1))).astype(
        np.float32
    )
