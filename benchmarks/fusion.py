"""Attention fusion alone, forward and backward: streamed, against the stack of all maps."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.measure import Row, median_seconds, peak_mib
from tests.oracles.attention_stack import softmax_maps, stack_fusion
from weaktr.models.attention_maps import Layout, attention_marginals, fuse_attention

LAYERS, HEADS, HEAD_DIM, CLASSES = 12, 6, 64, 20


def run(
    device: str | torch.device = "cpu",
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
    tokens: int = 1000,
    batch: int = 1,
) -> list[Row]:
    """From queries, keys and head weights to the fused CAM's fine logits and the weights' gradient.

    Args:
        device: Where to run.
        repeats: Of every version.
        clock: As for `median_seconds`.
        tokens: Class and patch tokens together.
        batch: Images.

    Returns:
        A row for the full maps (`fuse_attention`) and one for what training needs
        (`attention_marginals`).
    """
    device = torch.device(device)
    torch.manual_seed(0)
    shape = (batch, HEADS, tokens, HEAD_DIM)
    queries = [torch.randn(shape, device=device) for _ in range(LAYERS)]
    keys = [torch.randn(shape, device=device) for _ in range(LAYERS)]
    weights = torch.rand(batch, LAYERS, HEADS, device=device, requires_grad=True)
    coarse = torch.rand(batch, CLASSES, tokens - CLASSES, device=device)
    layout = Layout(CLASSES, CLASSES)

    def train(cross: Tensor, affinity: Tensor) -> None:
        fine = affinity @ (cross * coarse).mT
        fine.mean(dim=1).square().sum().backward()
        weights.grad = None

    def stacked() -> None:
        maps = [softmax_maps(q, k) for q, k in zip(queries, keys, strict=True)]
        train(*stack_fusion(weights.mT.flatten(1), maps, *layout))

    def streamed() -> None:
        train(*fuse_attention(weights, queries, keys, layout))

    def marginal() -> None:
        rows = [attention_marginals(q, k, layout) for q, k in zip(queries, keys, strict=True)]
        fused = torch.einsum("blh,blhcp->bcp", weights, torch.stack(rows, dim=1))
        fine = (fused[:, -1:] * fused[:, :-1] * coarse).mean(dim=2)
        fine.square().sum().backward()
        weights.grad = None

    versions = {"stack": stacked, "maps": streamed, "marginals": marginal}
    seconds = median_seconds(versions, device=device, repeats=repeats, clock=clock)
    peaks = {key: peak_mib(version, device) for key, version in versions.items()}
    setting = f"{LAYERS} layers, {HEADS} heads, {tokens} tokens, batch {batch}, float32"
    steps = {"maps": "attention fusion, full maps", "marginals": "attention fusion, training"}
    return [
        Row(
            step=step,
            setting=setting,
            seconds=seconds[key],
            reference="stack of all maps",
            reference_seconds=seconds["stack"],
            peak_mib=peaks[key],
            reference_peak_mib=peaks["stack"],
        )
        for key, step in steps.items()
    ]


if __name__ == "__main__":
    for row in run("cuda" if torch.cuda.is_available() else "cpu"):
        print(row, f"{row.speedup:.2f}x")
