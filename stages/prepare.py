"""Indexes a data set into one manifest; the demo's is generated first."""

from collections.abc import Iterator, Mapping

import numpy as np

from stages.context import Context
from stages.paths import GENERATED, PREPARED, RENDERED_MASKS
from weaktr.data.check import check_dataset
from weaktr.data.hardness import Pair, colour_miou
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, MaskRecord, save_masks
from weaktr.data.masks import read_mask
from weaktr.data.shapes import write_shapes
from weaktr.files import replace_dir, write_json


def run(context: Context) -> None:
    """Reads the raw data, writes the manifest, the list of masks and a summary."""
    params = context.params.dataset
    if params.kind == "shapes":
        write_shapes(GENERATED, params.shapes)
        params = params.model_copy(update={"root": GENERATED.as_posix()})
    report = check_dataset(params)
    report.raise_for_errors()
    with replace_dir(RENDERED_MASKS) as folder:
        masks = report.write_masks(folder, listed_as=RENDERED_MASKS.as_posix())
    report.manifest.save(PREPARED)
    save_masks(PREPARED, masks)
    for problem in report.problems:
        print(f"{problem.severity}: {problem.message}")
    summary = report.summary()
    write_json(context.reports / "summary.json", summary)
    metrics = {
        "classes": len(report.manifest.classes),
        "warnings": len(report.problems),
        "images": {split: counts["images"] for split, counts in summary["splits"].items()},
    }
    if params.kind == "shapes":
        metrics["colour_floor_miou"] = colour_floor(report.manifest, masks)
    write_json(context.reports / "metrics.json", metrics)


def colour_floor(manifest: Manifest, masks: Mapping[str, MaskRecord]) -> float:
    """mIoU that a per-pixel colour classifier reaches on `val` with all true masks of `train`."""

    def pairs(split: str) -> Iterator[Pair]:
        for record in manifest.of_split(split).records:
            yield np.array(read_image(record.image)), read_mask(masks[record.id].mask)

    return colour_miou(pairs("train"), pairs("val"), len(manifest.classes) + 1)
