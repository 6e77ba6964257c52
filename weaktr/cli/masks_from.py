"""`weaktr masks-from`: corrected masks out of a labelling tool's export."""

from pathlib import Path
from typing import Annotated

import typer

from weaktr.cli.masks_to import refuse_existing


def masks_from(
    export: Annotated[
        Path,
        typer.Argument(
            metavar="EXPORT",
            help="Folder with the tool's export and its images.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="Its layout, a dataset.kind: labelstudio, cvat, coco, yolo, voc, folder, "
            "imagefolder.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A new folder: data/corrected/NAME.", show_default=False
        ),
    ],
    split: Annotated[
        str,
        typer.Option(
            help="The export's own word: in COCO's file names (instances_default.json), of a list "
            "of VOC."
        ),
    ] = "train",
    prepared: Annotated[Path, typer.Option(help="Folder of the run's manifest.")] = Path(
        "data/prepared"
    ),
) -> None:
    """Turn a labelling tool's export into corrected masks.

    OUTPUT gets one PNG per image with a mask, with the ids of the run's classes, which are matched
    by name. Images are matched by name too. What training would refuse is refused here.

    \b
    weaktr masks-from review/labelstudio --kind labelstudio -o data/corrected/first
    dvc exp run -S decoder.corrected=first
    """
    from weaktr.config.load import parse_params
    from weaktr.data.manifest import Manifest
    from weaktr.review.collect import collect_masks

    refuse_existing(output)
    section = {
        "kind": kind,
        "root": str(export),
        "train_split": split,
        "val_split": "",
        "val_share": 0.0,
    }
    params = parse_params({"dataset": section}, "--kind").dataset
    collected = collect_masks(params, Manifest.load(prepared), output)
    for note in collected.notes:
        typer.echo(note)
    typer.echo(f"{output}: {collected.masks:,} masks. Next: -S decoder.corrected={output.name}")
