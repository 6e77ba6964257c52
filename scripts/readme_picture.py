"""Draws docs/images/steps.png, from tags to masks, from what the demo's stages wrote.

    make repro && python -m scripts.readme_picture

The images are the first of the training split with two tags: nothing is chosen by how it looks.
"""

import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import weaktr
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, Record, load_label_maps
from weaktr.data.masks import read_mask
from weaktr.files import replace_file
from weaktr.labels import Pixels
from weaktr.models.cam_kinds import FINE

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "steps.png"
ROWS = 3
FEWER = 128
"""Colours of the PNG."""
COLOURS = np.full((256, 3), 255)
COLOURS[1:11] = matplotlib.colormaps["tab10"](np.arange(10))[:, :3] * 255
TITLES = ("image", "its tags", "CAM", "pseudo-label", "segmenter", "true mask")


def steps(record: Record, masks: dict[str, str], classes: tuple[str, ...]) -> list[Pixels | str]:
    """One row: pictures `[H, W, 3]`, and the tags as text."""
    image = np.array(read_image(record.image))
    tags = [classes.index(tag) for tag in record.tags]
    label = read_mask(Path("data/pseudo-labels") / f"{record.id}.png")
    predicted = weaktr.load("models/segmenter", device="cpu").segment(
        record.image, scales=(1.0, 1.25, 1.5)
    )
    return [
        image,
        "\n".join(record.tags),
        cam_overlay(image, record.image, tags),
        painted(image, label),
        painted(image, predicted.labels),
        painted(image, read_mask(masks[record.id])),
    ]


def painted(image: Pixels, labels: Pixels) -> Pixels:
    """Labels in bright colours over the greyed image; void is white."""
    return np.where(
        labels[..., None] > 0, 0.25 * image + 0.75 * COLOURS[labels], grey(image)
    ).astype(np.uint8)


def grey(image: Pixels) -> Pixels:
    """The image as a faint background."""
    faint = np.asarray(Image.fromarray(image).convert("L")) * 0.7 + 30
    return np.repeat(faint[..., None].astype(np.uint8), 3, axis=2)


def cam_overlay(image: Pixels, path: str, tags: list[int]) -> Pixels:
    """The fine CAM of every tag in its class's colour, over the greyed image."""
    network = weaktr.load("models/cam", device="cpu")
    maps = network.maps(path).maps[FINE.name][tags]
    height, width = image.shape[:2]
    heat = np.stack(
        [
            np.asarray(
                Image.fromarray(one / one.max()).resize((width, height), Image.Resampling.BILINEAR)
            )
            for one in np.maximum(maps, 0)
        ]
    )
    best = heat.argmax(0)
    opacity = np.clip(heat.max(0), 0, 1)[..., None]
    colour = COLOURS[np.array(tags)[best] + 1]
    return (grey(image) * (1 - opacity) + colour * opacity).astype(np.uint8)


def draw(rows: list[list[Pixels | str]]) -> bytes:
    """A PNG with few colours, so that it stays small; text is legible on white and on dark."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(1.45 * len(TITLES), 1.5 * len(rows) + 0.3), layout="constrained")
        axes = figure.subplots(len(rows), len(TITLES), squeeze=False)
        for row, cells in zip(axes, rows, strict=True):
            for place, cell in zip(row, cells, strict=True):
                place.set_axis_off()
                place.set_box_aspect(1)
                if isinstance(cell, str):
                    place.text(0.5, 0.5, cell, ha="center", va="center", fontsize=12)
                else:
                    place.imshow(cell, interpolation="nearest")
        for place, title in zip(axes[0], TITLES, strict=True):
            place.set_title(title)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, facecolor="white")
    few = Image.open(buffer).convert("RGB").quantize(FEWER, dither=Image.Dither.NONE)
    small = io.BytesIO()
    few.save(small, format="PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Writes the picture."""
    manifest = Manifest.load("data/prepared")
    masks = load_label_maps("data/prepared/masks.csv")
    training = [record for record in manifest.of_split("train") if len(record.tags) == 2]
    rows = [steps(record, dict(masks), manifest.classes) for record in training[:ROWS]]
    with replace_file(PICTURE) as temporary:
        temporary.write_bytes(draw(rows))


if __name__ == "__main__":
    main()
