"""A training step of the segmenter: against a plain one, and against explicit attention."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.cases import Case, Race
from benchmarks.measure import Step
from benchmarks.training_race import race_in_both_precisions
from oracles.plain_segmenter import explicit_attention, plain_logits
from weaktr.config.backbone import BackboneParams
from weaktr.config.decoder import DecoderParams
from weaktr.labels import VOID
from weaktr.models.segmenter import Segmenter
from weaktr.training.clipped_cross_entropy import ClippedCrossEntropy

CLASSES = 20
CROP = 480
BATCH = {"cpu": 4, "cuda": 32}
PLAIN, EXPLICIT = "plain SDPA segmenter", "explicit attention, float32"


def cases(device: torch.device) -> Iterator[Case]:
    """One; both precisions of ours race in it."""
    batch = BATCH.get(device.type, BATCH["cpu"])
    yield Case(
        family="decoder training step",
        name=f"DeiT-S {CROP}, batch {batch}",
        seconds=100,
        build=partial(_build, batch),
    )


def build_segmenter(device: torch.device) -> Segmenter:
    """DeiT-S with random weights and no drop path."""
    torch.manual_seed(0)
    backbone = BackboneParams(name="deit_small_patch16_224", weights="none")
    params = DecoderParams(backbone=backbone, crop_size=CROP, drop_path=0.0)
    return Segmenter.from_params(params, CLASSES).to(device)


def make_steps(batch: int, device: torch.device) -> Callable[[str, str], Step]:
    """Training steps by name and precision; ours has the clipped loss, the others a plain one."""
    segmenter = build_segmenter(device)
    x = torch.randn(batch, 3, CROP, CROP, device=device)
    y = torch.randint(0, CLASSES + 1, (batch, CROP, CROP), device=device)
    plain = partial(F.cross_entropy, ignore_index=VOID)
    forwards: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
        PLAIN: (partial(plain_logits, segmenter), plain),
        "ours": (segmenter, ClippedCrossEntropy()),
        EXPLICIT: (partial(_explicit, segmenter), plain),
    }

    def step(name: str, precision: str) -> Step:
        forward, loss = forwards[name]
        return partial(_step, segmenter, forward, loss, x, y, precision)

    return step


def _explicit(segmenter: Segmenter, x: Tensor) -> Tensor:
    with explicit_attention(segmenter):
        return plain_logits(segmenter, x)


def _step(
    segmenter: Segmenter,
    forward: Callable[[Tensor], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    precision: str,
) -> None:
    segmenter.zero_grad(set_to_none=True)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        logits = forward(x)
    loss(logits, y).backward()


def _build(batch: int, device: torch.device, stack: ExitStack) -> Race:
    return race_in_both_precisions(
        make_steps(batch, device), PLAIN, EXPLICIT, f"crop {CROP}, batch {batch}"
    )
