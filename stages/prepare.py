"""Indexes a data set into one manifest; the demo's is generated first."""

from collections.abc import Iterator, Mapping

import numpy as np

from stages.common.paths import CLASSES, GENERATED, MANIFEST, MASKS, PREPARED, RENDERED_MASKS
from stages.common.stage import Context, Result, Stage
from stages.common.words import counted
from weaktr.data.checks.check import check_dataset
from weaktr.data.demo.colour_floor import Pair, colour_miou
from weaktr.data.demo.dataset import write_shapes
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, MaskRecord, save_masks
from weaktr.data.masks import read_mask
from weaktr.files import replace_dir, write_json


def run(context: Context) -> Result:
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
    if params.kind != "shapes":
        for note in report.notes:
            print(f"Note: {note}")
    for problem in report.problems:
        print(f"{problem.severity.capitalize()}: {problem.message}")
    summary = report.summary()
    if params.kind == "shapes":
        summary["colour_floor_miou"] = colour_floor(report.manifest, masks)
    write_json(context.reports / "summary.json", summary)
    made = f"{counted(len(report.manifest), 'image')} of {len(report.manifest.classes)} classes"
    return Result(made=made, where=MANIFEST)


def colour_floor(manifest: Manifest, masks: Mapping[str, MaskRecord]) -> float:
    """mIoU that a per-pixel colour classifier reaches on `val` with all true masks of `train`."""

    def pairs(split: str) -> Iterator[Pair]:
        for record in manifest.of_split(split):
            yield np.array(read_image(record.image)), read_mask(masks[record.id].mask)

    return colour_miou(pairs("train"), pairs("val"), len(manifest.classes) + 1)


STAGE = Stage(
    name="prepare",
    run=run,
    sections=("dataset",),
    upstream=lambda params: (),
    writes=(MANIFEST, CLASSES, MASKS),
)
