"""A training step of the CAM network: against a plain ViT's, and against the published way's."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.cases import Case, Race
from benchmarks.measure import Step
from benchmarks.training_race import race_in_both_precisions
from oracles.attention_stack import stacked_forward
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.models.cam_network import CAMNetwork

CLASSES = 20
BACKBONE = "deit_small_patch16_224"
SETTINGS = {"cpu": ((224, 8), (448, 2)), "cuda": ((224, 64), (448, 16))}
"""Side and batch; what a step takes grows with the tokens, (side / 16)^2, and their square."""
PLAIN, PUBLISHED = "plain ViT", "published way, float32"


def cases(device: torch.device) -> Iterator[Case]:
    """One for each size; both precisions of ours race in it."""
    for side, batch in SETTINGS.get(device.type, SETTINGS["cpu"]):
        yield Case(
            family="CAM training step",
            name=f"DeiT-S {side}, batch {batch}",
            seconds=70 if side < 400 else 95,
            build=partial(_build, side, batch),
        )


def make_steps(side: int, batch: int, device: torch.device) -> Callable[[str, str], Step]:
    """Training steps of DeiT-S with random weights, by name and precision."""
    torch.manual_seed(0)
    x = torch.randn(batch, 3, side, side, device=device)
    y = (torch.rand(batch, CLASSES, device=device) < 0.1).float()
    plain = timm.create_model(BACKBONE, num_classes=CLASSES, img_size=side).to(device)
    params = CamParams(backbone=BackboneParams(name=BACKBONE, weights="none"), drop_path=0.0)
    network = CAMNetwork.from_params(params, CLASSES).to(device)
    forwards: dict[str, tuple[nn.Module, Callable[[Tensor], object]]] = {
        PLAIN: (plain, plain),
        "ours": (network, network),
        PUBLISHED: (network, partial(stacked_forward, network)),
    }

    def step(name: str, precision: str) -> Step:
        model, forward = forwards[name]
        return partial(_step, model, forward, x, y, precision)

    return step


def _step(
    model: nn.Module, forward: Callable[[Tensor], object], x: Tensor, y: Tensor, precision: str
) -> None:
    """Forward and backward; the optimiser's part is the same for all."""
    model.zero_grad(set_to_none=True)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output = forward(x)
    logits = output if isinstance(output, tuple) else (output,)
    losses = [F.multilabel_soft_margin_loss(logit.float(), y) for logit in logits]
    torch.stack(losses).sum().backward()


def _build(side: int, batch: int, device: torch.device, stack: ExitStack) -> Race:
    return race_in_both_precisions(
        make_steps(side, batch, device), PLAIN, PUBLISHED, f"{side}, batch {batch}"
    )
