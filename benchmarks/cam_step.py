"""A training step of the CAM network: against a plain ViT's, and against the published way's."""

from collections.abc import Callable
from functools import partial

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measure import Row, Step, median_seconds, peak_mib
from oracles.attention_stack import stacked_forward
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.models.cam_network import CAMNetwork

CLASSES = 20
SETTINGS = {"cpu": ((224, 8), (448, 2)), "cuda": ((224, 64), (448, 16))}


def _step(
    model: nn.Module, forward: Callable[[Tensor], object], x: Tensor, y: Tensor, precision: str
) -> None:
    """Forward and backward; the optimiser's part is the same for all."""
    model.zero_grad(set_to_none=True)
    bfloat16 = precision == "bfloat16"
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
        output = forward(x)
    logits = output if isinstance(output, tuple) else (output,)
    losses = [F.multilabel_soft_margin_loss(logit.float(), y) for logit in logits]
    torch.stack(losses).sum().backward()


def make_steps(side: int, batch: int, device: torch.device) -> Callable[[str, str], Step]:
    """Training steps of DeiT-S with random weights, by name and precision."""
    torch.manual_seed(0)
    x = torch.randn(batch, 3, side, side, device=device)
    y = (torch.rand(batch, CLASSES, device=device) < 0.1).float()
    name = "deit_small_patch16_224"
    plain = timm.create_model(name, num_classes=CLASSES, img_size=side).to(device)
    params = CamParams(backbone=BackboneParams(name=name, weights="none"), drop_path=0.0)
    network = CAMNetwork.from_params(params, CLASSES).to(device)
    forwards: dict[str, tuple[nn.Module, Callable[[Tensor], object]]] = {
        "plain ViT": (plain, plain),
        "CAM network": (network, network),
        "published way": (network, partial(stacked_forward, network)),
    }

    def step(name: str, precision: str) -> Step:
        model, forward = forwards[name]
        return partial(_step, model, forward, x, y, precision)

    return step


def run(device: torch.device, repeats: int) -> list[Row]:
    """Measures every setting in float32 and under bfloat16 autocast.

    Peak memory is what the step allocates beyond a plain ViT's step, of which the fusion's part
    is the difference.

    Args:
        device: Where to run; sizes are those of `SETTINGS` for its kind.
        repeats: Of every step.

    Returns:
        For each size and precision a row against the plain ViT and one against the published way
        (always in float32, as it was published).
    """
    rows = []
    for side, batch in SETTINGS.get(device.type, SETTINGS["cpu"]):
        steps = make_steps(side, batch, device)
        for precision in ("float32", "bfloat16"):
            chosen = {
                "plain ViT": steps("plain ViT", precision),
                "CAM network": steps("CAM network", precision),
                "published way": steps("published way", "float32"),
            }
            seconds = median_seconds(chosen, device=device, repeats=repeats)
            peaks = {key: peak_mib(step, device) for key, step in chosen.items()}
            extra = peaks["CAM network"] - peaks["plain ViT"]
            published = peak_mib(steps("published way", precision), device) - peaks["plain ViT"]
            for reference in ("plain ViT", "published way"):
                rows.append(
                    Row(
                        step="CAM training step",
                        setting=f"DeiT-S {side}, batch {batch}, {precision}",
                        seconds=seconds["CAM network"],
                        reference=reference + ", float32" * (reference == "published way"),
                        reference_seconds=seconds[reference],
                        peak_mib=peaks["CAM network"],
                        reference_peak_mib=peaks[reference],
                        note=f"beyond a plain ViT: {extra:.0f} MiB, published way {published:.0f}",
                    )
                )
    return rows
