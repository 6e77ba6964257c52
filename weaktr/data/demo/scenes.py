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
from PIL import Image, ImageDraw

from weaktr.data.demo.patterns import Tile
from weaktr.labels import VOID

TEXTURES = ("plain", "stripes", "spots", "checks", "rings", "speckle")
_OVERSAMPLING = 3

Points = NDArray[np.float64]


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
        _paint(rng, style, canvas, creature, coat)
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
    centre = rng.uniform(0.7 * radius, side - 0.7 * radius, 2)
    for _ in range(20):
        angle = rng.uniform(0, 2 * np.pi)
        neck = radius * rng.uniform(0.75, 1.0)
        head_centre = centre + neck * np.array([np.cos(angle), np.sin(angle)])
        if head_radius <= head_centre.min() and head_centre.max() <= side - head_radius:
            break
    else:
        head_centre = np.clip(centre, head_radius, side - head_radius)
    body = _blob(rng, radius, 0.16) + centre
    head = _blob(rng, head_radius, 0.05) + head_centre
    outline = rng.uniform(0.8, 1.4)
    solid = _fill(side, [(body, True), (head, True)])
    inner = _fill(side, [(_shrink(body, outline), True), (_shrink(head, outline), True)])
    return _Creature(
        body=_fill(side, [(body, True)]),
        head=_fill(side, [(head, True)]),
        pattern=_repeat(rng, pattern, side),
        rim=solid - np.minimum(inner, solid),
    )


def _paint(
    rng: np.random.Generator,
    style: SceneStyle,
    canvas: NDArray[np.float32],
    creature: _Creature,
    coat: Coat,
) -> None:
    saturation, value = rng.uniform(0.6, 1.0), rng.uniform(0.6, 1.0)
    first, second = (
        _colour(hue + rng.normal(0, 0.02), saturation, value * rng.uniform(0.85, 1.0))
        for hue in coat.hues
    )
    shade = first * rng.uniform(0.45, 0.75)
    body = first + (shade - first) * _texture(rng, coat.texture, style.side)[..., None]
    head = first + (second - first) * creature.pattern[..., None]
    _blend(canvas, body, creature.body)
    _blend(canvas, head, creature.head)
    _blend(canvas, first * rng.uniform(0.15, 0.5), creature.rim)


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
    colour = _colour(scenery.hue, 0.7, 0.8) * (0.45 + 0.55 * sleepers)
    _blend(canvas, colour, ((np.abs(across) < half_width) & free).astype(np.float32))


def _background(rng: np.random.Generator, style: SceneStyle) -> NDArray[np.float32]:
    """Low-frequency colours, then patches of every texture, headless bodies and strokes."""
    side = style.side
    cells = int(rng.integers(2, 6))
    coarse = rng.uniform(20, 235, (cells, cells, 3)) * 0.5 + rng.uniform(20, 235, 3) * 0.5
    canvas = np.asarray(
        Image.fromarray(coarse.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC),
        np.float32,
    ).copy()
    canvas += (_texture(rng, str(rng.choice(TEXTURES)), side)[..., None] - 0.5) * rng.normal(
        0, 25, 3
    )
    low, high = style.body_radius
    radii = [
        *rng.uniform(0.2 * low, 0.5 * low, rng.integers(0, style.clutter + 1)),
        *rng.uniform(low, 1.5 * high, rng.integers(0, style.decoys + 1)),
    ]
    for radius in radii:
        shape = _fill(side, [(_blob(rng, radius, 0.3) + rng.uniform(0, side, 2), True)])
        colour = rng.uniform(10, 245, 3).astype(np.float32)
        blend = _texture(rng, str(rng.choice(TEXTURES)), side)[..., None]
        _blend(canvas, colour + (rng.normal(0, 45, 3).astype(np.float32)) * blend, shape)
    for _ in range(rng.integers(0, style.clutter + 1)):
        _blend(canvas, rng.uniform(0, 255, 3).astype(np.float32), _stroke(rng, side))
    return canvas


def _texture(rng: np.random.Generator, kind: str, side: int) -> NDArray[np.float32]:
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


def _repeat(rng: np.random.Generator, tile: Tile, side: int) -> NDArray[np.float32]:
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


def _blob(rng: np.random.Generator, radius: float, wobble: float) -> Points:
    """A closed smooth outline of `[36, 2]` points around the origin."""
    theta = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    waves = np.arange(2, 5)
    size = rng.normal(0, wobble, 3) / (waves - 1)
    phase = rng.uniform(0, 2 * np.pi, 3)
    reach = 1 + (size * np.cos(theta[:, None] * waves + phase)).sum(1)
    return radius * np.clip(reach, 0.55, 1.5)[:, None] * np.stack([np.cos(theta), np.sin(theta)], 1)


def _shrink(points: Points, margin: float) -> Points:
    centre = points.mean(0)
    reach = np.linalg.norm(points - centre, axis=1, keepdims=True)
    return centre + (points - centre) * np.maximum(1 - margin / np.maximum(reach, 1e-6), 0)


def _stroke(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    canvas = Image.new("L", (side, side))
    ends = rng.uniform(0, side, (3, 2))
    ImageDraw.Draw(canvas).line([tuple(p) for p in ends], fill=255, width=int(rng.integers(1, 3)))
    return (np.asarray(canvas) / 255).astype(np.float32)


def _fill(side: int, polygons: Sequence[tuple[Points, bool]]) -> NDArray[np.float32]:
    """Anti-aliased coverage `[side, side]` in [0, 1] of polygons drawn in order."""
    canvas = Image.new("L", (side * _OVERSAMPLING, side * _OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for points, ink in polygons:
        pen.polygon([tuple(p) for p in points * _OVERSAMPLING], fill=255 if ink else 0)
    return (np.asarray(canvas.reduce(_OVERSAMPLING)) / 255).astype(np.float32)


def _blend(
    canvas: NDArray[np.float32],
    colour: NDArray[np.floating],
    coverage: NDArray[np.float32],
) -> None:
    canvas += (colour - canvas) * coverage[..., None]


def _colour(hue: float, saturation: float, value: float) -> NDArray[np.float32]:
    """HSV in [0, 1] to RGB in [0, 255]."""
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return (255 * (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1))).astype(
        np.float32
    )


def _borders(owner: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Pixels whose four-neighbourhood holds two owners."""
    edge = np.zeros(owner.shape, bool)
    down, right = owner[1:] != owner[:-1], owner[:, 1:] != owner[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge
