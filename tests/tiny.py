"""The whole pipeline at the smallest scale: a few generated images and a two-layer ViT."""

import copy
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from stages.common.runner import stage_named
from stages.common.stage import Context
from weaktr.config.load import parse_params
from weaktr.files import digest_value

BACKBONE = {
    "name": "vit_tiny_patch16_224",
    "weights": "none",
    "patch_size": 8,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 2,
}
PARAMS: dict[str, Any] = {
    "dataset": {
        "kind": "shapes",
        "root": "data/raw/shapes",
        "shapes": {"train_images": 24, "val_images": 6, "image_side": 48},
    },
    "seed": 0,
    "cam": {
        "backbone": BACKBONE,
        "input_size": 48,
        "reduction": 2,
        "feat_reduction": 2,
        "epochs": 2,
        "warmup_epochs": 0,
        "batch_size": 8,
        "lr": 0.02,
    },
    "labels": {"scales": [1.0], "background_score": 0.4, "crf": {"iterations": 2}},
    "decoder": {
        "labels_from": "data/pseudo-labels",
        "corrected": "none",
        "backbone": BACKBONE,
        "crop_size": 48,
        "region": 12,
        "layers": 1,
        "epochs": 1,
        "batch_size": 8,
        "lr": 0.01,
        "augment": {"short_side": 48},
    },
    "evaluation": {"window": 48, "stride": 32},
    "runtime": {"device": "cpu", "threads": 1},
}
CHAIN = ("prepare", "train_cam", "export_labels", "train_decoder", "evaluate", "report")


def tiny_params(**changes: Any) -> dict[str, Any]:
    """The params with changes by dotted name, given with `__` for the dots."""
    params = copy.deepcopy(PARAMS)
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = params
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return params


def write_params(folder: Path, params: dict[str, Any]) -> None:
    """Writes params.yaml and the folders that a clone has."""
    (folder / "data/raw/shapes").mkdir(parents=True, exist_ok=True)
    (folder / "data/pretrained").mkdir(parents=True, exist_ok=True)
    (folder / "data/corrected/none").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def run_stages(params: dict[str, Any], stages: Iterable[str] = CHAIN, device: str = "cpu") -> None:
    """Runs stages in this process, in the working directory, untracked, as if DVC recorded each."""
    for name in stages:
        context = Context(
            params=parse_params(params),
            device=device,
            reports=Path("reports") / name,
            fingerprint=digest_value(params),
        )
        stage_named(name).run(context)
        shutil.rmtree(context.checkpoints, ignore_errors=True)


def contents(*places: str) -> dict[str, bytes]:
    """Bytes of every file under the places, by path."""
    files: dict[str, bytes] = {}
    for place in map(Path, places):
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file():
                files[path.as_posix()] = path.read_bytes()
    return files
