"""Exports pseudo-labels for the training split from the CAM network."""

import os

import torch

from stages.context import Context
from stages.inputs import split_of
from stages.paths import CAM_MODEL, CAMS, PREPARED, PSEUDO_LABELS
from weaktr.data.manifest import Manifest, load_masks
from weaktr.files import replace_dir, write_json
from weaktr.label_export import export_labels
from weaktr.models.store import load_model


def run(context: Context) -> None:
    """Reads the CAM model and images, writes CAMs, label maps and, given masks, seed metrics."""
    params = context.params.labels
    manifest = Manifest.load(PREPARED)
    training = split_of(manifest, "train")
    model = load_model(CAM_MODEL, torch.device(context.device), kind="cam").model
    with replace_dir(CAMS) as cam_folder, replace_dir(PSEUDO_LABELS) as label_folder:
        result = export_labels(
            model,
            training,
            load_masks(PREPARED),
            params,
            cam_folder=cam_folder,
            label_folder=label_folder,
            threads=context.params.runtime.threads or os.cpu_count() or 1,
        )
    metrics = {
        "background_score": result.background_score,
        "background_score_chosen_with_masks": params.background_score == "sweep",
        "images": result.images,
        "images_with_masks": result.measured,
        "miou": result.miou,
        "optimum_by_masks": result.optimum,
    }
    context.log({f"miou_{name}": value for name, value in result.miou.items()}, 0)
    write_json(context.reports / "metrics.json", metrics)
