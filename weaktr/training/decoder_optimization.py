"""Optimiser and learning rate of the segmenter (paper: section IV-A)."""

import torch
from torch import nn

from weaktr.config.decoder import DecoderParams
from weaktr.training.schedules import PolynomialSchedule


def decoder_optimizer(model: nn.Module, params: DecoderParams) -> torch.optim.Optimizer:
    """SGD or AdamW, with a lower rate for the pretrained encoder (`lr_scale` of its group).

    As published, SGD's momentum is Nesterov's.

    Args:
        model: The segmenter; parameters under `encoder.` form the first group.
        params: The `decoder` section.
    """
    encoder = [p for name, p in model.named_parameters() if name.startswith("encoder.")]
    others = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    groups = [
        {"params": encoder, "lr_scale": params.encoder_lr_scale},
        {"params": others, "lr_scale": 1.0},
    ]
    if params.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=params.lr, weight_decay=params.weight_decay, fused=True)
    optimizer = torch.optim.SGD(
        groups,
        lr=params.lr,
        momentum=params.momentum,
        nesterov=params.momentum > 0,
        weight_decay=params.weight_decay,
        fused=True,
    )
    if params.momentum:
        # Left to itself, fused SGD takes memory as it finds it for momentum, to fill it in its very
        # first step; where gradients of float16 overflow in that step, it is never filled.
        for parameter in (*encoder, *others):
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def decoder_schedule(params: DecoderParams, steps_per_epoch: int) -> PolynomialSchedule:
    """The decoder's schedule over all its epochs, of which the warm-up takes half at most."""
    total_steps = params.epochs * steps_per_epoch
    return PolynomialSchedule(
        base_lr=params.lr,
        total_steps=total_steps,
        power=params.power,
        min_lr=params.min_lr,
        warmup_steps=min(params.warmup_iterations, total_steps // 2),
        published=params.schedule == "poly_published",
    )
