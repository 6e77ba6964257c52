"""`weaktr cam`: a picture of what a CAM network sees in an image."""

from pathlib import Path
from typing import Annotated

import typer

from weaktr.cli.options import Device, Model, check_png
from weaktr.errors import UserError


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
    import numpy as np

    from weaktr.data.images import PixelLimit, read_image
    from weaktr.device import choose_device, set_threads
    from weaktr.experiments.model_uri import load_named_model
    from weaktr.models.cam_network import CAMNetwork
    from weaktr.predict.known_tags import parse_class_tags
    from weaktr.report.cam_picture import cam_figure, chosen_classes, class_maps, save_picture

    pixels = np.array(read_image(image, PixelLimit()))
    output = output or Path(f"{image.stem}.cam.png")
    if output.resolve() == image.resolve():
        raise UserError(f"--output {output} is the image itself; choose another name.")
    check_png(output)
    set_threads(0)
    loaded = load_named_model(model, CAMNetwork, choose_device(device, given_as="--device"))
    known = parse_class_tags(tags, loaded.classes) if tags is not None else ()
    seen = class_maps(loaded.model, pixels)
    chosen = chosen_classes(seen, known)
    save_picture(cam_figure(seen, loaded.classes, chosen, image.name), output)
    typer.echo(output)
