"""Attention fusion alone, forward and backward: streamed, against the stack of all maps."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Flops
from benchmarks.measure import Step
from oracles.attention_stack import softmax_maps, stack_fusion
from weaktr.models.attention_maps import TokenLayout, attention_marginals, fuse_attention

LAYERS, HEADS, HEAD_DIM, CLASSES = 12, 6, 64, 20
TOKENS, BATCH = 1000, 1
"""Class and patch tokens together; images."""
STACK = "stack of all maps"


def cases(device: torch.device) -> Iterator[Case]:
    """What training needs (`attention_marginals`), and the full maps of label export.

    These (`fuse_attention`) need no gradient; with it they are raced too.
    """
    for name in ("training", "full maps, no gradient", "full maps, with gradient"):
        yield Case(
            family="attention fusion",
            name=name,
            seconds=12,
            build=partial(_build, name),
        )


def _build(name: str, device: torch.device, stack: ExitStack) -> Race:
    """From queries, keys and head weights to the fused maps, or to the gradient of fine logits."""
    ours, reference = _versions(device)[name]
    scores = 2 * BATCH * TOKENS**2 * LAYERS * HEADS * HEAD_DIM  # queries times keys
    setting = f"{name}, {TOKENS} tokens, batch {BATCH}"
    return Race(
        steps={"ours": ours, STACK: reference},
        lines=[Line(setting=setting, against=STACK, limit=Flops(scores))],
    )


def _versions(device: torch.device) -> dict[str, tuple[Step, Step]]:
    """Ours and the reference, by name."""
    torch.manual_seed(0)
    shape = (BATCH, HEADS, TOKENS, HEAD_DIM)
    queries = [torch.randn(shape, device=device) for _ in range(LAYERS)]
    keys = [torch.randn(shape, device=device) for _ in range(LAYERS)]
    weights = torch.rand(BATCH, LAYERS, HEADS, device=device, requires_grad=True)
    coarse = torch.rand(BATCH, CLASSES, TOKENS - CLASSES, device=device)
    layout = TokenLayout(CLASSES, CLASSES)

    def stack() -> tuple[Tensor, Tensor]:
        maps = [softmax_maps(q, k) for q, k in zip(queries, keys, strict=True)]
        return stack_fusion(weights.mT.flatten(1), maps, *layout)

    def stream() -> tuple[Tensor, Tensor]:
        return fuse_attention(weights, queries, keys, layout)

    def step(fuse: Callable[[], tuple[Tensor, Tensor]]) -> None:
        cross, affinity = fuse()
        fine = affinity @ (cross * coarse).mT
        fine.mean(dim=1).square().sum().backward()
        weights.grad = None

    def marginal_step() -> None:
        rows = [attention_marginals(q, k, layout) for q, k in zip(queries, keys, strict=True)]
        fused = torch.einsum("blh,blhcp->bcp", weights, torch.stack(rows, dim=1))
        fine = (fused[:, -1:] * fused[:, :-1] * coarse).mean(dim=2)
        fine.square().sum().backward()
        weights.grad = None

    return {
        "training": (marginal_step, partial(step, stack)),
        "full maps, no gradient": (torch.no_grad()(stream), torch.no_grad()(stack)),
        "full maps, with gradient": (partial(step, stream), partial(step, stack)),
    }
