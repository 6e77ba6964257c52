"""`weaktr heads`: what each attention head of a CAM network does."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weaktr.cli.options import Device, Model, check_classes, check_png
from weaktr.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from weaktr.data.manifest import Manifest, Record
    from weaktr.heads.atlas import Atlas

EXAMPLES = 3
SHOWN = 12
"""Heads that the table has from each end; with twice as many or fewer, all."""


def heads(
    model: Model = "models/cam",
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG to write.")] = Path(
        "heads.png"
    ),
    images: Annotated[
        int, typer.Option(min=1, help="At most so many, drawn by their ids: always the same ones.")
    ] = 100,
    split: Annotated[str, typer.Option(help="Split that they are of.")] = "train",
    with_masks: Annotated[
        bool,
        typer.Option("--masks", help="Measure by true masks too: an oracle, which trains nothing."),
    ] = False,
    prepared: Annotated[Path, typer.Option(help="Folder of the manifest.")] = Path("data/prepared"),
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Show what each attention head does, and whether the fusion's weights know it.

    For every head of every layer: its weight, where its attention goes, and how much more of it
    than by chance lies on the object (lift), for its class rows and for its affinity. The object is
    taken from the coarse CAM, in which heads have no part; --masks adds the mIoU of each head alone
    by true masks, and what the best choice of heads would gain. docs/heads.md explains the columns.

    \b
    weaktr heads
    weaktr heads models/cam --masks --images 200 -o atlas.png
    weaktr heads --json | jq '.rank_correlations'
    """
    from rich.console import Console

    from weaktr.data.manifest import Manifest
    from weaktr.device import choose_device, set_threads
    from weaktr.experiments.model_uri import load_named_model
    from weaktr.heads.atlas import make_atlas
    from weaktr.heads.picture import atlas_figure
    from weaktr.heads.seen import see
    from weaktr.heads.words import as_json as everything
    from weaktr.heads.words import sentences
    from weaktr.models.cam_network import CAMNetwork
    from weaktr.report.cam_picture import save_picture

    check_png(output)
    manifest = Manifest.load(prepared)
    records, masks = chosen_images(manifest, split, images, prepared if with_masks else None)
    set_threads(0)
    loaded = load_named_model(model, CAMNetwork, choose_device(device, given_as="--device"))
    check_classes(model, loaded.classes, prepared, manifest.classes)
    atlas = make_atlas(loaded.model, records, manifest.classes, masks)
    examples = [see(loaded.model, record, manifest.classes) for record in records[:EXAMPLES]]
    title = f"{model}: {atlas.weight.size} heads, {len(records)} images of {split}"
    save_picture(atlas_figure(atlas, examples, manifest.classes, title), output)
    if as_json:
        typer.echo(json.dumps({**everything(atlas), "picture": str(output)}, indent=2))
        return
    console = Console()
    console.print(table(atlas))
    for sentence in sentences(atlas):
        console.print(sentence, markup=False, highlight=False)
    typer.echo(output)


def chosen_images(
    manifest: "Manifest", split: str, most: int, masks_in: Path | None
) -> "tuple[list[Record], dict[str, str] | None]":
    """The images to look at, and their masks.

    Args:
        manifest: All splits.
        split: Whose images.
        most: At most so many.
        masks_in: Folder of the list of masks; then only images that have one are chosen.

    Raises:
        UserError: If there are none, or fewer than two where masks are asked for.
    """
    from weaktr.data.manifest import MASKS_FILE, Manifest, load_masks
    from weaktr.heads.atlas import choose_images

    part, masks = manifest.require_split(split), None
    if masks_in is not None:
        masks = load_masks(masks_in)
        part = Manifest(part.classes, tuple(one for one in part.records if one.id in masks))
        most = max(most, 2)
    records = choose_images(part, most)
    if masks_in is not None and len(records) < 2:
        raise UserError(
            f"{masks_in / MASKS_FILE} has masks of {len(records)} images of {split} with tags, and "
            "--masks needs two or more; leave it out, or name another split."
        )
    if not records:
        raise UserError(f"no image of {split} has a tag; name another split.")
    return records, masks


def table(atlas: "Atlas") -> "Table":
    """The heads as a table of at most 80 columns: all of them, or the best and the worst."""
    import numpy as np
    from rich.table import Table

    from weaktr.heads.picture import head_name

    rows, affinity = atlas.quality
    total = atlas.weight.size
    order = list(range(total))
    title = "Heads, as layer.head"
    if total > 2 * SHOWN:
        order = np.argsort(-(rows + affinity), axis=None, kind="stable").tolist()
        order = order[:SHOWN] + order[-SHOWN:]
        title += f": best {SHOWN} and worst {SHOWN} of {total} (--json has all)"
    made = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    made.add_column("head\n", no_wrap=True)
    columns = ["weight\nmean", "p10 to p90", "entropy\n0 to 1", "distance\npatches"]
    columns += ["row\nlift %", "affinity\nlift %"]
    columns += ["row\nmIoU %", "affinity\nmIoU %"] if atlas.oracle is not None else []
    for column in columns:
        made.add_column(column, justify="right", no_wrap=True)
    for place, i in enumerate(order):
        cells = [
            f"{atlas.weight.flat[i]:.3f}",
            f"{atlas.weight_low.flat[i]:.3f} {atlas.weight_high.flat[i]:.3f}",
            f"{atlas.entropy.flat[i]:.2f}",
            f"{atlas.distance.flat[i]:.1f}",
            _lift(atlas.class_row.flat[i]),
            _lift(atlas.affinity.flat[i]),
        ]
        if atlas.oracle is not None:
            cells += [f"{rows.flat[i]:.1f}", f"{affinity.flat[i]:.1f}"]
        ends = total > 2 * SHOWN and place == SHOWN - 1
        made.add_row(head_name(i, atlas.weight.shape[1]), *cells, end_section=ends)
    return made


def _lift(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:+.0f}"
