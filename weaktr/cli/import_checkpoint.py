"""`weaktr import-checkpoint`: a released checkpoint as a model folder."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from weaktr.errors import UserError


def import_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A .pth file.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Folder to write.", show_default=False)
    ],
    classes: Annotated[
        str,
        typer.Option(
            help="Class names in the checkpoint's order: voc, coco, a text file with one name per "
            "line, or the names, separated by commas.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        Literal["auto", "cam", "segmenter"],
        typer.Option(help="What it is; auto tells by the tensors' names."),
    ] = "auto",
    backbone: Annotated[
        str | None,
        typer.Option(
            help="timm name of the ViT.",
            show_default="from variant.yml beside it; deit_small_patch16_224 for CAM networks",
        ),
    ] = None,
    num_heads: Annotated[
        int | None,
        typer.Option(min=1, help="Heads of the ViT, where they are not the timm model's own."),
    ] = None,
    pool: Annotated[
        Literal["max", "avg"], typer.Option(help="Pooling of the attention fusion.")
    ] = "max",
    decoder_heads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Heads of the mask transformer.", show_default="one for 64 channels"
        ),
    ] = None,
) -> None:
    """Import a released checkpoint.

    A .pth file of hustvl/WeakTr becomes a model folder. Every tensor is accounted for; one that is
    unknown, missing or of another shape is refused by name.

    \b
    weaktr import-checkpoint checkpoint.pth models/voc-cam --classes voc
    weaktr import-checkpoint decoder/checkpoint.pth models/voc --classes voc
    weaktr import-checkpoint ckpt.pth models/coco --classes coco --backbone vit_small_patch16_384
    """
    from weaktr.config.backbone import BackboneParams
    from weaktr.convert import released
    from weaktr.data.readers.class_lists import class_list

    if num_heads is not None and backbone is None:
        raise UserError("--num-heads needs --backbone, the timm name of the ViT.")
    vit = BackboneParams(name=backbone, weights="none", num_heads=num_heads) if backbone else None
    done = released.import_checkpoint(
        checkpoint,
        output,
        classes=class_list(classes),
        kind=kind,
        backbone=vit,
        pool=pool,
        decoder_heads=decoder_heads,
    )
    typer.echo(f"{output}: a {done.kind}, {done.params.backbone.name}, {len(done.renamed)} tensors")
    for reason, count in Counter(done.dropped.values()).items():
        typer.echo(f"left out: {count} tensors ({reason})")
