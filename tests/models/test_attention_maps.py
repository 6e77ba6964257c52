"""Streamed sums over attention maps equal those of the whole stack."""

import pytest
import torch
from torch import Tensor

from oracles.attention_stack import softmax_maps, stack_fusion
from tests.largest_tensor import LargestTensor
from weaktr.models import attention_maps
from weaktr.models.attention_maps import (
    FusedAttention,
    TokenLayout,
    attention_marginals,
    fuse_attention,
)

B, L, H, P, d = 2, 3, 2, 5, 4
LAYOUTS = [TokenLayout(3, 3), TokenLayout(3, 5), TokenLayout(0, 0)]


def make(
    layout: TokenLayout, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    shape = (B, H, layout.prefix + P, d)
    queries, keys = (
        [2 * torch.randn(shape, generator=generator, dtype=dtype) for _ in range(L)]
        for _ in range(2)
    )
    return torch.rand(B, L, H, generator=generator, dtype=dtype), queries, keys


def stacked(
    weights: Tensor, queries: list[Tensor], keys: list[Tensor], layout: TokenLayout
) -> tuple[Tensor, Tensor]:
    maps = [softmax_maps(q, k) for q, k in zip(queries, keys, strict=True)]
    return stack_fusion(weights.mT.flatten(1), maps, *layout)


@pytest.fixture(params=[1, 25, 60, 1 << 20], ids="chunk={}".format, autouse=True)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """From one row at a time to everything at once."""
    monkeypatch.setitem(attention_maps.CHUNK_ELEMENTS, "cpu", request.param)
    return request.param


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fused_maps_equal_the_stack(layout: TokenLayout) -> None:
    weights, queries, keys = make(layout)
    for ours, oracle in zip(
        fuse_attention(weights, queries, keys, layout),
        stacked(weights, queries, keys, layout),
        strict=True,
    ):
        torch.testing.assert_close(ours, oracle)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weight_gradient(layout: TokenLayout, chunk: int) -> None:
    weights, queries, keys = make(layout)
    weights.requires_grad_()
    if chunk == 25:  # numerical differences take their time
        assert torch.autograd.gradcheck(lambda w: fuse_attention(w, queries, keys, layout), weights)
    gradients = []
    for fuse in (fuse_attention, stacked):
        cross, affinity = fuse(weights, queries, keys, layout)
        loss = (affinity @ affinity).sin().sum() + cross.square().sum()
        gradients.append(torch.autograd.grad(loss, weights)[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, d, 2 * d + 1])
def test_affinity_is_applied_without_its_map(layout: TokenLayout, channels: int) -> None:
    weights, queries, keys = make(layout)
    weights.requires_grad_()
    cam = torch.rand(B, channels, P, dtype=torch.float64, requires_grad=True)
    attention = FusedAttention(weights, queries, keys, layout)
    cross, affinity = stacked(weights, queries, keys, layout)
    torch.testing.assert_close(attention.class_rows(), cross)
    torch.testing.assert_close(attention.affinity(), affinity)
    ours, oracle = attention.propagate(cam), cam @ affinity.mT
    torch.testing.assert_close(ours, oracle)
    for one, other in zip(
        torch.autograd.grad(ours.sin().sum() + attention.class_rows().cos().sum(), (weights, cam)),
        torch.autograd.grad(oracle.sin().sum() + cross.cos().sum(), (weights, cam)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_small_cams_survive_sixteen_bits(dtype: torch.dtype) -> None:
    layout = LAYOUTS[1]
    weights, queries, keys = make(layout, torch.float32)
    queries, keys = ([x.to(dtype) for x in tensors] for tensors in (queries, keys))
    cam = torch.rand(B, 2, P) * torch.tensor([1e-9, 1.0])[:, None]
    exact = FusedAttention(
        weights.double(), [x.double() for x in queries], [x.double() for x in keys], layout
    ).propagate(cam.double())
    ours = FusedAttention(weights, queries, keys, layout).propagate(cam)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), exact, rtol=0.01, atol=0)


def test_memory_grows_with_the_patches_and_not_with_their_square() -> None:
    """No operation of inference puts out as many elements as the affinity has."""
    largest = {}
    for patches in (500, 1000):
        layout = TokenLayout(3, 3)
        generator = torch.Generator().manual_seed(0)
        queries, keys = (
            [torch.randn(1, 2, 3 + patches, 16, generator=generator) for _ in range(2)]
            for _ in range(2)
        )
        attention = FusedAttention(torch.rand(1, 2, 2), queries, keys, layout)
        with torch.inference_mode(), LargestTensor() as seen:
            attention.propagate(attention.class_rows())
        largest[patches] = seen.elements
        assert seen.elements <= 2 * (3 + patches) * 16
    assert largest[1000] < 2.01 * largest[500]


def test_queries_and_keys_get_no_gradient() -> None:
    weights, queries, keys = make(LAYOUTS[0])
    queries[0].requires_grad_()
    cross, affinity = fuse_attention(weights, queries, keys, LAYOUTS[0])
    assert not cross.requires_grad
    assert not affinity.requires_grad


@pytest.mark.parametrize("layout", LAYOUTS)
def test_marginals(layout: TokenLayout) -> None:
    _, queries, keys = make(layout)
    maps = softmax_maps(queries[0], keys[0])
    C, prefix = layout
    ours = attention_marginals(queries[0], keys[0], layout)
    assert ours.shape == (B, H, C + 1, P)
    torch.testing.assert_close(ours[:, :, :C], maps[:, :, :C, prefix:])
    torch.testing.assert_close(ours[:, :, C], maps[:, :, prefix:, prefix:].sum(dim=2))


def test_half_precision_accumulates_in_float32() -> None:
    layout = LAYOUTS[1]
    weights, queries, keys = make(layout, torch.float32)
    queries, keys = ([x.bfloat16() for x in tensors] for tensors in (queries, keys))
    exact_queries, exact_keys = ([x.double() for x in tensors] for tensors in (queries, keys))
    ours = fuse_attention(weights, queries, keys, layout)
    oracle = fuse_attention(weights.double(), exact_queries, exact_keys, layout)
    for x, y in zip(ours, oracle, strict=True):
        assert x.dtype == torch.float32
        torch.testing.assert_close(x.double(), y, rtol=0.02, atol=1e-3)
    assert attention_marginals(queries[0], keys[0], layout).dtype == torch.float32


def test_no_map_is_kept() -> None:
    """What the fused map keeps for its backward is queries, keys and weights."""
    layout = TokenLayout(3, 3)
    weights, queries, keys = make(layout)
    weights.requires_grad_()
    kept: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        fuse_attention(weights, queries, keys, layout)
    assert {x.data_ptr() for x in kept} == {x.data_ptr() for x in (weights, *queries, *keys)}
