"""Head patterns of the generated scenes: the demo's own, and a family for pretraining.

A pattern is a small binary tile that covers a creature's head by repetition.
"""

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.bool_]


def _tile(*rows: str) -> Tile:
    return np.array([[cell == "#" for cell in row] for row in rows])


DEMO_PATTERNS: dict[str, Tile] = {
    "bars": _tile("##..", "##..", "##..", "##.."),
    "checks": _tile("##..", "##..", "..##", "..##"),
    "diagonal": _tile("##..", ".##.", "..##", "#..#"),
    "dots": _tile("##..", "##..", "....", "...."),
    "ladder": _tile("####", "####", "....", "...."),
    "zigzag": _tile("#..#", "##..", ".##.", "##.."),
}
"""The demo's head patterns; they say nothing about the class."""


def pretraining_patterns(count: int, seed: int) -> list[Tile]:
    """Random 4x4 tiles that differ from each other and from every demo pattern.

    Two tiles are the same pattern if a shift, a mirror, or swapping ink and ground turns one into
    the other.

    Args:
        count: Number of patterns.
        seed: Seed of the choice.
    """
    rng = np.random.default_rng(seed)
    seen = {_canonical(tile) for tile in DEMO_PATTERNS.values()}
    patterns: list[Tile] = []
    while len(patterns) < count:
        tile = rng.random((4, 4)) < 0.5
        if 4 <= tile.sum() <= 12 and _canonical(tile) not in seen:
            seen.add(_canonical(tile))
            patterns.append(tile)
    return patterns


def _canonical(tile: Tile) -> bytes:
    side = len(tile)
    return min(
        np.roll(variant, (dy, dx), (0, 1)).tobytes()
        for variant in (tile, ~tile, tile[:, ::-1], ~tile[:, ::-1])
        for dy in range(side)
        for dx in range(side)
    )
