"""`weaktr predict`: masks and a table for images."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from weaktr.cli.options import Device, Model
from weaktr.errors import UserError
from weaktr.labelling.format_names import FormatName

if TYPE_CHECKING:
    from weaktr.config.values import Precision
    from weaktr.predict.run import Outcome

EACH = 64
"""Images for which one more process pays: it starts in seconds."""


def predict(
    model: Model,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...",
            help="Image files, folders (searched at any depth) and glob patterns.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "predictions"
    ),
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also paint each mask over its image.")
    ] = False,
    scales: Annotated[
        str, typer.Option(help="Working scales to average over, such as 0.75,1,1.25.")
    ] = "1",
    flip: Annotated[bool, typer.Option(help="Average with the mirrored image.")] = True,
    short_side: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Short side of an image at scale 1, in pixels. Larger finds smaller things.",
            show_default="as in training",
        ),
    ] = None,
    crf: Annotated[
        bool, typer.Option("--crf", help="Sharpen the masks along edges with a dense CRF.")
    ] = False,
    tags: Annotated[
        str | None,
        typer.Option(
            help="Classes known to be in the images; no other is found. Names for all images "
            "(cat,dog), or a CSV file with the columns image and tags.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        FormatName | None,
        typer.Option(
            help="Also write the masks for a labelling tool; `weaktr masks-to` has more options.",
            show_default=False,
        ),
    ] = None,
    max_megapixels: Annotated[
        float | None,
        typer.Option(min=0, help="Skip larger images before they are decoded.", show_default="160"),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="Of the network: float32, or tf32, bfloat16, float16, auto for speed."),
    ] = "float32",
    device: Device = "auto",
    devices: Annotated[
        str,
        typer.Option(help="Processes that share the images: a number, or auto: one per GPU."),
    ] = "auto",
) -> None:
    """Segment images: masks and a table.

    OUTPUT gets masks/ (palette PNG at the image's own size: 0 background, 1.. classes),
    overlays/ if asked for, for-FORMAT/ with --format, classes.csv (what the ids mean) and
    predictions.csv (classes found, share of the area of each, mean confidence of all pixels and
    of each class's).
    Sub-folders of the images are kept.

    Exit code 1: some images could not be read, or not be segmented in the memory that there is;
    they are listed at the end.

    \b
    weaktr predict models/segmenter photo.jpg --overlay
    weaktr predict models/segmenter photos/ 'more/**/*.png' -o found --scales 0.75,1,1.25
    weaktr predict models/segmenter photos/ --tags photos/tags.csv --crf
    weaktr predict models/segmenter photos/ --format labelstudio
    weaktr predict models/segmenter photos/ --devices 4
    weaktr predict runs:/3f2a.../segmenter photos/
    weaktr predict models:/animals/1 photos/
    """
    from weaktr.cli.masks_to import refuse_existing
    from weaktr.config.values import MAX_MEGAPIXELS
    from weaktr.data.images import PixelLimit
    from weaktr.device import choose_device, count_processes, devices_of, set_threads
    from weaktr.experiments.model_uri import load_named_model
    from weaktr.models.segmenter import Segmenter
    from weaktr.precision import choose_precision
    from weaktr.predict import run
    from weaktr.predict.image_paths import find_images
    from weaktr.predict.known_tags import read_known_tags

    numbers = parse_scales(scales)
    wanted = parse_devices(devices)
    if format is not None:
        refuse_existing(output / f"for-{format}")
    passed_over: list[str] = []
    results = [output / name for name in ("masks", "overlays", "for-palette")]
    paths = find_images(images, skip=results, notes=passed_over)
    for note in passed_over:
        print(f"Note: {note}", file=sys.stderr)
    set_threads(0)
    chosen = choose_device(device, given_as="--device")
    exactness = choose_precision(parse_precision(precision), chosen, given_as="--precision")
    if exactness != precision:
        print(f"Note: --precision {precision} is {exactness} on {chosen}", file=sys.stderr)
    processes = count_processes(wanted, chosen, given_as="--devices")
    if wanted == "auto":
        processes = min(processes, -(-len(paths) // EACH))
    loaded = load_named_model(model, Segmenter, "cpu" if processes > 1 else chosen)
    allowed = None
    if tags is not None:
        allowed, notes = read_known_tags(tags, paths, loaded.classes)
        for note in notes:
            print(f"Warning: {note}", file=sys.stderr)
    outcome = run.predict(
        loaded.model,
        loaded.classes,
        paths,
        output,
        run.prediction_params(
            loaded.model.params,
            scales=numbers,
            flip=flip,
            short_side=short_side,
            crf=crf,
            precision=exactness,
        ),
        allowed=allowed,
        overlay=overlay,
        limit=PixelLimit(
            MAX_MEGAPIXELS if max_megapixels is None else max_megapixels,
            "make it smaller, cut it into tiles, or raise --max-megapixels",
        ),
        threads=min(8, os.cpu_count() or 1),
        devices=devices_of(processes, chosen) if processes > 1 else (),
    )
    say(outcome, output)
    if format is not None and len(outcome.skipped) < outcome.images:
        _write_for_tool(output, format)
    raise typer.Exit(1 if outcome.skipped else 0)


def _write_for_tool(output: Path, format: FormatName) -> None:
    """Writes the predictions as `weaktr masks-to` does by default."""
    from weaktr.cli.masks_to import said
    from weaktr.labelling.find_images import find_labelled_images
    from weaktr.labelling.labelled_image import Style
    from weaktr.labelling.write import write_labels

    found = find_labelled_images(output)
    style = Style()
    written = write_labels(found.images, found.classes, format, output / f"for-{format}", style)
    for line in (*found.notes[:1], *said(written, found, format, style)):
        print(line)


def parse_scales(text: str) -> tuple[float, ...]:
    """`0.75,1` as numbers.

    Raises:
        UserError: If they are not numbers from 0.1 to 10.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0.1 <= number <= 10 for number in numbers):
        raise UserError(
            "--scales must be numbers from 0.1 to 10 with commas between them, such as 0.75,1,1.25."
            f" Got: {text!r}"
        )
    return numbers


def parse_precision(text: str) -> "Precision":
    """One of the precisions.

    Raises:
        UserError: If it is none.
    """
    from weaktr.config.values import Precision

    if text not in get_args(Precision):
        raise UserError(
            f"--precision must be one of {', '.join(get_args(Precision))}. Got: {text!r}"
        )
    return cast("Precision", text)


def parse_devices(text: str) -> "int | Literal['auto']":
    """`auto` or a number of processes.

    Raises:
        UserError: If it is neither.
    """
    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise UserError(f"--devices must be auto or a number from 1. Got: {text!r}")
    return int(text)


def say(outcome: "Outcome", output: Path) -> None:
    """Says what was made, lists what was skipped, and warns of what was nearly black."""
    from weaktr.data.depth import dark_images

    done = outcome.images - len(outcome.skipped)
    print(f"{done} of {outcome.images} images segmented: {output / 'predictions.csv'}")
    if outcome.skipped:
        print(f"Skipped: {len(outcome.skipped)}", file=sys.stderr)
    for problem in outcome.skipped:
        print(f"  {problem}", file=sys.stderr)
    if (dark := dark_images(outcome.peaks)) is not None:
        print(f"Warning: {dark}", file=sys.stderr)
