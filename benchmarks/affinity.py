"""CAMs propagated by the fused affinity, as label export does it: growth with the tokens."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Flops
from oracles.attention_stack import explicit_affinity
from weaktr.models.attention_maps import FusedAttention, TokenLayout

LAYERS, HEADS, HEAD_DIM, CLASSES = 12, 6, 64, 20
SETTINGS = ((1000, 12.0), (4500, 90.0))
"""Tokens, and seconds for them."""
EXPLICIT = "whole maps, layer by layer"


def cases(device: torch.device) -> Iterator[Case]:
    """One for each number of tokens."""
    for tokens, seconds in SETTINGS:
        yield Case(
            family="affinity times CAMs",
            name=f"{tokens} tokens",
            seconds=seconds,
            build=partial(_build, tokens),
        )


def _build(tokens: int, device: torch.device, stack: ExitStack) -> Race:
    torch.manual_seed(0)
    shape = (1, HEADS, tokens, HEAD_DIM)
    queries = [torch.randn(shape, device=device) for _ in range(LAYERS)]
    keys = [torch.randn(shape, device=device) for _ in range(LAYERS)]
    weights = torch.rand(1, LAYERS, HEADS, device=device)
    cam = torch.rand(1, CLASSES, tokens - CLASSES, device=device)
    layout = TokenLayout(CLASSES, CLASSES)

    @torch.inference_mode()
    def ours() -> Tensor:
        return FusedAttention(weights, queries, keys, layout).propagate(cam)

    @torch.inference_mode()
    def explicit() -> Tensor:
        return cam @ explicit_affinity(weights, queries, keys, layout.prefix).mT

    scores = 2 * tokens**2 * LAYERS * HEADS * HEAD_DIM  # queries times keys
    setting = f"{tokens} tokens, {LAYERS} layers of {HEADS} heads"
    return Race(
        steps={"ours": ours, EXPLICIT: explicit},
        lines=[Line(setting=setting, against=EXPLICIT, limit=Flops(scores))],
    )
