"""Attention fusion alone, forward and backward: streamed, against the stack of all maps."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import Row, Step, median_seconds, peak_mib
from oracles.attention_stack import softmax_maps, stack_fusion
from weaktr.models.attention_maps import TokenLayout, attention_marginals, fuse_attention

LAYERS, HEADS, HEAD_DIM, CLASSES = 12, 6, 64, 20
TOKENS, BATCH = 1000, 1
"""Class and patch tokens together; images."""


def run(device: torch.device, repeats: int) -> list[Row]:
    """From queries, keys and head weights to the fused maps, or to the gradient of fine logits.

    Args:
        device: Where to run.
        repeats: Of every version.

    Returns:
        A row for what training needs (`attention_marginals`), one for the full maps of label export
        (`fuse_attention`), which need no gradient, and one for these with it.
    """
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

    versions: dict[str, tuple[Step, Step]] = {
        "training": (marginal_step, partial(step, stack)),
        "full maps, no gradient": (torch.no_grad()(stream), torch.no_grad()(stack)),
        "full maps, with gradient": (partial(step, stream), partial(step, stack)),
    }
    rows = []
    for name, (ours, reference) in versions.items():
        steps = {"ours": ours, "stack": reference}
        seconds = median_seconds(steps, device=device, repeats=repeats)
        rows.append(
            Row(
                step=f"attention fusion, {name}",
                setting=f"{LAYERS} layers, {HEADS} heads, {TOKENS} tokens, batch {BATCH}, float32",
                seconds=seconds["ours"],
                reference="stack of all maps",
                reference_seconds=seconds["stack"],
                peak_mib=peak_mib(ours, device),
                reference_peak_mib=peak_mib(reference, device),
            )
        )
    return rows
