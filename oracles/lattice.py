"""The permutohedral filter point by point and vertex by vertex, with a dictionary."""

import math

import numpy as np


def filter_values(features: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Filters `values` `[N, C]` of points with `features` `[d, N]`, unnormalised."""
    d, count = features.shape
    simplices = [simplex(features[:, n]) for n in range(count)]
    lattice: dict[tuple[int, ...], np.ndarray] = {}
    for corners, value in zip(simplices, values, strict=True):
        for key, weight in corners:
            lattice[key] = lattice.get(key, np.zeros(values.shape[1])) + weight * value
    for axis in range(d + 1):
        lattice = {key: blurred(lattice, key, axis) for key in lattice}
    scale = 1 / (1 + 2.0**-d)
    return np.array([scale * sum(w * lattice[key] for key, w in corners) for corners in simplices])


def simplex(feature: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
    """The d + 1 vertices around a point, and their barycentric weights."""
    d = len(feature)
    elevated = np.zeros(d + 1)
    for i in range(d):
        scaled = feature[i] * math.sqrt(2 / 3) * (d + 1) / math.sqrt((i + 1) * (i + 2))
        elevated[: i + 1] += scaled
        elevated[i + 1] -= (i + 1) * scaled
    origin = np.round(elevated / (d + 1)) * (d + 1)
    excess = round(origin.sum() / (d + 1))
    order = np.argsort(-(elevated - origin), kind="stable")
    for i in order[-excess:] if excess > 0 else order[:-excess]:
        origin[i] -= math.copysign(d + 1, excess)
    order = np.argsort(-(elevated - origin), kind="stable")
    residual = (elevated - origin)[order] / (d + 1)
    corners = []
    for r in range(d + 1):
        key = origin + r
        key[order[d + 1 - r :]] -= d + 1
        above = residual[d - r]
        below = residual[d + 1 - r] if r else residual[0] - 1
        corners.append((tuple(int(k) for k in key), float(above - below)))
    return corners


def blurred(
    lattice: dict[tuple[int, ...], np.ndarray], key: tuple[int, ...], axis: int
) -> np.ndarray:
    """A vertex's value blurred along one axis of the lattice with (1/2, 1, 1/2)."""
    total = lattice[key]
    for sign in (1, -1):
        neighbour = [k + sign for k in key]
        neighbour[axis] -= sign * len(key)
        total = total + 0.5 * lattice.get(tuple(neighbour), 0)
    return total
