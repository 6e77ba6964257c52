"""Sums of Gaussian kernels on permutohedral lattices (Adams, Baek & Davis, 2010), in torch.

A point lies in one simplex of a lattice. It hands its value to the simplex's d + 1 vertices by
barycentric weights (*splat*), every vertex is mixed with its neighbours along d + 1 axes (*blur*),
and the point reads its value back with the same weights (*slice*). Only vertices that some point
touches exist. All three steps are linear, so each is one sparse matrix: building them takes
elementwise operations and one sort, filtering takes d + 3 sparse products for all channels at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from weaktr.crf.sparse import SparseMatrix, fixed_rows
from weaktr.errors import UserError


@dataclass(frozen=True)
class Lattice:
    """The vertices that N points of d features touch, and how these are linked.

    Attributes:
        corners: int32 `[d + 1, N]`, the vertices of each point's simplex.
        weights: float32 `[d + 1, N]`, barycentric weights of these.
        starts: int32 `[M + 1]`: vertex v is a corner at `places[starts[v]:starts[v + 1]]`.
        places: int32 `[(d + 1) * N]`, positions in the flattened `corners`, sorted by vertex.
        neighbours: int32 `[d + 1, 2, M]`, the vertices before and after each on every axis; its
            own index where there is none.
    """

    corners: Tensor
    weights: Tensor
    starts: Tensor
    places: Tensor
    neighbours: Tensor

    @property
    def num_vertices(self) -> int:
        """M."""
        return len(self.starts) - 1


class KernelSum:
    """The filter `sum_k weight_k * D_k G_k D_k`, with D_k such that D_k G_k D_k is normalised.

    G_k is the Gaussian kernel of lattice k and D_k = diag(G_k 1)^(-1/2), the symmetric
    normalisation of dense CRFs. All kernels share one splat and one slice matrix, in which their
    weights and normalisations are folded.

    Args:
        lattices: One per kernel, over the same N points.
        weights: One per kernel.
    """

    def __init__(self, lattices: Sequence[Lattice], weights: Sequence[float]) -> None:
        corners: list[Tensor] = []
        corner_weights: list[Tensor] = []
        starts, points, point_weights = [], [], []
        count = lattices[0].corners.shape[1]
        first_vertex, first_place = 0, 0
        for lattice, weight in zip(lattices, weights, strict=True):
            scaled = lattice.weights * _symmetric_scale(lattice)
            corners.extend(lattice.corners + first_vertex)
            corner_weights.extend(weight * scaled)
            starts.append(lattice.starts[:-1] + first_place)
            points.append(lattice.places % count)
            point_weights.append(scaled.flatten().index_select(0, lattice.places))
            first_vertex += lattice.num_vertices
            first_place += len(lattice.places)
        starts.append(starts[0].new_tensor([first_place]))
        self.slice = fixed_rows(corners, corner_weights)
        self.splat = SparseMatrix(torch.cat(starts), torch.cat(points), torch.cat(point_weights))
        self.blur = _blur_matrices(lattices)

    def add_to(self, base: Tensor, values: Tensor) -> Tensor:
        """`base` plus the filtered `values`, both float32 `[N, C]`; channels do not mix."""
        values = self.splat @ values
        for axis in self.blur:
            values = axis @ values
        return (self.slice @ values).add_(base)


def build_lattice(features: Tensor) -> Lattice:
    """Finds the simplex of every point and links the vertices.

    Args:
        features: float32 `[d, N]`, in units of the kernel's standard deviation.

    Raises:
        UserError: If the features spread so far that lattice coordinates overflow 64 bits.
    """
    keys, weights, steps = _simplices(features)
    vertex_keys, starts, places, corners = _number_vertices(keys.flatten())
    neighbours = [_axis_neighbours(vertex_keys, step) for step in steps]
    return Lattice(corners.view_as(keys), weights, starts, places, torch.stack(neighbours))


def _simplices(features: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Vertices and weights of the simplex around each point.

    Returns:
        keys: int64 `[d + 1, N]`, the lattice coordinates of each vertex packed in one number.
        weights: float32 `[d + 1, N]`.
        steps: For each of the d + 1 axes, what a step along it adds to a packed key.
    """
    d = len(features)
    elevated = _elevate(features)
    # The nearest point whose coordinates are all multiples of d + 1, and which of its simplices:
    # `rank` counts, for each axis, those with a larger residual (and equal ones before it).
    rounded = (elevated * (1 / (d + 1))).round_()
    origin = rounded * (d + 1)
    residual = elevated - origin
    rank = torch.arange(d + 1, dtype=torch.int8, device=origin.device)[:, None].repeat(
        1, origin.shape[1]
    )
    for i in range(d):
        lower = (residual[i] < residual[i + 1 :]).view(torch.int8)
        rank[i] += lower.sum(0, dtype=torch.int8)
        rank[i + 1 :] -= lower
    # Back to the plane of zero sum.
    rank += rounded.sum(0).to(torch.int8)
    wrap = ((rank < 0).view(torch.int8) - (rank > d).view(torch.int8)).mul_(d + 1)
    rank += wrap
    origin += wrap
    # Barycentric weights are gaps between the sorted residuals.
    place = (d - rank).long()
    residual = (elevated - origin).mul_(1 / (d + 1))
    ordered = torch.empty_like(residual).scatter_(0, place, residual)
    weights = torch.empty_like(ordered)
    weights[0] = ordered[0] + 1 - ordered[d]
    torch.sub(ordered[1:], ordered[:-1], out=weights[1:])
    # Coordinates of vertex r are origin + r, less d + 1 where rank > d - r; the last is implied.
    strides = _strides(origin[:-1])
    keys = torch.empty(origin.shape, dtype=torch.int64, device=origin.device)
    keys[0] = 0
    for i, stride in enumerate(strides):
        keys[0].add_((origin[i] - origin[i].min()).long(), alpha=stride)
    falls = torch.tensor([*strides, 0], device=origin.device)[:, None] * (d + 1)
    fall = torch.empty_like(keys).scatter_(0, place, falls.expand_as(keys))
    for r in range(d):
        torch.sub(keys[r] + sum(strides), fall[r], out=keys[r + 1])
    steps = [(d + 1) * stride - sum(strides) for stride in [*strides, 0]]
    return keys, weights, steps


def _elevate(features: Tensor) -> Tensor:
    """Maps `[d, N]` to the hyperplane of zero sum `[d + 1, N]`, at the scale of unit variance.

    Points often lie exactly between two simplices, and a vertex of no weight still takes part in
    the blur. So this rounds where pydensecrf rounds, the scale included.
    """
    d = len(features)
    unit = float(np.float32(math.sqrt(2 / 3) * (d + 1)))
    elevated = features.new_empty(d + 1, features.shape[1])
    partial = torch.zeros_like(features[0])
    for i in range(d, 0, -1):
        scaled = features[i - 1] * (1 / math.sqrt(i * (i + 1)) * unit)
        elevated[i] = partial - i * scaled
        partial = partial + scaled
    elevated[0] = partial
    return elevated


def _strides(origin: Tensor) -> list[int]:
    """Place values that keep packed coordinates `[d, N]`, and those a step away, apart."""
    d = len(origin)
    spans = (origin.amax(1) - origin.amin(1)).tolist()
    *strides, total = accumulate([int(span) + 3 * d + 3 for span in spans], int.__mul__, initial=1)
    if total >= 2**62:
        raise UserError(
            "the dense CRF's kernels are too narrow for an image of this size; raise "
            f"gaussian_sxy, bilateral_sxy or bilateral_srgb. Got: a lattice of {total:.0e} cells"
        )
    return strides


def _number_vertices(keys: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Numbers the distinct ones of some keys in ascending order.

    Returns:
        The M distinct keys; `starts` and `places` of `Lattice`; int32 vertex of each key.
    """
    ordered, places = _sort(keys)
    is_new = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=is_new[1:])
    starts = is_new.nonzero().flatten()
    vertex = is_new.cumsum(0, dtype=torch.int32).sub_(1)
    corners = torch.empty_like(vertex).scatter_(0, places, vertex)
    end = starts.new_tensor([len(ordered)])
    return ordered[starts], torch.cat([starts, end]).int(), places.int(), corners


def _sort(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted keys and where they came from, equal keys in their order."""
    bits = len(keys).bit_length()
    if keys.device.type != "cpu" or int(keys.max()) >> (63 - bits):
        ordered, places = keys.sort(stable=True)
        return ordered, places
    # Numpy sorts plain numbers several times faster than anything sorts numbers with indices.
    packed = torch.from_numpy(np.sort((keys << bits | torch.arange(len(keys))).numpy()))
    return packed >> bits, packed & (2**bits - 1)


def _axis_neighbours(vertex_keys: Tensor, step: int) -> Tensor:
    """Vertices before and after each on one axis `[2, M]`; its own index where there is none."""
    own = torch.arange(len(vertex_keys), dtype=torch.int32, device=vertex_keys.device)
    wanted = vertex_keys + step
    after = _search(vertex_keys, wanted).clamp_(max=len(own) - 1)
    exists = vertex_keys.index_select(0, after) == wanted
    after = torch.where(exists, after.int(), own)
    before = own.clone()
    before[after[exists]] = own[exists]
    return torch.stack([before, after])


def _search(ordered: Tensor, wanted: Tensor) -> Tensor:
    """`torch.searchsorted`; numpy's is faster as it makes use of the order of `wanted`."""
    if ordered.device.type != "cpu":
        return torch.searchsorted(ordered, wanted)
    return torch.from_numpy(np.searchsorted(ordered.numpy(), wanted.numpy()))


def _symmetric_scale(lattice: Lattice) -> Tensor:
    """Diagonal of D: `(G 1)^(-1/2)` at every point `[N]`; G may have any scale."""
    flat = lattice.corners.flatten()
    mass = torch.bincount(flat, lattice.weights.flatten(), lattice.num_vertices).float()
    own = torch.arange(len(mass), device=mass.device)
    for sides in lattice.neighbours:
        shares = [mass.index_select(0, side) * (side != own) for side in sides]
        mass = mass + 0.5 * sum(shares)
    total = (mass.index_select(0, flat).view_as(lattice.weights) * lattice.weights).sum(0)
    return (total + 1e-20).rsqrt()


def _blur_matrices(lattices: Sequence[Lattice]) -> list[SparseMatrix]:
    """One block-diagonal matrix per axis; lattices with fewer axes are left alone by the last."""
    matrices = []
    for axis in range(max(len(lattice.neighbours) for lattice in lattices)):
        befores, afters, first = [], [], 0
        for lattice in lattices:
            if axis < len(lattice.neighbours):
                before, after = lattice.neighbours[axis] + first
            else:
                before = after = torch.arange(
                    first, first + lattice.num_vertices, device=lattice.neighbours.device
                ).int()
            befores.append(before)
            afters.append(after)
            first += lattice.num_vertices
        before, after = torch.cat(befores), torch.cat(afters)
        own = torch.arange(first, dtype=torch.int32, device=before.device)
        ones = torch.ones(first, device=before.device)
        values = [ones, 0.5 * (before != own), 0.5 * (after != own)]
        matrices.append(fixed_rows([own, before, after], values))
    return matrices
