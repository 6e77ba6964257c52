"""The published naming (hustvl/WeakTr) of tensors and backbones, and COCO's places in it."""

import re
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from weaktr.errors import UserError

Kind = Literal["cam", "segmenter"]
State = dict[str, Tensor]


class Rule(NamedTuple):
    """What becomes of tensors whose whole name matches a pattern."""

    pattern: str
    ours: str | None
    """Name in our model (`re` replacement syntax); `None`: the tensor is dropped."""
    reason: str


RULES: dict[Kind, tuple[Rule, ...]] = {
    "cam": (
        Rule(
            r"(cls_token|pos_embed|patch_embed\..+|blocks\..+)",
            r"backbone.\1",
            "the ViT is a module of its own",
        ),
        Rule(r"(head\.(?:weight|bias))", r"\1", "the conv head"),
        Rule(
            r"adaptive_attention_fusion\.attn_head_ffn\.(.+)",
            r"fusion.head_ffn.\1",
            "mixes the heads",
        ),
        Rule(
            r"adaptive_attention_fusion\.attn_feat_ffn\.(.+)",
            r"fusion.feature_ffn.\1",
            "reduces a head's features",
        ),
        Rule(r"norm\.(?:weight|bias)", None, "the CAM network never applies its final norm"),
    ),
    "segmenter": (
        Rule(r"encoder\.head\.(?:weight|bias)", None, "the classifier of the pretraining"),
        Rule(
            r"encoder\.(?:blocks\.\d+\.attn\.)?rope\.freqs_(?:cos|sin)",
            None,
            "tables of rotary positions, worked out anew for any grid",
        ),
        Rule(
            r"encoder\.(blocks\.\d+\.mlp)\.w12\.(weight|bias)",
            r"encoder.\1.fc1.\2",
            "SwiGLU: gate and value in one matrix",
        ),
        Rule(
            r"encoder\.(blocks\.\d+\.mlp)\.w3\.(weight|bias)",
            r"encoder.\1.fc2.\2",
            "SwiGLU: the output",
        ),
        Rule(
            r"(encoder\.(?:cls_token|pos_embed|patch_embed\..+|blocks\..+|norm\..+))",
            r"\1",
            "the ViT",
        ),
        Rule(r"decoder\.cls_emb", "decoder.class_embedding", "one embedding per label"),
        Rule(r"decoder\.proj_dec\.(.+)", r"decoder.input_projection.\1", "encoder to decoder"),
        Rule(r"decoder\.proj_patch", "decoder.patch_projection", "before the cosine"),
        Rule(r"decoder\.proj_classes", "decoder.class_projection", "before the cosine"),
        Rule(r"decoder\.decoder_norm\.(.+)", r"decoder.norm.\1", "after the blocks"),
        Rule(r"(decoder\.(?:blocks|mask_norm)\..+)", r"\1", "the mask transformer"),
    ),
}

PUBLISHED_BACKBONES = {
    "deit_small_WeakTr_patch16_224": "deit_small_patch16_224",
    "dinov2_small_patch16_224": "vit_small_patch14_dinov2",
    "eva02_small_patch16_224": "eva02_small_patch14_224",
    "eva02_tiny_patch16_224": "eva02_tiny_patch14_224",
}
"""Names of the published code that timm does not have, or has for something else."""

COCO_WIDTH = 90
COCO_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_CATEGORIES = tuple(i for i in range(1, COCO_WIDTH + 1) if i not in COCO_GAPS)
"""COCO's category ids in order; the released COCO weights have a place for all 90."""

_CLASS_AXES = {
    "backbone.cls_token": 1,
    "backbone.pos_embed": 1,
    "head.weight": 0,
    "head.bias": 0,
    "decoder.class_embedding": 1,
    "decoder.mask_norm.weight": 0,
    "decoder.mask_norm.bias": 0,
}
"""The tensors with a place for every class, and the axis."""


def convert_state(
    published: State, kind: Kind, place: str = "the checkpoint"
) -> tuple[State, dict[str, str], dict[str, str]]:
    """Renames tensors from the published naming to ours.

    Args:
        published: Tensors by published name, with or without a leading `module.`.
        kind: Which rules to use.
        place: Where the tensors are from, for the message.

    Returns:
        Tensors by our names; our name of each published one; the reason of each dropped one.

    Raises:
        UserError: If a tensor's name fits no rule.
    """
    state: State = {}
    renamed: dict[str, str] = {}
    dropped: dict[str, str] = {}
    unknown: list[str] = []
    for name, tensor in published.items():
        plain = name.removeprefix("module.")
        rule = next((r for r in RULES[kind] if re.fullmatch(r.pattern, plain)), None)
        if rule is None:
            unknown.append(name)
        elif rule.ours is None:
            dropped[name] = rule.reason
        else:
            renamed[name] = re.sub(rule.pattern, rule.ours, plain)
            state[renamed[name]] = tensor
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UserError(
            f"{place} is not a published {kind} checkpoint: no rule knows what to do with "
            f"{', '.join(unknown[:5])}{more}."
        )
    return state, renamed, dropped


def coco_classes_first(state: State, background: bool) -> State:
    """Moves the places of COCO's categories to the front, in order, and the unused ones behind.

    Args:
        state: Tensors by our names, with a place for each of COCO's 90 category ids.
        background: Whether a place for background comes before them.
    """
    used = [0, *COCO_CATEGORIES] if background else [i - 1 for i in COCO_CATEGORIES]
    width = COCO_WIDTH + background
    order = torch.tensor(used + [i for i in range(width) if i not in set(used)])
    moved = dict(state)
    for name, axis in _CLASS_AXES.items():
        if name not in state:
            continue
        places = order[: len(used)] if name.startswith("head.") else order  # a spare has no map
        rest = torch.arange(width, state[name].shape[axis])  # positions of patches
        moved[name] = state[name].index_select(axis, torch.cat((places, rest)))
    return moved
