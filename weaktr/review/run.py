"""A review: the ranking of all labels, and pictures and files to correct the worst ones."""

import csv
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weaktr.data.manifest import Manifest, Record
from weaktr.files import replace_dir, write_text
from weaktr.labelling.find_images import find_labelled_images
from weaktr.labelling.format_names import FormatName
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels
from weaktr.models.segmenter import Segmenter
from weaktr.review.compare import compare
from weaktr.review.doubt import Ranked, doubt_of, ranked
from weaktr.review.page import page

RANKING, PAGE, LABELS = "ranking.csv", "review.html", "labels"
IMAGES = {"coco": "train", "palette": "JPEGImages", "yolo": "images/train"}
"""Where images lie beside the files of a format, so that its reader finds them; else `images`."""
COLUMNS = (
    "rank",
    "image",
    "file",
    "reasons",
    "doubt",
    "confidence",
    "agreement",
    "missing",
    "background",
    "void",
    "tags",
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is reviewed.

    Attributes:
        prepared: Folder of the manifest.
        records: The training images to rank.
        classes: Names without background.
        labels: Path of each image's label, by id.
        confidences: Of the CAMs that each label was made of, by image id, where it is known.
    """

    prepared: Path
    records: Sequence[Record]
    classes: tuple[str, ...]
    labels: Mapping[str, str]
    confidences: Mapping[str, float]

    @classmethod
    def of(
        cls,
        prepared: Path,
        manifest: Manifest,
        labels: Mapping[str, str],
        confidences: Mapping[str, float],
        *,
        without: frozenset[str] = frozenset(),
    ) -> "Source":
        """The training images that have a label, but for some."""
        records = [
            record
            for record in manifest.of_split("train")
            if record.id in labels and record.id not in without
        ]
        return cls(
            prepared=prepared,
            records=records,
            classes=manifest.classes,
            labels=labels,
            confidences=confidences,
        )


def rank(model: Segmenter, source: Source) -> list[Ranked]:
    """All labels, the most doubtful first. No true mask is looked at.

    Args:
        model: That learned from the labels, in evaluation mode.
        source: What is reviewed.

    Raises:
        UserError: If an image or a label cannot be read, or if they differ in size.
    """
    return ranked(
        [
            doubt_of(
                one.record,
                one.label,
                one.prediction,
                source.classes,
                source.confidences.get(one.record.id, math.nan),
            )
            for one in compare(model, source.records, source.labels)
        ]
    )


def write_review(
    model: Segmenter,
    source: Source,
    ranking: Sequence[Ranked],
    output: Path,
    *,
    top: int,
    format: FormatName,
    style: Style,
    notes: Sequence[str] = (),
) -> Path:
    """Writes a new folder, whole or not at all.

    It gets `ranking.csv` of all labels and, of the `top` worst, `review.html` with pictures,
    `labels/` with the label maps to begin from, and a folder for a labelling tool with copies of
    the images.

    Args:
        model: As for `rank`.
        source: As for `rank`.
        ranking: What `rank` gave.
        output: The folder, which is replaced.
        top: How many labels are shown and given to the tool.
        format: Of the file for the tool.
        style: How that one is written.
        notes: Sentences for the page.

    Returns:
        The file to give to the tool.
    """
    worst = list(ranking[:top])
    records = [one.doubt.record for one in worst]
    compared = {one.record.id: one for one in compare(model, records, source.labels)}
    shown = [(one, compared[one.doubt.record.id]) for one in worst]
    title = f"The {len(worst):,} most doubtful of {len(ranking):,} labels"
    with replace_dir(output) as folder:
        _write_ranking(folder / RANKING, ranking)
        write_text(folder / PAGE, page(shown, source.classes, title=title, notes=notes))
        (folder / LABELS).mkdir()
        for record in records:
            shutil.copyfile(source.labels[record.id], folder / LABELS / f"{record.id}.png")
        found = find_labelled_images(folder / LABELS, source.prepared)
        doubts = {one.doubt.record.id: one.doubt.doubt for one in worst}
        images = [replace(image, score=1 - doubts[image.id]) for image in found.images]
        written = write_labels(images, source.classes, format, folder / format, style, workers=1)
        place = image_folder(folder, format)
        files = {record.id: record.image for record in records}
        for image in found.images:
            (place / image.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[image.id], place / image.name)
        return output / written.path.relative_to(folder)


def image_folder(output: Path, format: FormatName) -> Path:
    """Where the images for the tool lie in a review."""
    return output / format / IMAGES.get(format, "images")


def _write_ranking(path: Path, ranking: Sequence[Ranked]) -> None:
    with path.open("w", encoding="utf-8", newline="", errors="surrogateescape") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in ranking:
            doubt = one.doubt
            known = not math.isnan(doubt.confidence)
            writer.writerow(
                (
                    one.rank,
                    doubt.record.id,
                    doubt.record.image,
                    "; ".join(one.reasons),
                    f"{doubt.doubt:.4f}",
                    f"{doubt.confidence:.4f}" if known else "",
                    f"{doubt.agreement:.4f}",
                    ";".join(doubt.missing),
                    f"{doubt.background:.4f}",
                    f"{doubt.void:.4f}",
                    ";".join(doubt.record.tags),
                )
            )
