"""Exports pseudo-labels for the training split from the CAM network."""

from stages.common.alone import alone_with_work
from stages.common.metrics import write_metrics
from stages.common.paths import (
    CAM_MODEL,
    CAMS,
    CLASSES,
    IMAGES,
    MANIFEST,
    MASKS,
    PREPARED,
    PSEUDO_LABELS,
)
from stages.common.precision import precision_at_hand
from stages.common.recorded import note_outputs
from stages.common.stage import Context, Result, Stage
from stages.common.words import counted
from weaktr.data.manifest import Manifest, load_masks
from weaktr.device import threads_of_process
from weaktr.distributed import is_first
from weaktr.files import naming, replace_dir, write_json
from weaktr.journal import ImageJournal
from weaktr.metrics.image_table import LabelRow, write_image_rows
from weaktr.models.cam_kinds import COARSE
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import load_model
from weaktr.pseudo_labels.export import export_labels


def run(context: Context) -> Result | None:
    """Reads the CAM model and images, writes CAMs, label maps and, given masks, seed metrics."""
    params = context.params.labels
    precision = precision_at_hand(context, params.precision, "labels")
    params = params.model_copy(update={"precision": precision})
    training = Manifest.load(PREPARED).require_split("train")
    model = load_model(CAM_MODEL, CAMNetwork, context.device).model
    stem = f"{STAGE.name}-{context.fingerprint_with([MANIFEST, CLASSES, MASKS, CAM_MODEL])}"
    folder = context.checkpoints / stem
    cams, labels = (
        ImageJournal(folder / place.name, suffix, name=STAGE.name, say=context.say)
        for place, suffix in ((CAMS, ".safetensors"), (PSEUDO_LABELS, ".png"))
    )
    with alone_with_work(context.checkpoints, stem, context.say):
        with naming(folder):
            result = export_labels(
                model,
                training,
                load_masks(PREPARED),
                params,
                cams=cams,
                labels=labels,
                threads=threads_of_process(context.params.runtime.threads),
            )
        if not is_first():
            return None
        for journal, place in ((cams, CAMS), (labels, PSEUDO_LABELS)):
            with replace_dir(place) as new:
                journal.publish(new, (record.id for record in training))
    note_outputs(context.checkpoints, STAGE.name, [stem], STAGE.writes)
    miou = result.miou
    names = {"miou_coarse": COARSE.name, "miou_seed": result.seed, "miou_labels": "pseudo_labels"}
    write_metrics(context, {name: miou[step] for name, step in names.items() if step in miou})
    details = {
        "seed": result.seed,
        "background_score": result.background_score,
        "background_score_chosen_with_masks": params.background_score == "sweep",
        "images": result.images,
        "images_with_masks": result.measured,
        "miou": miou,
        "optimum_by_masks": result.optimum,
    }
    write_json(context.reports / "details.json", details)
    write_image_rows(context.reports / IMAGES, result.rows, LabelRow)
    number = f"mIoU {miou['pseudo_labels']:.1f}" if miou else ""
    made = counted(result.images, "pseudo-label")
    return Result(made=made, number=number, where=PSEUDO_LABELS)


STAGE = Stage(
    name="export_labels",
    run=run,
    sections=("labels",),
    upstream=lambda params: ("prepare", "train_cam"),
    writes=(PSEUDO_LABELS,),
    shared=True,
)
