"""`prepare` on a folder of small images: listing, decoding, hashing, the manifest out and in."""

import hashlib
import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.cases import Case, Line, Race
from benchmarks.limits import Part
from benchmarks.measure import Step
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.manifest import Manifest

IMAGES, WIDTH, HEIGHT = 4000, 128, 96
PLAIN, DECODING = "decode and hash, one by one", "JPEG decoding alone"
_DIFFERENT = 64
_TAGS = ("cat", "cow", "dog", "horse", "sheep")


def cases(device: torch.device) -> Iterator[Case]:
    """One; it grows with the images as `python -m benchmarks.scale` shows."""
    yield Case(
        family="indexing, an image",
        name=f"{IMAGES} images",
        seconds=20,
        build=_build,
    )


def _build(device: torch.device, stack: ExitStack) -> Race:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    root = folder / "data"
    _write_images(root, IMAGES, WIDTH, HEIGHT)
    workers = torch.get_num_threads()
    files = sorted(root.rglob("*.jpg"))
    steps: dict[str, Step] = {
        "ours": partial(_index, root, folder / "manifest", workers),
        PLAIN: partial(_one_by_one, files),
        DECODING: partial(_decode, files, workers),
    }
    line = Line(
        setting=f"{IMAGES} of {WIDTH}x{HEIGHT}, {workers} processes",
        against=PLAIN,
        limit=Part(DECODING),
    )
    return Race(steps=steps, lines=[line], per=dict.fromkeys(steps, IMAGES), memory=None)


def _index(root: Path, target: Path, workers: int) -> None:
    report = check_dataset(DatasetParams(kind="folder", root=str(root)), workers=workers)
    report.raise_for_errors()
    report.manifest.save(target)
    assert len(Manifest.load(target)) == IMAGES


def _one_by_one(files: list[Path]) -> None:
    for file in files:
        data = file.read_bytes()
        hashlib.blake2b(data, digest_size=16).hexdigest()
        Image.open(io.BytesIO(data)).convert("RGB")


def _decode(files: list[Path], workers: int) -> None:
    """Decodes side by side; Pillow lets other threads run meanwhile."""

    def decode(file: Path) -> None:
        image = Image.open(file)
        image.draft("L", (32, 32))
        image.load()

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(decode, files))


def _write_images(root: Path, images: int, width: int, height: int) -> None:
    """JPEG files, no two equal: a few pictures, each file with its number at the end."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(_DIFFERENT):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
        stream = io.BytesIO()
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
        pictures.append(stream.getvalue())
    lines = ["image,tags\n"]
    for index in range(images):
        file = root / "images" / f"{index // 1000:04d}" / f"{index:06d}.jpg"
        if index % 1000 == 0:
            file.parent.mkdir(parents=True)
        file.write_bytes(pictures[index % _DIFFERENT] + index.to_bytes(4, "big"))
        first, second = index % len(_TAGS), index // 7 % len(_TAGS)
        lines.append(f"{file.parent.name}/{file.name},{_TAGS[first]};{_TAGS[second]}\n")
    (root / "tags.csv").write_text("".join(lines), encoding="utf-8")
