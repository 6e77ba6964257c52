"""The names of all recipes, and their values."""

from typing import Any

import yaml

from weaktr.experiments.recipes import compose_params

ENCODERS = {
    "deit-s": "deit_small_patch16_224.fb_in1k",
    "dinov2-s": "vit_small_patch14_dinov2.lvd142m",
    "vit-s": "vit_small_patch16_384.augreg_in21k_ft_in1k",
    "eva02-s": "eva02_small_patch14_224.mim_in22k",
}
MIOU = {
    "voc12": {"deit-s": 74.0, "dinov2-s": 75.8, "vit-s": 78.4, "eva02-s": 78.5},
    "coco14": {"deit-s": 46.9, "dinov2-s": 48.9, "vit-s": 50.3, "eva02-s": 51.1},
}
PUBLISHED = [f"{data}-{encoder}" for data in MIOU for encoder in ENCODERS]
OVERLAYS = [
    "ablation-cross-entropy",
    "ablation-mean-fusion",
    "cam-dinov2-b-448",
    "cam-dinov3-s-448",
    "lift-fusion",
    "select-with-masks",
    "supervised",
    "two-rounds",
]


def composed(*names: str) -> dict[str, Any]:
    """The params that recipes make of those in the working directory."""
    return yaml.safe_load(compose_params(names))
