"""One segmenter on true masks that were spoiled in a known way, with or without clipping."""

import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from scripts.label_noise import NOISES
from scripts.measure_results import REPOSITORY, run_stage
from stages.common.corrected import NO_MASKS
from stages.common.paths import PREPARED
from stages.common.training import read_curves
from weaktr.config.load import load_params
from weaktr.data.manifest import Manifest, load_masks
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError
from weaktr.experiments.recipes import compose_params
from weaktr.files import read_json, replace_dir
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.scores import mean_iou

RECIPE = "trouble-none"
CLEAN = "none"
LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy": {"start_value": None},
    "under 1.2": {"start_value": 1.2},
    "under 0.6": {"start_value": 0.6},
    "under 0.3": {"start_value": 0.3},
    "under 0.6, whole image": {"start_value": 0.6, "region": None},
    "under 0.3, whole image": {"start_value": 0.3, "region": None},
}
"""Losses by name: what of the `decoder` section each sets; a region of `None` is the whole crop."""
PLAIN = "cross-entropy"
CLIPPED = [loss for loss in LOSSES if loss != PLAIN]
WRITTEN = ("noisy", "predictions")
"""Folders of `data/` that a run has of its own."""
PLACE = REPOSITORY / "tmp/measure-clipping"
Found = dict[str, float]
"""Of one run: `miou` on val, `labels` of the spoiled masks, and of the last epoch `final_loss` and,
with clipping, `clipped` and `clipped_objects`."""
ByLoss = dict[str, dict[str, Found]]
"""By loss, cross-entropy for one, and seed."""
Runs = dict[str, ByLoss]
"""By noise and rate."""


class Noise(NamedTuple):
    """A way to go wrong and how much of it; `none` at 0 leaves the masks as they are."""

    kind: str
    rate: float

    @property
    def name(self) -> str:
        """In tables and in the numbers."""
        return self.kind if self.kind == CLEAN else f"{self.kind} {self.rate:g}"


def noises() -> list[Noise]:
    """The true masks first, then every noise at every rate."""
    spoiled = [Noise(kind, rate) for kind, (_, rates) in NOISES.items() for rate in rates]
    return [Noise(CLEAN, 0), *spoiled]


def spoil(folder: Path, noise: Noise, seed: int) -> float:
    """Writes the spoiled masks of the training images to `data/noisy` of a folder.

    Returns:
        Their mIoU against the true ones, in percent.
    """
    manifest = Manifest.load(folder / "data/prepared")
    truths = load_masks(folder / "data/prepared")
    confusion = ConfusionMatrix(len(manifest.classes) + 1)
    with replace_dir(folder / "data/noisy") as place:
        for record in manifest.of_split("train"):
            truth = read_mask(folder / truths[record.id])
            labels = truth
            if noise.kind != CLEAN:
                word = f"{seed} {noise.name} {record.id}"
                rng = np.random.default_rng(list(hashlib.sha256(word.encode()).digest()))
                labels = NOISES[noise.kind][0](rng, truth, noise.rate, len(manifest.classes))
            confusion.update(torch.from_numpy(labels), torch.from_numpy(truth))
            write_mask(place / f"{record.id}.png", labels)
    return float(mean_iou(confusion.matrix()))


def run(project: Path, seed: int, noise: Noise, loss: str, workers: int) -> Found:
    """Trains and evaluates one segmenter.

    Args:
        project: Has `params.yaml`, `data/prepared` and what they name.
        seed: Of noise and training.
        noise: Of the training masks.
        loss: One of `LOSSES`.
        workers: Loader processes.

    Raises:
        UserError: If a stage fails, which has said why.
    """
    project = project.resolve()
    with tempfile.TemporaryDirectory(prefix=".clipping-", dir=project.parent) as name:
        folder = Path(name)  # beside the project, so that relative paths lead to the same places
        link_inputs(project, folder)
        quality = spoil(folder, noise, seed)
        params = load_params(project / "params.yaml").model_dump(mode="json")
        own = {"region": params["decoder"]["region"], **LOSSES[loss]}
        own["region"] = own["region"] or params["decoder"]["crop_size"]
        params["seed"] = seed
        params["decoder"] |= {
            "labels_from": "data/noisy",
            "corrected": NO_MASKS,
            "rounds": 1,
            **own,
        }
        params["runtime"] |= {"workers": workers}
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        try:
            for stage in ("train-decoder", "evaluate"):
                run_stage(stage, folder, quiet=True)
        except subprocess.CalledProcessError:
            raise UserError(
                f"seed {seed}, {noise.name}, {loss}: {stage} failed, and said why above; runs that "
                "were finished are kept."
            ) from None
        last = read_curves(folder / "reports/train_decoder/curves.csv")[-1]
        return {
            "labels": quality,
            "final_loss": last["loss"],
            "miou": read_json(folder / "reports/evaluate/details.json")["mean_iou"],
            **{name: last[name] for name in ("clipped", "clipped_objects") if name in last},
        }


def link_inputs(project: Path, folder: Path) -> None:
    """Links what the stages read of a project, and none of its code."""
    (folder / "data").mkdir()
    for entry in (project / "data").iterdir():
        if entry.name not in WRITTEN:
            (folder / "data" / entry.name).symlink_to(entry)
    manifest = Manifest.load(project / PREPARED)
    weights = load_params(project / "params.yaml").decoder.backbone.weights
    paths = [one.image for one in manifest.records] + list(load_masks(project / PREPARED).values())
    for top in {Path(path).parts[0] for path in (*paths, weights)} - {"data", "..", "/"}:
        if (project / top).exists():
            (folder / top).symlink_to(project / top)


def generated() -> Path:
    """A project with the images of `trouble-none`, which are drawn once."""
    project = PLACE / "generated"
    if not (project / PREPARED).is_dir():
        (project / "data").mkdir(parents=True, exist_ok=True)
        pretrained = project / "data/pretrained"
        pretrained.unlink(missing_ok=True)
        pretrained.symlink_to(REPOSITORY / "data/pretrained")
        (project / "params.yaml").write_text(compose_params([RECIPE], REPOSITORY / "params.yaml"))
        run_stage("prepare", project, quiet=True)
    return project


def checked(project: Path) -> Path:
    """A project of the user's.

    Raises:
        UserError: If it has no params, no masks to spoil or to measure by, or but one class.
    """
    if not (project / "params.yaml").is_file():
        raise UserError(f"{project} has no params.yaml; name the folder of a project.")
    params = load_params(project / "params.yaml")
    manifest, masks = Manifest.load(project / PREPARED), load_masks(project / PREPARED)
    where = project / PREPARED
    bare = [one.id for one in manifest.of_split("train") if one.id not in masks]
    if bare:
        raise UserError(
            f"{where}: training image {bare[0]!r} has no mask to spoil ({len(bare)} such); name a "
            "project in which all have one."
        )
    split = params.evaluation.split
    if not any(one.id in masks for one in manifest.of_split(split)):
        raise UserError(f"{where}: no image of {split} has a mask to measure by; give some masks.")
    if len(manifest.classes) < 2:
        raise UserError(f"{where}: a wrong class takes two; name a project with more classes.")
    return project
