"""The lattice filter against one that goes point by point."""

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles import lattice as oracle
from weaktr.crf.lattice import KernelSum, _sort, build_lattice
from weaktr.crf.sparse import SparseMatrix
from weaktr.errors import UserError


def points(d: int, count: int, spread: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(d, count, generator=generator) * spread


def filtered(kernels: KernelSum, values: Tensor) -> Tensor:
    return kernels.add_to(torch.zeros_like(values), values)


def oracle_sum(features: list[np.ndarray], weights: list[float], values: np.ndarray) -> np.ndarray:
    total = np.zeros_like(values)
    for feature, weight in zip(features, weights, strict=True):
        scale = oracle.filter_values(feature, np.ones((len(values), 1))) ** -0.5
        total += weight * scale * oracle.filter_values(feature, scale * values)
    return total


@pytest.mark.parametrize("channels", [1, 3, 16, 21])
def test_a_product_is_that_of_the_dense_matrix(channels: int) -> None:
    matrix = torch.zeros(4, 6)
    matrix[0, [1, 4]], matrix[1, 5], matrix[3, :] = torch.tensor([0.5, -2.0]), 3.0, 0.1
    rows, columns = matrix.nonzero().int().T
    starts = torch.tensor([0, 2, 3, 3, 9], dtype=torch.int32)  # the third row is empty
    values = points(6, channels, 1.0)
    product = SparseMatrix(starts, columns.contiguous(), matrix[matrix != 0]) @ values
    torch.testing.assert_close(product, matrix @ values)
    assert len(rows) == starts[-1]


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("spread", [0.05, 0.3, 2.0, 30.0])
def test_one_kernel_equals_the_oracle(d: int, spread: float) -> None:
    features, values = points(d, 150, spread), points(150, 3, 1.0, seed=1)
    result = filtered(KernelSum([build_lattice(features)], [1.0]), values)
    expected = oracle_sum([features.double().numpy()], [1.0], values.double().numpy())
    np.testing.assert_allclose(result.numpy(), expected, atol=2e-5 * abs(expected).max())


def test_sum_of_kernels_of_different_dimensions() -> None:
    features = [points(2, 120, 1.0), points(5, 120, 2.0, seed=2), points(3, 120, 1.5, seed=3)]
    values, weights = points(120, 4, 1.0, seed=1), [3.0, 0.5, 10.0]
    kernels = KernelSum([build_lattice(f) for f in features], weights)
    expected = oracle_sum([f.double().numpy() for f in features], weights, values.double().numpy())
    np.testing.assert_allclose(
        filtered(kernels, values).numpy(), expected, atol=2e-5 * abs(expected).max()
    )
    base = points(120, 4, 1.0, seed=5)
    torch.testing.assert_close(kernels.add_to(base, values), base + filtered(kernels, values))


@pytest.mark.parametrize("d", [2, 5])
def test_simplices_of_random_points(d: int) -> None:
    features = points(d, 400, 3.0)
    lattice = build_lattice(features)
    assert lattice.weights.min() >= -1e-6
    torch.testing.assert_close(lattice.weights.sum(0), torch.ones(400))
    expected = [oracle.simplex(f.double().numpy()) for f in features.T]
    keys = sorted({key for corners in expected for key, _ in corners})
    assert lattice.num_vertices == len(keys)
    for n, corners in enumerate(expected):
        weights = [weight for _, weight in corners]
        np.testing.assert_allclose(lattice.weights[:, n], weights, atol=2e-5)


def test_links_between_vertices_are_mutual() -> None:
    lattice = build_lattice(points(3, 500, 1.0))
    own = torch.arange(lattice.num_vertices)
    linked = 0
    for before, after in lattice.neighbours.long():
        has_next = after != own
        assert torch.equal(before[after[has_next]], own[has_next])
        assert torch.equal(has_next.sum(), (before != own).sum())
        linked += int(has_next.sum())
    assert linked > lattice.num_vertices


def test_places_list_every_corner_by_its_vertex() -> None:
    lattice = build_lattice(points(2, 300, 2.0))
    corners = lattice.corners.flatten()
    for v in range(lattice.num_vertices):
        places = lattice.places[lattice.starts[v] : lattice.starts[v + 1]]
        assert torch.equal(places.long(), (corners == v).nonzero().flatten())


def test_equal_points_get_equal_values() -> None:
    features = points(3, 50, 1.0).repeat(1, 2)
    result = filtered(KernelSum([build_lattice(features)], [1.0]), points(100, 2, 1.0))
    torch.testing.assert_close(result[:50], result[50:])


@pytest.mark.parametrize("count", [1, 2])
def test_few_points(count: int) -> None:
    lattice = build_lattice(torch.zeros(5, count))
    result = filtered(KernelSum([lattice], [1.0]), torch.ones(count, 1))
    torch.testing.assert_close(result, torch.ones(count, 1))


@pytest.mark.parametrize("shift", [0, 2**50, 2**61])
def test_sort_is_stable_whether_or_not_keys_leave_room_for_positions(shift: int) -> None:
    keys = torch.randint(0, 50, (4000,), generator=torch.Generator().manual_seed(0)) + shift
    ordered, places = _sort(keys)
    expected = keys.sort(stable=True)
    assert torch.equal(ordered, expected.values)
    assert torch.equal(places, expected.indices)


def test_features_too_far_apart_are_one_sentence() -> None:
    with pytest.raises(UserError, match="too narrow"):
        build_lattice(points(5, 10, 1e6))
