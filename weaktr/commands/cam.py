"""`weaktr cam`."""

from pathlib import Path

import numpy as np

from weaktr.cam_picture import cam_figure, chosen_classes, class_maps, save_cam_picture
from weaktr.data.images import read_image
from weaktr.errors import UserError
from weaktr.known_tags import parse_class_tags
from weaktr.model_uri import load_named_model
from weaktr.runtime import choose_device, set_threads


def run(model: str, image: Path, output: Path | None, *, tags: str | None, device: str) -> Path:
    """Draws the class maps of an image.

    Returns:
        The picture's path.
    """
    pixels = np.array(read_image(image))
    output = output or Path(f"{image.stem}.cam.png")
    if output.resolve() == image.resolve():
        raise UserError(f"--output {output} is the image itself; choose another name.")
    if output.is_dir():
        raise UserError(f"--output {output} is a folder; name a file.")
    set_threads(0)
    loaded = load_named_model(model, choose_device(device, given_as="--device"), kind="cam")
    known = parse_class_tags(tags, loaded.classes) if tags is not None else ()
    seen = class_maps(loaded.model, pixels)
    chosen = chosen_classes(seen, known)
    save_cam_picture(cam_figure(seen, loaded.classes, chosen, image.name), output)
    return output
