"""`weaktr masks-to`: masks as files for labelling tools."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weaktr.errors import UserError
from weaktr.labelling.format_names import FormatName

if TYPE_CHECKING:
    from weaktr.labelling.find_images import Found
    from weaktr.labelling.labelled_image import Style
    from weaktr.labelling.write import Outcome

NEXT = {
    "coco": "CVAT and FiftyOne import it as COCO, pycocotools and `dataset.kind: coco` read it.",
    "yolo": "Put the images, or a link to them, beside it as `images`.",
    "labelstudio": "Import it into a project whose labelling interface is labels.xml.",
    "cvat": "Make a task with labels.json and the images, then upload it as CVAT 1.1.",
    "palette": "Zip the folder and upload it to CVAT as Segmentation mask 1.1.",
}


def masks_to(
    masks: Annotated[
        Path,
        typer.Argument(
            metavar="MASKS",
            help="Results of `weaktr predict`, a folder of masks (such as data/pseudo-labels), or "
            "a list of them (data/prepared/masks.csv).",
            show_default=False,
        ),
    ],
    format: Annotated[FormatName, typer.Option(help="What to write.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A new folder.", show_default=False)
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the images, from which their names start; or data/prepared.",
            show_default="what `weaktr predict` noted",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="What the ids are: voc, coco, cat,dog, or a file with one name per line.",
            show_default="the list beside the masks or in data/prepared",
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Table with the columns id and confidence, such as reports/evaluate/images.csv.",
            show_default="what `weaktr predict` noted",
        ),
    ] = None,
    polygons: Annotated[
        bool,
        typer.Option("--polygons", help="Polygons, where the format can hold pixels as well."),
    ] = False,
    split_parts: Annotated[
        bool,
        typer.Option(
            "--split-parts", help="One annotation for each connected part, not for each class."
        ),
    ] = False,
    min_area: Annotated[
        int, typer.Option(min=0, help="Leave out connected parts of fewer pixels.")
    ] = 0,
    image_prefix: Annotated[
        str,
        typer.Option(
            help="Label Studio: what stands before the names, such as "
            "'/data/local-files/?d=photos/'.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Write masks for a labelling tool: COCO, YOLO, Label Studio, CVAT or palette PNG.

    Every pixel and hole is kept: as run-length codes, or as polygons that hold the same pixels.
    Void pixels are left out (palette keeps them). docs/data.md says how each tool takes it, and
    what comes back from it is read with dataset.kind.

    \b
    weaktr masks-to predictions --format labelstudio -o for-labelstudio
    weaktr masks-to data/pseudo-labels --images data/prepared --format cvat -o for-cvat
    weaktr masks-to masks --images photos --classes cat,dog --format coco --min-area 20 -o coco
    """
    from weaktr.labelling.find_images import find_labelled_images
    from weaktr.labelling.labelled_image import Style
    from weaktr.labelling.write import write_labels

    if image_prefix and format != "labelstudio":
        raise UserError("--image-prefix is for --format labelstudio only; leave it out.")
    refuse_existing(output)
    found = find_labelled_images(masks, images, classes, scores)
    style = Style(
        polygons=polygons,
        split_parts=split_parts,
        min_area=min_area,
        image_prefix=image_prefix,
    )
    outcome = write_labels(found.images, found.classes, format, output, style)
    for note in found.notes:
        typer.echo(note)
    for line in said(outcome, found, format, style):
        typer.echo(line)


def refuse_existing(folder: Path) -> None:
    """Does nothing if the folder is not there, or empty.

    Raises:
        UserError: If it is: it would be replaced as a whole.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} exists already; move it away, or name another --output.")


def said(outcome: "Outcome", found: "Found", format: str, style: "Style") -> Sequence[str]:
    """What was written, what was left out, and what to do with it."""
    lines = []
    left = outcome.left
    if left.parts:
        lines.append(
            f"Left out: {left.parts} parts of fewer than {style.min_area} pixels "
            f"({left.part_pixels} pixels)."
        )
    if left.void_pixels and format != "palette":
        lines.append(
            f"Left out: {left.void_pixels} void pixels; the tool takes them for background."
        )
    if outcome.empty:
        lines.append(f"Images without any region: {outcome.empty}.")
    lines.append(
        f"{outcome.path}: {outcome.images} images, {outcome.regions} regions of "
        f"{len(found.classes)} classes. {NEXT[format]}"
    )
    return lines
