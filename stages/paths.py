"""Where stages read and write; `dvc.yaml` names the same places."""

from pathlib import Path

PREPARED = Path("data/prepared")
CAM_MODEL = Path("models/cam")
CAMS = Path("data/cams")
PSEUDO_LABELS = Path("data/pseudo-labels")
SEGMENTER = Path("models/segmenter")
PREDICTIONS = Path("data/predictions")
REPORTS = Path("reports")
CHECKPOINTS = Path("checkpoints")
