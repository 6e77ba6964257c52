"""Trains the CAM network from image-level tags; reads no masks unless `cam.select` says so."""

import torch

from stages.context import Context
from stages.inputs import split_of
from stages.paths import CAM_MODEL, PREPARED
from stages.trainers import checkpoint_for, tracked_weights, write_curves
from weaktr.data.datasets import TagDataset
from weaktr.data.manifest import CLASSES_FILE, MANIFEST_FILE, Manifest
from weaktr.data.transforms import cam_training_transform
from weaktr.files import write_json
from weaktr.losses import cam_losses
from weaktr.models.cam import build_cam_network
from weaktr.models.store import save_model
from weaktr.optim import cam_optimizer
from weaktr.schedule import cam_schedule
from weaktr.selection import selection_score, tag_average_precision
from weaktr.training import train


def run(context: Context) -> None:
    """Reads the manifest and images, writes the CAM model, its curves and its tag scores."""
    params, seed = context.params.cam, context.params.seed
    device = torch.device(context.device)
    manifest = Manifest.load(PREPARED)
    training = split_of(manifest, "train")
    weights = tracked_weights(params.backbone, "cam.backbone")
    torch.manual_seed(seed)
    model = build_cam_network(params, len(manifest.classes)).to(device)
    model.set_gradient_checkpointing(context.params.runtime.activation_checkpointing)
    transform = cam_training_transform(
        params.augment, input_size=params.input_size, mean=model.mean, std=model.std
    )
    settings = {"cam": params.model_dump(mode="json"), "seed": seed}
    inputs = [PREPARED / MANIFEST_FILE, PREPARED / CLASSES_FILE, *weights]
    checkpoint = checkpoint_for("train_cam", context.params.runtime, settings, inputs)

    history = train(
        model,
        TagDataset(training, transform, seed=seed),
        lambda logits, targets: cam_losses(logits, targets).named(),
        cam_optimizer(model, params),
        lambda steps: cam_schedule(params, steps),
        epochs=params.epochs + params.cooldown_epochs,
        batch_size=params.batch_size,
        accumulate=params.accumulate,
        seed=seed,
        device=device,
        precision=params.precision,
        compile_model=params.compile,
        workers=context.params.runtime.workers,
        checkpoint=checkpoint,
        score=selection_score(params, manifest, PREPARED),
        on_epoch=lambda epoch, values: context.log(values, epoch),
    )
    metrics: dict[str, float | bool] = {"selected_with_masks": params.select == "seed_miou"}
    for split in ("train", "val"):
        part = manifest.of_split(split)
        if part.records:
            metrics[f"{split}_map"] = tag_average_precision(model, part, params.input_size)
    context.log(metrics, len(history))
    write_curves(context.reports / "curves.csv", history)
    write_json(context.reports / "metrics.json", metrics)
    save_model(model, CAM_MODEL, classes=manifest.classes)
    checkpoint.path.unlink(missing_ok=True)
    context.artifacts.append(CAM_MODEL)
