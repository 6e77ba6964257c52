"""Trains the segmenter on pseudo-labels, or, for the supervised reference, on true masks."""

import shutil
from pathlib import Path
from typing import NamedTuple

import torch

from stages.context import Context
from stages.inputs import split_of
from stages.paths import PREPARED, PSEUDO_LABELS, SEGMENTER, SUPERVISED_SEGMENTER
from stages.trainers import checkpoint_for, read_curves, tracked_weights, write_curves
from weaktr.data.datasets import MaskDataset
from weaktr.data.manifest import CLASSES_FILE, MANIFEST_FILE, MASKS_FILE, Manifest, load_masks
from weaktr.data.transforms import SegmentationTransform
from weaktr.errors import UserError
from weaktr.files import replace_dir, write_json
from weaktr.losses import ClippedCrossEntropy
from weaktr.models.segmenter import Segmenter, build_segmenter
from weaktr.models.store import save_model
from weaktr.optim import decoder_optimizer
from weaktr.relabel import relabel
from weaktr.schedule import decoder_schedule
from weaktr.training import Checkpoint, train

CURVES = "curves.csv"


class Labels(NamedTuple):
    """The label maps to learn from, by image id, and the file or folder that holds them."""

    maps: dict[str, str | Path]
    source: Path


def run(context: Context, *, supervised: bool = False) -> None:
    """Reads the manifest, images and label maps; writes the segmenter and its curves.

    In every round but the last (`decoder.rounds`), the trained segmenter only labels the training
    images for the next one. A finished round is kept like a checkpoint, so that a killed stage goes
    on after it.
    """
    params = context.params.decoder
    manifest = Manifest.load(PREPARED)
    training = split_of(manifest, "train")
    output = SUPERVISED_SEGMENTER if supervised else SEGMENTER
    labels = true_masks() if supervised else labels_in(PSEUDO_LABELS)
    rounds = 1 if supervised else params.rounds
    history: list[dict[str, float]] = []
    kept: list[Path] = []
    for _ in range(rounds - 1):
        checkpoint = checkpoint_of(context, output.name, labels)
        finished = checkpoint.path.with_suffix("")
        if not finished.is_dir():
            model, curves = train_round(context, training, labels, checkpoint, len(history))
            with replace_dir(finished) as folder:
                relabel(model, training, params, folder)
                write_curves(folder / CURVES, curves)
        history += read_curves(finished / CURVES)
        labels = labels_in(finished)
        kept += [checkpoint.path, finished]
    checkpoint = checkpoint_of(context, output.name, labels)
    model, curves = train_round(context, training, labels, checkpoint, len(history))
    history += curves

    write_curves(context.reports / CURVES, history)
    metrics = {
        "final_loss": history[-1]["loss"],
        "epochs": len(history),
        "rounds": rounds,
        "trained_on_true_masks": supervised,
    }
    write_json(context.reports / "metrics.json", metrics)
    save_model(model, output, classes=manifest.classes)
    for path in (*kept, checkpoint.path):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    context.artifacts.append(output)


def labels_in(folder: Path) -> Labels:
    """The label maps of a folder of `<id>.png`."""
    maps: dict[str, str | Path] = {path.stem: path for path in folder.glob("*.png")}
    if not maps:
        raise UserError(f"{folder} has no label maps; run the export_labels stage.")
    return Labels(maps, folder)


def true_masks() -> Labels:
    """The true masks of the training images."""
    return Labels(dict(load_masks(PREPARED)), PREPARED / MASKS_FILE)


def checkpoint_of(context: Context, name: str, labels: Labels) -> Checkpoint:
    """The checkpoint of training on just these labels with just these params."""
    params = context.params.decoder
    settings = {"decoder": params.model_dump(mode="json"), "seed": context.params.seed}
    weights = tracked_weights(params.backbone, "decoder.backbone")
    inputs = [PREPARED / MANIFEST_FILE, PREPARED / CLASSES_FILE, labels.source, *weights]
    return checkpoint_for(name, context.params.runtime, settings, inputs)


def train_round(
    context: Context, training: Manifest, labels: Labels, checkpoint: Checkpoint, epochs_before: int
) -> tuple[Segmenter, list[dict[str, float]]]:
    """Trains a new segmenter; returns it with its curves, whose epochs follow those before."""
    params, seed = context.params.decoder, context.params.seed
    device = torch.device(context.device)
    torch.manual_seed(seed)
    model = build_segmenter(params, len(training.classes) + 1).to(device)
    model.set_gradient_checkpointing(context.params.runtime.activation_checkpointing)
    transform = SegmentationTransform(
        params.augment, crop_size=params.crop_size, mean=model.mean, std=model.std
    )
    criterion = ClippedCrossEntropy(
        start_value=params.start_value,
        region=params.region,
        void_in_mean=params.void_in_mean,
        region_means=params.region_means,
    )

    def counted_on(values: dict[str, float]) -> dict[str, float]:
        return values | {"epoch": values["epoch"] + epochs_before}

    history = train(
        model,
        MaskDataset(training, labels.maps, transform, seed=seed),
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
        on_epoch=lambda epoch, values: context.log(counted_on(values), epoch + epochs_before),
    )
    return model, [counted_on(values) for values in history]
