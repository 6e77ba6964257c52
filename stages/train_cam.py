"""Trains the CAM network from image-level tags; reads no masks unless `cam.select` says so."""

import torch

from stages.common.alone import alone_with_work
from stages.common.metrics import write_metrics
from stages.common.paths import CAM_MODEL, CLASSES, MANIFEST, PREPARED
from stages.common.recorded import note_outputs
from stages.common.stage import Context, Result, Stage
from stages.common.training import (
    checkpoint_for,
    tracked_weights,
    training_settings,
    write_curves,
)
from stages.common.words import counted
from weaktr.data.manifest import Manifest
from weaktr.distributed import is_first
from weaktr.files import write_json
from weaktr.models.attention_fusion import LiftAttentionFusion
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import save_model
from weaktr.training.cam_optimization import cam_optimizer, cam_schedule
from weaktr.training.cam_transform import cam_training_transform
from weaktr.training.epoch_selection import scores_of_tags, selection_score
from weaktr.training.fusion_watch import FusionWatch
from weaktr.training.lift import measure_lift
from weaktr.training.loop import train
from weaktr.training.tag_dataset import TagDataset
from weaktr.training.tag_losses import cam_losses


def run(context: Context) -> Result | None:
    """Reads the manifest and images, writes the CAM model, its curves and its tag scores."""
    params, seed = context.params.cam, context.params.seed
    manifest = Manifest.load(PREPARED)
    training = manifest.require_split("train")
    weights = tracked_weights(params.backbone, "cam.backbone")
    torch.manual_seed(seed)
    model = CAMNetwork.from_params(params, len(manifest.classes)).to(context.device)
    model.set_gradient_checkpointing(context.params.runtime.activation_checkpointing)
    fusion = FusionWatch(model.fusion)
    transform = cam_training_transform(
        params.augment, input_size=params.input_size, mean=model.mean, std=model.std
    )
    epochs = params.epochs + params.cooldown_epochs
    checkpoint = checkpoint_for(context, STAGE.name, [MANIFEST, CLASSES, *weights])
    with alone_with_work(context.checkpoints, checkpoint.stem, context.say):
        history = train(
            model,
            TagDataset(training, transform, seed=seed),
            lambda logits, targets: {
                **cam_losses(logits, targets).named(),
                **fusion.weights(),
            },
            cam_optimizer(model, params),
            lambda steps: cam_schedule(params, steps),
            training_settings(
                context, params, "cam", epochs=epochs, sample_bytes=12 * params.input_size**2
            ),
            checkpoint=checkpoint,
            stop=context.stop,
            say=context.say,
            score=selection_score(params, manifest, PREPARED),
            on_resume=context.log_earlier,
            on_epoch=lambda epoch, values: context.log_epoch(values, epochs),
            name_of=lambda index: training.records[index].id,
            gradient_facts=fusion.gradient,
        )
    if isinstance(model.fusion, LiftAttentionFusion):
        model.fusion.set_lift(*measure_lift(model, training, params.input_size))
    scores = {
        split: scores_of_tags(model, part, params.input_size)
        for split in ("train", "val")
        if len(part := manifest.of_split(split))
    }
    if not is_first():
        return None
    tag_map = {split: one.mean for split, one in scores.items()}
    split = "val" if "val" in tag_map else "train"
    write_curves(context.reports / "curves.csv", history)
    write_metrics(context, {f"map_{split}": tag_map[split]})
    details = {
        "tag_map": tag_map,
        "tags": {split: one.by_class(manifest.classes) for split, one in scores.items()},
        "selected_with_masks": params.select == "seed_miou",
    }
    write_json(context.reports / "details.json", details)
    save_model(model, CAM_MODEL, classes=manifest.classes)
    note_outputs(context.checkpoints, STAGE.name, [checkpoint.stem], STAGE.writes)
    context.artifacts.append(CAM_MODEL)
    return Result(
        made=f"{counted(epochs, 'epoch')} on {counted(len(training), 'image')}",
        number=f"{split} mAP {tag_map[split]:.1f}",
        where=CAM_MODEL,
    )


STAGE = Stage(
    name="train_cam",
    run=run,
    sections=("cam", "seed"),
    upstream=lambda params: ("prepare",),
    writes=(CAM_MODEL,),
    shared=True,
)
