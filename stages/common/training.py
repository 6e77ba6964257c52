"""What the two trainers share: weights that DVC sees, settings, checkpoints, curves."""

import os
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stages.common.paths import PRETRAINED
from stages.common.precision import precision_at_hand
from stages.common.stage import Context
from weaktr.config.backbone import BackboneParams
from weaktr.device import count_workers
from weaktr.errors import UserError
from weaktr.files import replace_file
from weaktr.training.checkpoint import Checkpoint
from weaktr.training.settings import TrainingSettings

if TYPE_CHECKING:  # Else either trainer would depend on the other's section.
    from weaktr.config.cam import CamParams
    from weaktr.config.decoder import DecoderParams


def tracked_weights(backbone: BackboneParams, section: str) -> list[Path]:
    """The local weights file of a backbone, if it has one.

    It may be a link, and `data/pretrained` too; DVC follows both.

    Raises:
        UserError: If it is not under `data/pretrained`, or in a linked folder there, so that DVC
            would not see its content change.
    """
    if backbone.weights in ("hub", "none"):
        return []
    path = Path(os.path.normpath(backbone.weights))
    root = PRETRAINED.resolve()
    folders = list(takewhile(lambda folder: folder.resolve() != root, path.parents))
    if len(folders) == len(path.parents):
        raise UserError(
            f"{section}.weights: {path} must be in {PRETRAINED}, where a change of it reruns the "
            "stage; copy or link it there."
        )
    if linked := [folder for folder in folders if folder.is_symlink()]:
        raise UserError(
            f"{section}.weights: {linked[0]} is a link to a folder, into which DVC does not look; "
            f"link the file itself into {PRETRAINED}."
        )
    if not path.is_file():
        raise UserError(f"{section}.weights: {path} does not exist; put the file there.")
    return [path]


def training_settings(
    context: Context,
    params: "CamParams | DecoderParams",
    section: str,
    *,
    epochs: int,
    sample_bytes: int,
) -> TrainingSettings:
    """The settings that a trainer's section and `runtime` make on the device at hand.

    Args:
        context: Of the stage; is told what the precision comes to, if that is not what was asked.
        params: The trainer's section.
        section: Its name.
        epochs: Passes over the data set.
        sample_bytes: Of one sample as the loader gives it.
    """
    return TrainingSettings(
        epochs=epochs,
        batch_size=params.batch_size,
        accumulate=params.accumulate,
        seed=context.params.seed,
        precision=precision_at_hand(context, params.precision, section),
        compile=params.compile,
        workers=count_workers(
            context.params.runtime.workers,
            context.device,
            batch_bytes=params.batch_size * sample_bytes,
        ),
    )


def checkpoint_for(context: Context, name: str, inputs: Sequence[Path]) -> Checkpoint:
    """The checkpoint that belongs to just this training.

    Args:
        context: Its fingerprint stands for params and code.
        name: Of the stage.
        inputs: Files and folders whose content the training depends on.
    """
    return Checkpoint(
        folder=context.checkpoints,
        name=name,
        fingerprint=context.fingerprint_with(inputs),
        minutes=context.params.runtime.checkpoint_minutes,
        say=context.say,
    )


def write_curves(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Writes training curves as CSV, one row per epoch."""
    frame = pd.DataFrame(history).astype({"epoch": int})
    with replace_file(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")


def read_curves(path: Path) -> list[dict[str, float]]:
    """Training curves as `write_curves` wrote them."""
    rows = pd.read_csv(path).to_dict("records")
    return [{str(name): float(value) for name, value in row.items()} for row in rows]
