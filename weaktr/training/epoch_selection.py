"""Scores of a CAM network while it trains: by tags, or, where params ask for it, by masks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from weaktr.config.cam import CamParams
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, load_masks
from weaktr.data.masks import read_label_map
from weaktr.distributed import gather_shares, share
from weaktr.errors import UserError
from weaktr.metrics.tag_ap import TagScores, tag_scores
from weaktr.models.cam_kinds import FINE
from weaktr.models.cam_network import CAMNetwork
from weaktr.progress import track
from weaktr.pseudo_labels.background_sweep import BackgroundSweep
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams
from weaktr.training.cam_transform import to_tensor

BATCH = 32


@torch.inference_mode()
def scores_of_tags(model: CAMNetwork, manifest: Manifest, input_size: int) -> TagScores:
    """Average precision of the class-token logits, and tags found against tags given.

    Args:
        model: In evaluation mode.
        manifest: Images with tags.
        input_size: Side in pixels of the square that each image is resized to.
    """
    device = next(model.parameters()).device
    logits = []
    records = manifest.records
    for start in track(share(range(0, len(records), BATCH)), "tag scores"):
        batch = [
            to_tensor(
                read_image(record.image).resize((input_size,) * 2, Image.Resampling.BICUBIC),
                model.mean,
                model.std,
            )
            for record in records[start : start + BATCH]
        ]
        logits.append(model(torch.stack(batch).to(device)).class_token.float().cpu())
    targets = torch.from_numpy(manifest.targets())
    return tag_scores(torch.cat(gather_shares(logits)).sigmoid(), targets)


@torch.inference_mode()
def seed_miou(model: CAMNetwork, manifest: Manifest, masks: dict[str, str]) -> float:
    """Best mIoU over background scores of single-scale fine CAMs against masks, in percent."""
    column = {name: c for c, name in enumerate(manifest.classes)}
    sweep = BackgroundSweep(len(manifest.classes))
    for record in track(share(manifest.records), "seed mIoU"):
        if record.id not in masks:
            continue
        image = np.array(read_image(record.image))
        present = [column[tag] for tag in record.tags]
        cams = multi_scale_cams(model, [image], [present], flip=False, kinds=(FINE,))[0][0]
        size = (image.shape[1], image.shape[0])
        mask = read_label_map(masks[record.id], len(manifest.classes) + 1, size, record.image)
        truth = torch.from_numpy(mask)
        sweep.update(cams.full().cpu(), cams.classes, truth)
    sweep.all_reduce()
    return sweep.best().miou


def selection_score(
    params: CamParams, manifest: Manifest, prepared: Path
) -> Callable[[nn.Module], float] | None:
    """What `cam.select` maximises over epochs; `None` for the last epoch.

    Args:
        params: The `cam` section.
        manifest: All splits.
        prepared: Folder that holds the list of masks; opened for `seed_miou` only.

    Raises:
        UserError: If the split or the masks that it needs are not there.
    """
    if params.select == "last":
        return None
    if params.select == "map":
        validation = manifest.of_split("val")
        if not any(record.tags for record in validation.records):
            raise UserError(
                "cam.select: 'map' needs tagged images in the val split and there are none; "
                "use 'last' or add some."
            )
        return lambda model: scores_of_tags(model, validation, params.input_size).mean  # type: ignore[arg-type]
    masks = load_masks(prepared)
    training = manifest.of_split("train")
    if not any(record.id in masks for record in training.records):
        raise UserError(
            "cam.select: 'seed_miou' needs masks of training images and there are none; use 'last'."
        )
    return lambda model: seed_miou(model, training, masks)  # type: ignore[arg-type]
