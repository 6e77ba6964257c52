"""`weaktr review`: the pseudo-labels to look at first."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weaktr.cli.masks_to import refuse_existing
from weaktr.cli.options import Device, Model, check_classes
from weaktr.errors import UserError
from weaktr.labelling.format_names import FormatName

if TYPE_CHECKING:
    from weaktr.data.manifest import Manifest

CORRECTED = Path("data/corrected")
SHOWN = 5
"""Labels that are named on the terminal."""


def review(
    model: Model = "models/segmenter",
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder.")] = Path("review"),
    top: Annotated[
        int, typer.Option(min=1, max=1000, help="Labels to show and to give to the tool.")
    ] = 50,
    format: Annotated[
        FormatName, typer.Option(help="Labelling tool that the labels are written for.")
    ] = "labelstudio",
    image_prefix: Annotated[
        str,
        typer.Option(
            help="Label Studio: what stands before the names of images, such as "
            "'/data/local-files/?d=photos/'.",
            show_default=False,
        ),
    ] = "",
    labels: Annotated[Path, typer.Option(help="Folder of the labels.")] = Path(
        "data/pseudo-labels"
    ),
    prepared: Annotated[Path, typer.Option(help="Folder of the manifest.")] = Path("data/prepared"),
    table: Annotated[
        Path, typer.Option(help="Table of the labels, which has their confidence.")
    ] = Path("reports/export_labels/images.csv"),
    device: Device = "auto",
) -> None:
    """Rank the pseudo-labels, the most doubtful first, to correct some by hand.

    Doubtful is a label whose CAMs are unsure, that lacks a tag of its image, or that the segmenter
    contradicts. No true mask is looked at. OUTPUT gets ranking.csv (all training images, with
    reasons) and, of the first ones, review.html with pictures, labels/ (the label maps, to begin
    from), and a folder for the labelling tool with the images.

    Lay the corrected masks in a folder data/corrected/NAME: with decoder.corrected=NAME the
    segmenter learns from them (docs/corrected.md). Those it learned from already are left out here.

    \b
    weaktr review
    weaktr review --top 200 --format coco -o review-2
    """
    from weaktr.data.manifest import Manifest, load_label_maps
    from weaktr.device import choose_device, set_threads
    from weaktr.experiments.model_uri import load_named_model
    from weaktr.labelling.labelled_image import Style
    from weaktr.models.segmenter import Segmenter
    from weaktr.review.run import (
        LABELS,
        PAGE,
        RANKING,
        Source,
        image_folder,
        rank,
        write_review,
    )

    if image_prefix and format != "labelstudio":
        raise UserError("--image-prefix is for --format labelstudio only; leave it out.")
    refuse_existing(output)
    manifest = Manifest.load(prepared)
    maps = load_label_maps(labels)
    set_threads(0)
    loaded = load_named_model(model, Segmenter, choose_device(device, given_as="--device"))
    check_classes(model, loaded.classes, prepared, manifest.classes)
    done, notes = corrected_before(loaded.model.params.corrected, manifest)
    confidences = read_confidences(table)
    if not confidences:
        notes.append(f"{table} is not there: the confidence of CAMs does not count.")
    source = Source.of(prepared, manifest, maps, confidences, without=done)
    if not source.records:
        raise UserError(f"{labels} has no label of a training image that is not corrected yet.")
    ranking = rank(loaded.model, source)
    written = write_review(
        loaded.model,
        source,
        ranking,
        output,
        top=top,
        format=format,
        style=Style(image_prefix=image_prefix),
        notes=notes,
    )
    for note in notes:
        typer.echo(note)
    for one in ranking[:SHOWN]:
        typer.echo(f"{one.rank:>3}. {one.doubt.record.id}: {'; '.join(one.reasons)}")
    for what, where in (
        (f"all {len(ranking):,}", output / RANKING),
        ("pictures", output / PAGE),
        ("for the tool", f"{written}, with {image_folder(output, format)}"),
        ("to begin from", output / LABELS),
        ("then", f"lay corrected masks in {CORRECTED / 'NAME'}:"),
        ("", "dvc exp run -S decoder.corrected=NAME"),
    ):
        typer.echo(f"{what:<14} {where}")


def corrected_before(name: str, manifest: "Manifest") -> tuple[frozenset[str], list[str]]:
    """The images whose corrected masks the segmenter learned from, and what to say of them."""
    from weaktr.data.corrected import find_corrected

    folder = CORRECTED / name
    if name == "none":
        return frozenset(), []
    if not folder.is_dir():
        return frozenset(), [f"{folder}, which the segmenter learned from, is not there."]
    done = frozenset(find_corrected(folder, manifest))
    return done, [f"Left out: {len(done):,} images with a corrected mask in {folder}."]


def read_confidences(table: Path) -> dict[str, float]:
    """Image id -> confidence of the CAMs of its label; empty where there is no table."""
    from weaktr.metrics.image_table import read_label_rows

    if not table.is_file():
        return {}
    return {row.id: row.confidence for row in read_label_rows(table)}
