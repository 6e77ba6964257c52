"""`weaktr`: what a user with a trained model or a new data set calls.

Nothing heavy is imported before a command runs: `weaktr --help` loads neither torch nor mlflow.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from weaktr.console import one_sentence

app = typer.Typer(
    help="From image-level tags to segmentation masks. `dvc repro` trains; these commands check "
    "data before it and use models after it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Kind = Literal["voc", "coco", "folder", "shapes"]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A folder with model.safetensors and config.json, runs:/<run id>/segmenter (or /cam), "
        "or models:/<name>/<version>.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]


@app.command()
def check_data(
    params: Annotated[
        Path | None,
        typer.Option(help="Params file.", show_default="params.yaml, unless --root is given"),
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Layout: dataset.kind.")] = None,
    root: Annotated[str | None, typer.Option(help="The data set's folder: dataset.root.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Subset of classes: dataset.classes, such as cat,dog.")
    ] = None,
    train_split: Annotated[str | None, typer.Option(help="dataset.train_split.")] = None,
    val_split: Annotated[str | None, typer.Option(help="dataset.val_split.")] = None,
    tags_from: Annotated[
        Literal["auto", "annotations", "table", "masks"] | None,
        typer.Option(help="dataset.tags_from."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one a core")
    ] = None,
) -> None:
    """Check a data set and list all problems.

    Reads every image, tag and mask.

    Exit code 0: fit for training. 2: training would fail.

    \b
    weaktr check-data
    weaktr check-data --kind folder --root my-photos
    weaktr check-data --params params.yaml --val-split test
    """
    from weaktr.commands.check_data import run

    given = {
        "kind": kind,
        "root": root,
        "classes": classes,
        "train_split": train_split,
        "val_split": val_split,
        "tags_from": tags_from,
    }
    overrides = {key: value for key, value in given.items() if value is not None}
    raise typer.Exit(run(params, overrides, workers=workers))


@app.command()
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
    device: Device = "auto",
) -> None:
    """Segment images: masks and a table.

    OUTPUT gets masks/ (palette PNG at the image's own size: 0 background, 1.. classes),
    overlays/ if asked for, classes.csv (what the
    ids mean) and predictions.csv (classes found, share of the area of each, mean confidence).
    Sub-folders of the images are kept.

    Exit code 1: some images could not be read; they are listed at the end.

    \b
    weaktr predict models/segmenter photo.jpg --overlay
    weaktr predict models/segmenter photos/ 'more/**/*.png' -o masks --scales 0.75,1,1.25
    weaktr predict models/segmenter photos/ --tags photos/tags.csv --crf
    weaktr predict runs:/3f2a.../segmenter photos/
    weaktr predict models:/animals/1 photos/
    """
    from weaktr.commands.predict import run

    raise typer.Exit(
        run(
            model,
            images,
            output,
            overlay=overlay,
            scales=scales,
            flip=flip,
            short_side=short_side,
            crf=crf,
            tags=tags,
            device=device,
        )
    )


@app.command()
def cam(
    model: Model,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="PNG to write.", show_default="<image>.cam.png"),
    ] = None,
    tags: Annotated[
        str | None,
        typer.Option(help="Classes to show.", show_default="the most probable ones"),
    ] = None,
    device: Device = "auto",
) -> None:
    """Draw a CAM network's maps of an image.

    For each class the coarse map, the class-to-patch attention, their product and the fine map,
    and, for the image, the weights of all attention heads, layer by layer.

    \b
    weaktr cam models/cam photo.jpg
    weaktr cam models/cam photo.jpg --tags cat,dog -o maps.png
    """
    from weaktr.commands.cam import run

    typer.echo(run(model, image, output, tags=tags, device=device))


@app.command()
def export(
    model: Model,
    format: Annotated[Literal["onnx"], typer.Option(help="File format.")] = "onnx",
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "model.onnx"
    ),
) -> None:
    """Export a segmenter to ONNX.

    The file is checked against the torch model. Input `images`: float32 [batch, 3, height,
    width], RGB from 0 to 1, any size. Output `logits`: [batch, labels, height, width]. Class names
    are in its metadata.

    Needs the extra `onnx`: pip install 'weaktr[onnx]'

    \b
    weaktr export models/segmenter -o model.onnx
    """
    from weaktr.commands.export import run

    typer.echo(run(model, format, output))


@app.command()
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
            help="Class names in the checkpoint's order: voc, coco, a text file with one name a "
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
    from weaktr.commands.import_checkpoint import run

    lines = run(
        checkpoint,
        output,
        classes=classes,
        kind=kind,
        backbone=backbone,
        num_heads=num_heads,
        pool=pool,
        decoder_heads=decoder_heads,
    )
    for line in lines:
        typer.echo(line)


@app.command()
def register(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="runs:/<run id>/segmenter (or /cam).", show_default=False
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    alias: Annotated[
        str | None, typer.Option(help="A name for this version: models:/NAME@ALIAS.")
    ] = None,
) -> None:
    """Name a model in MLflow's registry.

    The id of the run that trained a model is in reports/train_decoder/run.json.

    \b
    weaktr register runs:/3f2a.../segmenter animals --alias best
    weaktr predict models:/animals@best photos/
    """
    from weaktr.model_uri import register_model

    version = register_model(run, name, alias=alias)
    typer.echo(f"models:/{name}/{version}")


@app.command()
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show this one.", show_default=False)
    ] = None,
    use: Annotated[
        list[str] | None,
        typer.Option(
            help="Write this recipe's values into the params file; the rest of it stays. Again for "
            "another one on top.",
            show_default=False,
        ),
    ] = None,
    params: Annotated[Path, typer.Option(help="Params file; recipes/ lies beside it.")] = Path(
        "params.yaml"
    ),
) -> None:
    """List the recipes, what they need and should reach.

    A recipe is a set of params: a published setting, an ablation, the demo. To run one without
    touching params.yaml by hand: dvc exp run -S '+recipes=NAME'.

    \b
    weaktr recipes
    weaktr recipes voc12-vit-s
    weaktr recipes --use voc12-vit-s && dvc repro
    weaktr recipes --use demo --use ablation-mean-fusion
    """
    from weaktr.commands.recipes import run

    run(name, use or [], params)


def main() -> None:
    """The console script."""
    with one_sentence():
        app(prog_name="weaktr")


if __name__ == "__main__":
    main()
