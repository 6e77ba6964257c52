"""Trains the segmenter on pseudo-labels, or on what else `decoder.labels_from` names.

Masks that a person corrected (`decoder.corrected`) take the place of these, in every round.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from stages.common.alone import alone_with_work
from stages.common.corrected import NO_MASKS, corrected_masks, facts_about, in_words
from stages.common.label_source import label_source
from stages.common.paths import CLASSES, CORRECTED, MANIFEST, PREPARED, SEGMENTER
from stages.common.recorded import note_outputs
from stages.common.stage import Context, Result, Stage
from stages.common.training import (
    checkpoint_for,
    read_curves,
    tracked_weights,
    training_settings,
    write_curves,
)
from stages.common.words import counted
from weaktr.data.manifest import Manifest, load_label_maps
from weaktr.device import threads_of_process
from weaktr.distributed import from_first, is_first, wait_for_all
from weaktr.files import naming, replace_dir, write_json
from weaktr.journal import ImageJournal
from weaktr.models.saving import save_model
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.relabel import relabel
from weaktr.training.checkpoint import Checkpoint
from weaktr.training.clipped_cross_entropy import ClippedCrossEntropy
from weaktr.training.decoder_optimization import decoder_optimizer, decoder_schedule
from weaktr.training.decoder_transform import SegmentationTransform
from weaktr.training.loop import train
from weaktr.training.mask_dataset import MaskDataset

if TYPE_CHECKING:
    from weaktr.config.params import Params

CURVES = "curves.csv"


def run(context: Context) -> Result | None:
    """Reads the manifest, images and label maps; writes the segmenter and its curves.

    In every round but the last (`decoder.rounds`), the trained segmenter only labels the training
    images for the next one. A finished round is kept like a checkpoint, so that a killed stage goes
    on after it.
    """
    params = context.params.decoder
    manifest = Manifest.load(PREPARED)
    training = manifest.require_split("train")
    corrected = corrected_masks(params.corrected, manifest)
    labels = Path(params.labels_from)
    facts = facts_about(params.corrected, corrected, manifest, load_label_maps(labels))
    by_hand = {id_: mask.path for id_, mask in corrected.items()}
    orientations = {id_: mask.orientation for id_, mask in corrected.items()}
    history: list[dict[str, float]] = []
    stems: list[str] = []
    for _ in range(params.rounds - 1):
        maps, checkpoint = load_label_maps(labels) | by_hand, checkpoint_of(context, labels)
        finished = checkpoint.folder / checkpoint.stem
        with alone_with_work(context.checkpoints, checkpoint.stem, context.say):
            if from_first(finished.is_dir()):
                context.log_earlier(read_curves(finished / CURVES))
            else:
                model, curves = train_round(
                    context, training, maps, orientations, checkpoint, len(history)
                )
                relabelled = ImageJournal(
                    context.checkpoints / f"{checkpoint.stem}-images",
                    ".png",
                    name=f"{STAGE.name}: relabelling",
                    say=context.say,
                )
                with naming(relabelled.folder):
                    threads = threads_of_process(context.params.runtime.threads)
                    relabel(model, training, params, relabelled, threads=threads)
                wait_for_all()
                if is_first():
                    with replace_dir(finished) as folder:
                        relabelled.publish(folder, (record.id for record in training))
                        write_curves(folder / CURVES, curves)
            wait_for_all()
        history += read_curves(finished / CURVES)
        labels = finished
        stems.append(checkpoint.stem)
    maps, checkpoint = load_label_maps(labels) | by_hand, checkpoint_of(context, labels)
    with alone_with_work(context.checkpoints, checkpoint.stem, context.say):
        model, curves = train_round(context, training, maps, orientations, checkpoint, len(history))
    history += curves
    if not is_first():
        return None

    write_curves(context.reports / CURVES, history)
    details = {
        "final_loss": history[-1]["loss"],
        "epochs": len(history),
        "rounds": params.rounds,
        "labels_from": params.labels_from,
        "corrected": facts,
    }
    write_json(context.reports / "details.json", details)
    save_model(model, SEGMENTER, classes=training.classes)
    stems.append(checkpoint.stem)
    note_outputs(context.checkpoints, STAGE.name, stems, STAGE.writes)
    context.artifacts.append(SEGMENTER)
    made = f"{counted(len(history), 'epoch')} on {counted(len(training), 'image')}"
    return Result(
        made=", ".join([made, *in_words(facts)]),
        number=f"loss {history[-1]['loss']:.3f}",
        where=SEGMENTER,
    )


def checkpoint_of(context: Context, labels: Path) -> Checkpoint:
    """The checkpoint of training on just these labels, with the corrected masks."""
    params = context.params.decoder
    inputs = [MANIFEST, CLASSES, labels, *tracked_weights(params.backbone, "decoder.backbone")]
    if params.corrected != NO_MASKS:
        inputs.append(CORRECTED / params.corrected)
    return checkpoint_for(context, STAGE.name, inputs)


def train_round(
    context: Context,
    training: Manifest,
    maps: Mapping[str, str],
    orientations: Mapping[str, int],
    checkpoint: Checkpoint,
    epochs_before: int,
) -> tuple[Segmenter, list[dict[str, float]]]:
    """Trains a new segmenter; returns it with its curves, whose epochs follow those before."""
    params, seed = context.params.decoder, context.params.seed
    torch.manual_seed(seed)
    model = Segmenter.from_params(params, len(training.classes)).to(context.device)
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

    all_epochs = params.rounds * params.epochs

    def counted_on(values: dict[str, float]) -> dict[str, float]:
        return values | {"epoch": values["epoch"] + epochs_before}

    history = train(
        model,
        MaskDataset(training, maps, transform, seed=seed, orientations=orientations),
        criterion.with_shares,
        decoder_optimizer(model, params),
        lambda steps: decoder_schedule(params, steps),
        training_settings(
            context,
            params,
            "decoder",
            epochs=params.epochs,
            sample_bytes=(12 + 8) * params.crop_size**2,
        ),
        checkpoint=checkpoint,
        stop=context.stop,
        say=context.say,
        on_resume=lambda before: context.log_earlier([counted_on(values) for values in before]),
        on_epoch=lambda epoch, values: context.log_epoch(counted_on(values), all_epochs),
        name_of=lambda index: training.records[index].id,
    )
    return model, [counted_on(values) for values in history]


def labelled_by(params: "Params") -> tuple[str, ...]:
    """The stage that made the label maps, if one did."""
    is_made_here = label_source(params.decoder.labels_from) == "pseudo-labels"
    return ("export_labels",) if is_made_here else ()


STAGE = Stage(
    name="train_decoder",
    run=run,
    sections=("decoder", "seed"),
    upstream=lambda params: ("prepare", *labelled_by(params)),
    writes=(SEGMENTER,),
    shared=True,
)
