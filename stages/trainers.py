"""What the two trainers share: weights that DVC sees, checkpoints, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stages.paths import CHECKPOINTS, PRETRAINED
from weaktr.config import BackboneParams, RuntimeParams
from weaktr.errors import UserError
from weaktr.files import digest_files, digest_value, replace_file
from weaktr.training import Checkpoint


def tracked_weights(backbone: BackboneParams, section: str) -> list[Path]:
    """The local weights file of a backbone, if it has one.

    Raises:
        UserError: If it is not under `data/pretrained`, where DVC sees its content change.
    """
    if backbone.weights in ("hub", "none"):
        return []
    path = Path(backbone.weights)
    if PRETRAINED.resolve() not in path.resolve().parents:
        raise UserError(
            f"{section}.weights: {path} must be in {PRETRAINED}, where a change of it reruns the "
            "stage; copy or link it there."
        )
    if not path.is_file():
        raise UserError(f"{section}.weights: {path} does not exist; put the file there.")
    return [path]


def checkpoint_for(
    stage: str, runtime: RuntimeParams, settings: Mapping[str, Any], inputs: Sequence[Path]
) -> Checkpoint:
    """The checkpoint that belongs to just these settings and inputs."""
    fingerprint = digest_value({"settings": settings, "inputs": digest_files(inputs)})
    return Checkpoint(
        folder=CHECKPOINTS,
        name=stage,
        fingerprint=fingerprint[:16],
        every=runtime.checkpoint_epochs,
    )


def write_curves(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Writes training curves as CSV, one row an epoch."""
    frame = pd.DataFrame(history).astype({"epoch": int})
    with replace_file(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")


def read_curves(path: Path) -> list[dict[str, float]]:
    """Training curves as `write_curves` wrote them."""
    rows = pd.read_csv(path).to_dict("records")
    return [{str(name): float(value) for name, value in row.items()} for row in rows]
