"""The report of a result: one HTML file that needs nothing beside it, and its pictures."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weaktr.files import replace_file, write_text
from weaktr.labels import VOC_PALETTE, VOID, Pixels
from weaktr.metrics.scores import SegmentationScores
from weaktr.report.overlay import overlay

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th { text-align: left; }
th, td { padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } .note { color: #555; }
.key { margin-right: 1.2rem; white-space: nowrap; }
.key i { display: inline-block; width: .9em; height: .9em; margin-right: .35em; }
"""


@dataclass(frozen=True)
class Example:
    """One row of pictures: an image, a label map, and the true mask where there is one."""

    image: Pixels
    labels: Pixels
    truth: Pixels | None


def examples_figure(examples: Sequence[Example], label_title: str) -> Figure:
    """A grid with one example per row: image, label map, true mask."""
    titles = ["image", label_title, "true mask"]
    figure, axes = plt.subplots(
        len(examples), 3, figsize=(6.6, 2.25 * len(examples)), squeeze=False, layout="compressed"
    )
    for row, example in zip(axes, examples, strict=True):
        pictures = [example.image, overlay(example.image, example.labels), None]
        if example.truth is not None:
            pictures[2] = overlay(example.image, example.truth)
        for axis, picture in zip(row, pictures, strict=True):
            axis.axis("off")
            if picture is not None:
                axis.imshow(picture)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def curves_figure(curves: dict[str, pd.DataFrame]) -> Figure:
    """One panel per trainer: its losses by epoch."""
    figure, axes = plt.subplots(
        1, len(curves), figsize=(4 * len(curves), 2.8), squeeze=False, layout="constrained"
    )
    for axis, (name, frame) in zip(axes[0], curves.items(), strict=True):
        for column in [c for c in frame.columns if c.startswith("loss")]:
            axis.plot(frame["epoch"], frame[column], label=column.removeprefix("loss_"))
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("epoch")
        axis.set_ylabel("loss")
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=8)
    return figure


def save_picture(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG; equal figures give equal bytes."""
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)


def _embedded(figure: Figure, caption: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr><td>{html.escape(row[0])}</td>"
        + "".join(f'<td class="number">{html.escape(cell)}</td>' for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _colour_key(examples: Sequence[Example], classes: Sequence[str]) -> str:
    """The names and colours of what the label maps of some examples hold."""
    maps = [ids for example in examples for ids in (example.labels, example.truth)]
    present = np.unique(np.concatenate([ids.ravel() for ids in maps if ids is not None]))
    names = {**dict(enumerate(classes, start=1)), VOID: "void"}
    swatches = []
    for label in present[present > 0].tolist():
        red, green, blue = VOC_PALETTE[label]
        swatches.append(
            f'<span class="key"><i style="background: rgb({red} {green} {blue})"></i>'
            f"{html.escape(names[label])}</span>"
        )
    return f"<p>{' '.join(swatches)}</p>"


def write_report(
    path: Path,
    *,
    title: str,
    classes: Sequence[str],
    chain: Sequence[tuple[str, float]],
    notes: Sequence[str],
    result: SegmentationScores | None,
    predictions: Sequence[Example],
    pseudo_labels: Sequence[Example],
    curves: dict[str, pd.DataFrame],
) -> None:
    """Writes the report.

    Args:
        path: The HTML file.
        title: Its heading.
        classes: Names without background, in the order of label ids.
        chain: Name and mIoU in percent of each step, in the order of the pipeline.
        notes: Sentences to state beside the numbers, such as what masks were used for.
        result: Scores of the segmenter; `None` where there were no true masks.
        predictions: Examples of the evaluated split.
        pseudo_labels: Examples of the training split.
        curves: Training curves by trainer.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if chain:
        parts.append("<h2>From tags to masks</h2>")
        parts.append(_table(("step", "mIoU (%)"), [(n, _number(v)) for n, v in chain]))
    parts += [f'<p class="note">{html.escape(note)}</p>' for note in notes]
    if result is not None:
        parts.append("<h2>Classes</h2>")
        rows = [
            (str(row["class"]), *(_number(row[key]) for key in ("iou", "precision", "recall")))
            for _, row in result.table().iterrows()
        ]
        parts.append(_table(("class", "IoU (%)", "precision (%)", "recall (%)"), rows))
    for heading, examples, label_title in (
        ("Predictions", predictions, "prediction"),
        ("Pseudo-labels of training images", pseudo_labels, "pseudo-label"),
    ):
        if examples:
            parts.append(f"<h2>{heading}</h2>")
            parts.append(_colour_key(examples, classes))
            parts.append(_embedded(examples_figure(examples, label_title), heading))
    if curves:
        parts.append("<h2>Training</h2>")
        parts.append(_embedded(curves_figure(curves), "training curves"))
    body = "\n".join(parts)
    write_text(
        path,
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n",
    )
