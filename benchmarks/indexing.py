"""Indexing a folder of small images: seconds and peak memory."""

import io
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.manifest import Manifest

_DIFFERENT = 64
_TAGS = ("cat", "cow", "dog", "horse", "sheep")


@dataclass(frozen=True)
class IndexingResult:
    """What one run took.

    Attributes:
        images: Number of images.
        seconds: Listing, decoding and hashing all of them, and writing and reading the manifest.
        cpu_seconds: The same as processor time, summed over processes: what a busy machine does not
            change.
        peak_mib: Peak resident memory of this process plus that of every worker process, in MiB
            (the largest worker's, times their number).
    """

    images: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


def run(
    images: int = 100_000, *, width: int = 128, height: int = 96, workers: int = 2
) -> IndexingResult:
    """Writes a folder data set of noisy JPEG files and measures how long indexing takes.

    Args:
        images: Number of images.
        width: Their width in pixels.
        height: Their height.
        workers: Processes.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        _write_images(root, images, width, height)
        params = DatasetParams(kind="folder", root=str(root))
        start, cpu = time.perf_counter(), _cpu_seconds()
        report = check_dataset(params, workers=workers)
        report.raise_for_errors()
        report.manifest.save(Path(folder) / "manifest")
        assert len(Manifest.load(Path(folder) / "manifest")) == images
        seconds, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return IndexingResult(images, seconds, cpu, (own + workers * worker) / 1024)


def _cpu_seconds() -> float:
    """Processor time of this process and of those that it has ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


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


if __name__ == "__main__":
    print(run())
