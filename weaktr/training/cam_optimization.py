"""Optimiser and learning rate of the CAM network (paper: section IV-A)."""

import torch
from torch import nn

from weaktr.config.cam import CamParams
from weaktr.training.schedules import CosineSchedule


def cam_optimizer(model: nn.Module, params: CamParams) -> torch.optim.Optimizer:
    """AdamW over every parameter: as published, biases and norms decay like the rest.

    Args:
        model: The CAM network; the blocks and patch embedding of its backbone form the first
            group, whose rate is `backbone_lr_scale` times that of class tokens and head, and the
            fusion the second, with `fusion_lr_scale`, a decay and an epsilon of its own.
        params: The `cam` section.
    """
    blocks: list[nn.Parameter] = []
    fusion: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if name.startswith(("backbone.blocks.", "backbone.patch_embed.")):
            blocks.append(parameter)
        elif name.startswith("fusion."):
            fusion.append(parameter)
        else:
            others.append(parameter)
    decay = params.fusion_weight_decay
    groups = [
        {"params": blocks, "lr_scale": params.backbone_lr_scale},
        {
            "params": fusion,
            "lr_scale": params.fusion_lr_scale,
            "weight_decay": params.weight_decay if decay is None else decay,
            "eps": params.fusion_eps,
        },
        {"params": others, "lr_scale": 1.0},
    ]
    return torch.optim.AdamW(groups, lr=params.lr, weight_decay=params.weight_decay, fused=True)


def cam_schedule(params: CamParams, steps_per_epoch: int) -> CosineSchedule:
    """The CAM network's schedule; its rate is for 512 images per step and scales with the batch.

    The lowest rates do not scale, but never lie above the peak, as they would for a small batch.
    """
    base_lr = params.lr * params.batch_size * params.accumulate / 512
    return CosineSchedule(
        base_lr=base_lr,
        epochs=params.epochs,
        steps_per_epoch=steps_per_epoch,
        min_lr=min(params.min_lr, base_lr),
        warmup_epochs=params.warmup_epochs,
        warmup_lr=min(params.warmup_lr, base_lr),
        published=params.schedule == "cosine_published",
    )
