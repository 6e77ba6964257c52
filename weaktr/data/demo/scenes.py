"""Drawing of generated scenes: textured creatures with a two-coloured head, over clutter.

A creature is a body and a head with one outline around both. The head wears a pattern of two hues,
and this pair is its class; the body has one of the two, which other classes wear as well. So class
evidence sits in a part, and the whole object has to be found by other means. Only numpy and Pillow
are used, and every pixel follows from the generator that is passed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weaktr.data.demo.drawing import (
    TEXTURES,
    blob,
    fill,
    paint,
    repeat,
    rgb,
    shrink,
    stroke,
    texture,
)
from weaktr.data.demo.patterns import Tile
from weaktr.labels import VOID

OVERHANG = 0.7
"""Least distance of a body's centre from the image's edge, in radii."""


@dataclass(frozen=True)
class SceneStyle:
    """How scenes look. Lengths are in pixels.

    Attributes:
        side: Width and height of a scene.
        body_radius: Smallest and largest mean radius of a body.
        head_size: Factor of the head's radius, which is 0.58 to 0.7 of the body's.
        clutter: Most background blobs, strokes and texture patches of each kind in a scene.
        decoys: Most textured blobs of a creature's size in the background.
        min_visible: Smallest share of a creature that may remain visible behind others.
        noise: Standard deviation of the pixel noise, in 8-bit steps.
    """

    side: int = 96
    body_radius: tuple[float, float] = (13.0, 21.0)
    head_size: float = 1.0
    clutter: int = 5
    decoys: int = 1
    min_visible: float = 0.5
    noise: float = 6.0


@dataclass(frozen=True)
class Coat:
    """What a creature wears.

    Attributes:
        label: Its class index.
        pattern: Tile on its head.
        texture: Texture of its body, one of `TEXTURES`.
        hues: Hues of the head's two colours, in turns; the body has the first.
        scenery: What it stands on, if on anything.
    """

    label: int
    pattern: Tile
    texture: str
    hues: tuple[float, float]
    scenery: "Scenery | None" = None


@dataclass(frozen=True)
class Scenery:
    """A striped band across the background that passes under a creature.

    Attributes:
        hue: Of the stripes.
        angle: Of the band, in radians.
    """

    hue: float
    angle: float


@dataclass(frozen=True)
class Scene:
    """One scene.

    Attributes:
        image: `[side, side, 3]` uint8, RGB.
        labels: `[side, side]` uint8, 0 background, 1 + class index on creatures, 255 on borders.
        evidence: `[side, side]` bool, the visible heads: where the class evidence is.
        classes: Sorted class indices of the creatures that were placed.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    evidence: NDArray[np.bool_]
    classes: tuple[int, ...]


@dataclass(frozen=True)
class _Creature:
    body: NDArray[np.float32]
    head: NDArray[np.float32]
    pattern: NDArray[np.float32]
    rim: NDArray[np.float32]

    @property
    def solid(self) -> NDArray[np.bool_]:
        return np.maximum(self.body, self.head) > 0.5


def draw_scene(rng: np.random.Generator, style: SceneStyle, coats: Sequence[Coat]) -> Scene:
    """Draws one scene with a creature for each of `coats`, later ones in front.

    A creature that finds no place where enough of everyone remains visible is left out, so the
    scene may hold fewer than asked for; the first one is always placed.

    Args:
        rng: Source of all randomness.
        style: How the scene looks.
        coats: One for each creature.
    """
    side = style.side
    canvas = _background(rng, style)
    owner = np.full((side, side), -1, np.int16)
    evidence = np.zeros((side, side), bool)
    placed: list[tuple[int, _Creature]] = []
    for coat in coats:
        creature = _place(rng, style, coat.pattern, owner, [c for _, c in placed])
        if creature is None:
            continue
        solid = creature.solid
        owner[solid] = len(placed)
        evidence[solid] = False
        evidence |= creature.head > 0.5
        if coat.scenery is not None:
            _lay(canvas, coat.scenery, creature, free=owner < 0)
        _dress(rng, style, canvas, creature, coat)
        placed.append((coat.label, creature))
    canvas += rng.normal(0.0, style.noise, canvas.shape).astype(np.float32)
    image = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    ids = np.array([0, *(label + 1 for label, _ in placed)], np.uint8)
    labels = ids[owner + 1]
    labels[_borders(owner)] = VOID
    return Scene(image, labels, evidence, tuple(sorted({label for label, _ in placed})))


def _place(
    rng: np.random.Generator,
    style: SceneStyle,
    pattern: Tile,
    owner: NDArray[np.int16],
    earlier: Sequence[_Creature],
) -> _Creature | None:
    areas = [c.solid.sum() for c in earlier]
    for _ in range(12):
        creature = _shape_creature(rng, style, pattern)
        solid = creature.solid
        covered = solid[None] & (owner[None] == np.arange(len(earlier))[:, None, None])
        if any(solid[c.head > 0.5].any() for c in earlier):
            continue
        left = [(owner == i).sum() - covered[i].sum() for i in range(len(earlier))]
        if all(rest >= style.min_visible * area for rest, area in zip(left, areas, strict=True)):
            return creature
    return None


def _shape_creature(rng: np.random.Generator, style: SceneStyle, pattern: Tile) -> _Creature:
    side = style.side
    radius = rng.uniform(*style.body_radius)
    head_radius = radius * rng.uniform(0.58, 0.7) * style.head_size
    centre = rng.uniform(OVERHANG * radius, side - OVERHANG * radius, 2)
    for _ in range(20):
        angle = rng.uniform(0, 2 * np.pi)
        neck = radius * rng.uniform(0.75, 1.0)
        head_centre = centre + neck * np.array([np.cos(angle), np.sin(angle)])
        if head_radius <= head_centre.min() and head_centre.max() <= side - head_radius:
            break
    else:
        head_centre = np.clip(centre, head_radius, side - head_radius)
    body = blob(rng, radius, 0.16) + centre
    head = blob(rng, head_radius, 0.05) + head_centre
    outline = rng.uniform(0.8, 1.4)
    solid = fill(side, [(body, True), (head, True)])
    inner = fill(side, [(shrink(body, outline), True), (shrink(head, outline), True)])
    return _Creature(
        body=fill(side, [(body, True)]),
        head=fill(side, [(head, True)]),
        pattern=repeat(rng, pattern, side),
        rim=solid - np.minimum(inner, solid),
    )


def _dress(
    rng: np.random.Generator,
    style: SceneStyle,
    canvas: NDArray[np.float32],
    creature: _Creature,
    coat: Coat,
) -> None:
    saturation, value = rng.uniform(0.6, 1.0), rng.uniform(0.6, 1.0)
    first, second = (
        rgb(hue + rng.normal(0, 0.02), saturation, value * rng.uniform(0.85, 1.0))
        for hue in coat.hues
    )
    shade = first * rng.uniform(0.45, 0.75)
    body = first + (shade - first) * texture(rng, coat.texture, style.side)[..., None]
    head = first + (second - first) * creature.pattern[..., None]
    paint(canvas, body, creature.body)
    paint(canvas, head, creature.head)
    paint(canvas, first * rng.uniform(0.15, 0.5), creature.rim)


def _lay(
    canvas: NDArray[np.float32], scenery: Scenery, creature: _Creature, free: NDArray[np.bool_]
) -> None:
    """Paints a band through a creature's middle, where no creature is; it draws no chance."""
    y, x = np.mgrid[: len(canvas), : len(canvas)].astype(np.float32)
    rows, columns = np.nonzero(creature.solid)
    y, x = y - rows.mean(), x - columns.mean()
    across = y * np.cos(scenery.angle) - x * np.sin(scenery.angle)
    along = x * np.cos(scenery.angle) + y * np.sin(scenery.angle)
    half_width = 0.25 * np.sqrt(len(rows))
    sleepers = (np.floor(along / 2.5) % 2)[..., None]
    colour = rgb(scenery.hue, 0.7, 0.8) * (0.45 + 0.55 * sleepers)
    paint(canvas, colour, ((np.abs(across) < half_width) & free).astype(np.float32))


def _background(rng: np.random.Generator, style: SceneStyle) -> NDArray[np.float32]:
    """Low-frequency colours, then patches of every texture, headless bodies and strokes."""
    side = style.side
    cells = int(rng.integers(2, 6))
    coarse = rng.uniform(20, 235, (cells, cells, 3)) * 0.5 + rng.uniform(20, 235, 3) * 0.5
    canvas = np.asarray(
        Image.fromarray(coarse.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC),
        np.float32,
    ).copy()
    canvas += (texture(rng, str(rng.choice(TEXTURES)), side)[..., None] - 0.5) * rng.normal(
        0, 25, 3
    )
    low, high = style.body_radius
    radii = [
        *rng.uniform(0.2 * low, 0.5 * low, rng.integers(0, style.clutter + 1)),
        *rng.uniform(low, 1.5 * high, rng.integers(0, style.decoys + 1)),
    ]
    for radius in radii:
        shape = fill(side, [(blob(rng, radius, 0.3) + rng.uniform(0, side, 2), True)])
        colour = rng.uniform(10, 245, 3).astype(np.float32)
        blend = texture(rng, str(rng.choice(TEXTURES)), side)[..., None]
        paint(canvas, colour + (rng.normal(0, 45, 3).astype(np.float32)) * blend, shape)
    for _ in range(rng.integers(0, style.clutter + 1)):
        paint(canvas, rng.uniform(0, 255, 3).astype(np.float32), stroke(rng, side))
    return canvas


def _borders(owner: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Pixels whose four-neighbourhood holds two owners."""
    edge = np.zeros(owner.shape, bool)
    down, right = owner[1:] != owner[:-1], owner[:, 1:] != owner[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge
