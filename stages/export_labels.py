"""Exports pseudo-labels for the training split from the CAM network."""

from stages.common.metrics import write_metrics
from stages.common.paths import CAM_MODEL, CAMS, IMAGES, PREPARED, PSEUDO_LABELS
from stages.common.stage import Context, Result, Stage
from stages.common.words import counted
from weaktr.data.manifest import Manifest, load_masks
from weaktr.device import threads_of_process
from weaktr.distributed import is_first, replace_dir_together
from weaktr.files import write_json
from weaktr.metrics.image_table import LabelRow, write_image_rows
from weaktr.models.cam_kinds import COARSE
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import load_model
from weaktr.pseudo_labels.export import export_labels


def run(context: Context) -> Result | None:
    """Reads the CAM model and images, writes CAMs, label maps and, given masks, seed metrics."""
    params = context.params.labels
    training = Manifest.load(PREPARED).require_split("train")
    model = load_model(CAM_MODEL, CAMNetwork, context.device).model
    with (
        replace_dir_together(CAMS) as cam_folder,
        replace_dir_together(PSEUDO_LABELS) as label_folder,
    ):
        result = export_labels(
            model,
            training,
            load_masks(PREPARED),
            params,
            cam_folder=cam_folder,
            label_folder=label_folder,
            threads=threads_of_process(context.params.runtime.threads),
        )
    if not is_first():
        return None
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
