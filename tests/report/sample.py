"""A report made of generated data, with everything that one can have."""

import numpy as np

from weaktr.metrics.scores import scores
from weaktr.report.content import Heads, Panel, Panels, ParamRow, Report, Step, chosen_ranks
from weaktr.report.evidence import Finding, TagRow
from weaktr.report.pictures import Painter, label_ids

CLASSES = ("cat & dog", "cow")


def panels(images: int, side: tuple[int, int] = (120, 160)) -> Panels:
    """Images chosen from so many, through all steps."""
    generator = np.random.default_rng(0)
    rows = []
    for index, rank in chosen_ranks(generator.random(images).tolist(), 2, ("worst", "best")):
        image = generator.integers(0, 255, (*side, 3), np.uint8)
        labels = np.zeros(side, np.uint8)
        labels[20:60, 30:90] = 1 + index % 2
        labels[100:, :20] = 255
        paint = Painter(f"image_{index}", image, CLASSES)
        cams = np.linspace(0, 1, labels.size, dtype=np.float32).reshape(1, *side)
        pictures = [
            paint.plain(),
            paint.cams("coarse CAM", cams, [index % 2], 0.4),
            paint.cams("fine CAM", cams, [index % 2], 0.4),
            *(paint.labels(s, labels) for s in ("pseudo-label", "prediction", "true mask")),
        ]
        rows.append(Panel(paint.name, rank, ["IoU 14.0 %"], pictures, label_ids(labels)))
    return Panels("Evaluated images (val)", "By `mIoU`.", rows)


def heads(weight: np.ndarray) -> Heads:
    """Heads whose lift rises with their place, and not with their weight."""
    lift = np.linspace(-0.1, 0.6, weight.size).reshape(weight.shape)
    return Heads(
        images=24,
        made_from_lift=False,
        weight=weight,
        spread=weight / 10,
        class_row=lift,
        affinity=lift[::-1],
        class_row_order=0.72,
        affinity_order=-0.31,
        chance=0.59,
    )


def full_report(images: int = 9, classes: tuple[str, ...] = CLASSES) -> Report:
    """All sections."""
    labels = len(classes) + 1
    matrix = np.eye(labels, dtype=np.int64) * 90 + 3
    return Report(
        title="a <b> title",
        summary="9 images of val evaluated.",
        classes=classes,
        tiles=[("83.8", "mIoU on val, %")],
        findings=[
            Finding("3 labels hold nothing", "Such as a.", "Lower `labels.background_score`."),
            Finding("A class in no label", "cow", "Look at tags.", serious=True),
        ],
        notes=["Masks influenced nothing."],
        ladder=[
            Step("coarse CAM", "train", 40.0, "miou_coarse"),
            Step("fine CAM", "train", 51.23, "miou_seed", published=69.4),
            Step("segmenter", "val", 60.0, "miou_val"),
        ],
        marks=[("colour alone", 31.6)],
        panels=[panels(images)],
        scores=scores(matrix, ("background", *classes)),
        matrix=matrix,
        shares={"images": [("pseudo-labels", "9"), ("masks", "9")]},
        tags=[TagRow(name, 69.0, 5, 4, 3) for name in classes],
        tag_split="val",
        curves={
            "CAM network": ([1, 2], {"class token": [0.7, 0.5], "fine": [0.69, float("nan")]}),
            "segmenter": ([1], {"loss": [0.4]}),
        },
        heads=heads(np.linspace(0.5, 1.5, 12).reshape(3, 4)),
        recipe="voc12-deit-s",
        params=[ParamRow("cam.lr", "0.1", "0.2", "Learning rate.")],
        all_params=[("cam.lr", "0.2")],
        provenance=[("data", "abc")],
    )
