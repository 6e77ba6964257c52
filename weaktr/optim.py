"""The optimisers of the two trainers (paper: section IV-A)."""

import torch
from torch import nn

from weaktr.config import CamParams, DecoderParams


def cam_optimizer(model: nn.Module, params: CamParams) -> torch.optim.Optimizer:
    """AdamW over every parameter: as published, biases and norms decay like the rest.

    Args:
        model: The CAM network; the blocks and patch embedding of its backbone form the first
            group, whose rate is `backbone_lr_scale` times that of class tokens, head and fusion.
        params: The `cam` section.
    """
    pretrained = ("backbone.blocks.", "backbone.patch_embed.")
    blocks = [p for name, p in model.named_parameters() if name.startswith(pretrained)]
    others = [p for name, p in model.named_parameters() if not name.startswith(pretrained)]
    groups = [
        {"params": blocks, "lr_scale": params.backbone_lr_scale},
        {"params": others, "lr_scale": 1.0},
    ]
    return torch.optim.AdamW(groups, lr=params.lr, weight_decay=params.weight_decay, fused=True)


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
    return torch.optim.SGD(
        groups,
        lr=params.lr,
        momentum=params.momentum,
        nesterov=params.momentum > 0,
        weight_decay=params.weight_decay,
        fused=True,
    )
