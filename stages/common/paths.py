"""Where stages read and write; `dvc.yaml` names the same places."""

from pathlib import Path

PREPARED = Path("data/prepared")
MANIFEST = PREPARED / "manifest.csv"
CLASSES = PREPARED / "classes.txt"
MASKS = PREPARED / "masks.csv"
RAW_FILES = PREPARED / "files"
GENERATED = RAW_FILES / "shapes"
RENDERED_MASKS = RAW_FILES / "masks"
CAM_MODEL = Path("models/cam")
CAMS = Path("data/cams")
PSEUDO_LABELS = Path("data/pseudo-labels")
SEGMENTER = Path("models/segmenter")
PREDICTIONS = Path("data/predictions")
REPORTS = Path("reports")
IMAGES = "images.csv"
"""In the folders of the reports of `export_labels` and `evaluate`: one row per image."""
PIXELS = "pixels.csv"
"""In the folder of `evaluate`: the confusion matrix."""
METRICS = Path("metrics.json")
PLOTS = Path("plots")
CORRECTED = Path("data/corrected")
PRETRAINED = Path("data/pretrained")
CHECKPOINTS = Path("checkpoints")
