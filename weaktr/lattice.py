"""Sums of Gaussian kernels on permutohedral lattices (Adams, Baek & Davis, 2010), in torch.

A point lies in one simplex of a lattice. It hands its value to the simplex's d + 1 vertices by
barycentric weights (*splat*), every vertex is mixed with its neighbours along d + 1 axes (*blur*),
and the point reads its value back with the same weights (*slice*). Only vertices that some point
touches exist. All three steps are linear, so each is one sparse matrix: building them takes
elementwise operations and one sort, filtering takes d + 3 sparse products for all channels at once.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from weaktr.errors import UserError


@dataclass(frozen=True)
class Lattice:
    """The vertices that N points of d features touch, and how these are linked.

    Attributes:
        corners: int32 `[N, d + 1]`, the vertices of each point's simplex.
        weights: float32 `[N, d + 1]`, barycentric weights of these.
        starts: int64 `[M + 1]`: vertex v is a corner at `places[starts[v]:starts[v + 1]]`.
        places: int64 `[N * (d + 1)]`, positions in the flattened `corners`, sorted by vertex.
        neighbours: int64 `[d + 1, 2, M]`, the vertices before and after each on every axis; its
            own index where there is none.
    """

    corners: Tensor
    weights: Tensor
    starts: Tensor
    places: Tensor
    neighbours: Tensor

    @property
    def num_vertices(self) -> int:
        return len(self.starts) - 1


class KernelSum:
    """The filter `sum_k weight_k * D_k G_k D_k`, with D_k such that D_k G_k D_k is normalised.

    G_k is the Gaussian kernel of lattice k and D_k = diag(G_k 1)^(-1/2), the symmetric
    normalisation of dense CRFs. All kernels share one splat and one slice matrix, in which their
    weights and normalisations are folded.

    Args:
        lattices: One a kernel, over the same N points.
        weights: One a kernel.
    """

    def __init__(self, lattices: Sequence[Lattice], weights: Sequence[float]) -> None:
        corners, corner_weights, starts, points, point_weights = [], [], [], [], []
        first_vertex, first_place = 0, 0
        for lattice, weight in zip(lattices, weights, strict=True):
            size = lattice.corners.shape[1]
            scale = _symmetric_scale(lattice)[:, None]
            corners.append(lattice.corners + first_vertex)
            corner_weights.append(weight * _attenuation(size) * scale * lattice.weights)
            starts.append(lattice.starts[:-1] + first_place)
            points.append(lattice.places // size)
            point_weights.append((scale * lattice.weights).flatten()[lattice.places])
            first_vertex += lattice.num_vertices
            first_place += len(lattice.places)
        starts.append(starts[0].new_tensor([first_place]))
        count = len(lattices[0].corners)
        self.slice = _fixed_rows(
            torch.cat(corners, 1), torch.cat(corner_weights, 1), (count, first_vertex)
        )
        self.splat = _csr(
            torch.cat(starts), torch.cat(points), torch.cat(point_weights), (first_vertex, count)
        )
        self.blur = _blur_matrices(lattices)

    def add_to(self, base: Tensor, values: Tensor) -> Tensor:
        """`base` plus the filtered `values`, both float32 `[N, C]`; channels do not mix."""
        values = self.splat @ values
        for axis in self.blur:
            values = axis @ values
        return torch.addmm(base, self.slice, values)


def build_lattice(features: Tensor) -> Lattice:
    """Finds the simplex of every point and links the vertices.

    Args:
        features: float32 `[d, N]`, in units of the kernel's standard deviation.

    Raises:
        UserError: If the features spread so far that lattice coordinates overflow 64 bits.
    """
    keys, weights, steps = _simplices(features)
    size = len(features) + 1
    vertex_keys, starts, places, corners = _number_vertices(keys)
    neighbours = [_axis_neighbours(vertex_keys, step) for step in steps]
    return Lattice(corners.view(-1, size), weights, starts, places, torch.stack(neighbours))


def _simplices(features: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Vertices and weights of the simplex around each point.

    Returns:
        keys: int64 `[N, d + 1]`, the lattice coordinates of each vertex packed in one number.
        weights: float32 `[N, d + 1]`.
        steps: For each of the d + 1 axes, what a step along it adds to a packed key.
    """
    d = len(features)
    elevated = _elevate(features)
    # The nearest point whose coordinates are all multiples of d + 1, and which of its simplices.
    rounded = (elevated * (1 / (d + 1))).round_()
    origin = rounded * (d + 1)
    rest = elevated - origin
    rank = torch.zeros(rest.shape, dtype=torch.int8, device=rest.device)
    for i in range(d):
        lower = rest[i] < rest[i + 1 :]
        rank[i] += lower.sum(0, dtype=torch.int8)
        rank[i + 1 :] += ~lower
    rank += rounded.sum(0).to(torch.int8)
    wrap = ((rank < 0).to(torch.int8) - (rank > d).to(torch.int8)) * (d + 1)
    rank += wrap
    origin += wrap
    # Barycentric weights are gaps between the sorted residuals.
    position = (d - rank).long()
    residuals = torch.empty_like(rest).scatter_(0, position, (elevated - origin) * (1 / (d + 1)))
    weights = torch.empty_like(residuals)
    weights[0] = residuals[0] + 1 - residuals[d]
    torch.sub(residuals[1:], residuals[:-1], out=weights[1:])
    # Coordinates of vertex r are origin + r, less d + 1 where rank > d - r; the last is implied.
    strides = _strides(origin[:-1])
    stride = torch.tensor([*strides, 0], device=rest.device)
    low = origin.amin(1, keepdim=True)
    keys = torch.empty(rest.shape, dtype=torch.int64, device=rest.device)
    keys[0] = ((origin - low).long() * stride[:, None]).sum(0)
    dropped = torch.empty_like(keys).scatter_(0, position, stride[:, None].expand_as(keys))
    for r in range(1, d + 1):
        keys[r] = keys[r - 1] + sum(strides) - (d + 1) * dropped[r - 1]
    steps = [(d + 1) * stride - sum(strides) for stride in [*strides, 0]]
    return keys.t().contiguous(), weights.t().contiguous(), steps


def _elevate(features: Tensor) -> Tensor:
    """Maps `[d, N]` to the hyperplane of zero sum `[d + 1, N]`, at the scale of unit variance."""
    d = len(features)
    elevated = features.new_empty(d + 1, features.shape[1])
    partial = torch.zeros_like(features[0])
    for i in range(d, 0, -1):
        scaled = features[i - 1] * (math.sqrt(2 / 3) * (d + 1) / math.sqrt(i * (i + 1)))
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
    """Numbers the distinct keys in ascending order.

    Returns:
        The M distinct keys; `starts` and `places` of `Lattice`; int32 vertex of each key.
    """
    ordered, places = keys.flatten().sort(stable=True)
    is_new = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=is_new[1:])
    starts = is_new.nonzero().flatten()
    vertex = is_new.cumsum(0, dtype=torch.int32).sub_(1)
    corners = torch.empty_like(vertex).scatter_(0, places, vertex)
    end = starts.new_tensor([len(ordered)])
    return ordered[starts], torch.cat([starts, end]), places, corners


def _axis_neighbours(vertex_keys: Tensor, step: int) -> Tensor:
    """Vertices before and after each on one axis `[2, M]`; its own index where there is none."""
    own = torch.arange(len(vertex_keys), device=vertex_keys.device)
    wanted = vertex_keys + step
    after = torch.searchsorted(vertex_keys, wanted).clamp_(max=len(own) - 1)
    exists = vertex_keys[after] == wanted
    after = torch.where(exists, after, own)
    before = own.clone()
    before[after[exists]] = own[exists]
    return torch.stack([before, after])


def _attenuation(size: int) -> float:
    """Scale of a lattice with `size` corners a simplex, by which splat, blur and slice conserve."""
    return 1 / (1 + 2.0 ** (1 - size))


def _symmetric_scale(lattice: Lattice) -> Tensor:
    """Diagonal of D: `(G 1)^(-1/2)` at every point `[N]`."""
    size = lattice.corners.shape[1]
    flat = lattice.corners.flatten()
    mass = torch.bincount(flat, lattice.weights.flatten(), lattice.num_vertices)
    own = torch.arange(len(mass), device=mass.device)
    for sides in lattice.neighbours:
        share = sum(mass[side] * (side != own) for side in sides)
        mass = mass + 0.5 * share
    total = (mass.float()[flat].view(-1, size) * lattice.weights).sum(1) * _attenuation(size)
    return (total + 1e-20).rsqrt()


def _blur_matrices(lattices: Sequence[Lattice]) -> list[Tensor]:
    """One block-diagonal matrix an axis; lattices with fewer axes are left alone by the last."""
    matrices = []
    for axis in range(max(len(lattice.neighbours) for lattice in lattices)):
        columns, values, first = [], [], 0
        for lattice in lattices:
            own = torch.arange(lattice.num_vertices, device=lattice.neighbours.device)
            sides = [own, own]
            if axis < len(lattice.neighbours):
                sides = list(lattice.neighbours[axis])
            columns.append(torch.stack([own, *sides], 1) + first)
            halves = [0.5 * (side != own) for side in sides]
            values.append(torch.stack([torch.ones(len(own), device=own.device), *halves], 1))
            first += len(own)
        matrices.append(_fixed_rows(torch.cat(columns), torch.cat(values), (first, first)))
    return matrices


def _fixed_rows(columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """Sparse matrix whose rows have the same number of entries, given as `[rows, entries]`."""
    rows, entries = columns.shape
    starts = torch.arange(0, rows * entries + 1, entries, device=columns.device)
    return _csr(starts, columns.flatten(), values.flatten(), shape)


def _csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            starts.to(torch.int32),
            columns.to(torch.int32),
            values.float(),
            shape,
            check_invariants=False,
        )
