"""Trains the segmenter on pseudo-labels, or, for the supervised reference, on true masks."""

from pathlib import Path

import torch

from stages.context import Context
from stages.inputs import split_of
from stages.paths import PREPARED, PSEUDO_LABELS, SEGMENTER, SUPERVISED_SEGMENTER
from stages.trainers import checkpoint_for, tracked_weights, write_curves
from weaktr.data.datasets import MaskDataset
from weaktr.data.manifest import CLASSES_FILE, MANIFEST_FILE, MASKS_FILE, Manifest, load_masks
from weaktr.data.transforms import SegmentationTransform
from weaktr.errors import UserError
from weaktr.files import write_json
from weaktr.losses import ClippedCrossEntropy
from weaktr.models.segmenter import build_segmenter
from weaktr.models.store import save_model
from weaktr.optim import decoder_optimizer
from weaktr.schedule import decoder_schedule
from weaktr.training import train


def run(context: Context, *, supervised: bool = False) -> None:
    """Reads the manifest, images and label maps; writes the segmenter and its curves."""
    params, seed = context.params.decoder, context.params.seed
    device = torch.device(context.device)
    manifest = Manifest.load(PREPARED)
    training = split_of(manifest, "train")
    weights = tracked_weights(params.backbone, "decoder.backbone")
    output = SUPERVISED_SEGMENTER if supervised else SEGMENTER
    if supervised:
        label_maps: dict[str, str | Path] = dict(load_masks(PREPARED))
        label_input = PREPARED / MASKS_FILE
    else:
        label_maps = {path.stem: path for path in PSEUDO_LABELS.glob("*.png")}
        label_input = PSEUDO_LABELS
        if not label_maps:
            raise UserError(f"{PSEUDO_LABELS} has no label maps; run the export_labels stage.")
    torch.manual_seed(seed)
    model = build_segmenter(params, len(manifest.classes) + 1).to(device)
    model.set_gradient_checkpointing(context.params.runtime.activation_checkpointing)
    transform = SegmentationTransform(
        params.augment, crop_size=params.crop_size, mean=model.mean, std=model.std
    )
    criterion = ClippedCrossEntropy(
        start_value=params.start_value, region=params.region, void_in_mean=params.void_in_mean
    )
    settings = {"decoder": params.model_dump(mode="json"), "seed": seed, "supervised": supervised}
    inputs = [PREPARED / MANIFEST_FILE, PREPARED / CLASSES_FILE, label_input, *weights]
    checkpoint = checkpoint_for(output.name, context.params.runtime, settings, inputs)

    history = train(
        model,
        MaskDataset(training, label_maps, transform, seed=seed),
        lambda logits, target: {"loss": criterion(logits, target)},
        decoder_optimizer(model, params),
        lambda steps: decoder_schedule(params, steps),
        epochs=params.epochs,
        batch_size=params.batch_size,
        accumulate=params.accumulate,
        seed=seed,
        device=device,
        precision=params.precision,
        compile_model=params.compile,
        workers=context.params.runtime.workers,
        checkpoint=checkpoint,
        on_epoch=lambda epoch, values: context.log(values, epoch),
    )
    write_curves(context.reports / "curves.csv", history)
    write_json(
        context.reports / "metrics.json",
        {
            "final_loss": history[-1]["loss"],
            "epochs": len(history),
            "trained_on_true_masks": supervised,
        },
    )
    save_model(model, output, classes=manifest.classes)
    checkpoint.path.unlink(missing_ok=True)
    context.artifacts.append(output)
