"""`python -m benchmarks.scale`: what `prepare` and DVC take for more and more images.

Makes folders of tiny images, indexes them, and gives them to real `dvc` in a temporary repository.
"""

import argparse
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
PER_FOLDER = 5000
CLASSES = ("cat", "dog")
INDEX = """
import sys, time
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.manifest import Manifest
if __name__ == "__main__":
    begun = time.monotonic()
    report = check_dataset(DatasetParams(kind="folder", root=sys.argv[1]))
    report.raise_for_errors()
    report.manifest.save("prepared")
    print(time.monotonic() - begun)
"""
LOAD = """
import resource, time
from weaktr.data.manifest import Manifest
before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
manifest = Manifest.load("prepared")
seconds = time.monotonic() - begun
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def write_images(root: Path, count: int) -> None:
    """Different images of one size, one folder per tag and 5,000 images."""
    rng = np.random.default_rng(0)
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(stream, "JPEG")
    for number in range(count):
        tag = CLASSES[number % len(CLASSES)]
        folder = root / tag / f"{number // PER_FOLDER:04}"
        folder.mkdir(parents=True, exist_ok=True)
        # Bytes behind the end of a JPEG do not change the picture, and make the file its own.
        (folder / f"{number:07}.jpg").write_bytes(stream.getvalue() + number.to_bytes(4, "big"))


def run(*command: str) -> tuple[float, str]:
    """Seconds that a command takes, and what it prints."""
    begun = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.monotonic() - begun, done.stdout


def measure(count: int) -> str:
    """A row of the table, in a new repository in the working directory."""
    write_images(Path("raw"), count)
    for command in (("git", "init", "-q"), ("dvc", "init", "-q")):
        run(*command)
    run("dvc", "config", "cache.type", "copy")
    _, index = run(sys.executable, "-c", INDEX, "raw")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    _, load = run(sys.executable, "-c", LOAD)
    seconds, memory = map(float, load.split())
    added, _ = run("dvc", "add", "-q", "raw")
    status, _ = run("dvc", "status", "-q")
    shutil.rmtree("raw")
    checkout, _ = run("dvc", "checkout", "-q")
    size = Path("prepared/manifest.csv").stat().st_size / 2**20
    cells = [f"{count:,}", f"{float(index):.1f}", f"{children:.0f}", f"{size:.1f}"]
    cells += [f"{seconds:.2f}", f"{memory:.0f}", f"{added:.1f}", f"{status:.1f}", f"{checkout:.1f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Prints one row for every number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[1000, 10_000, 100_000])
    head = ("images", "index s", "MiB", "manifest MiB", "load s", "load MiB")
    print("| " + " | ".join((*head, "dvc add s", "status s", "checkout s")) + " |")
    print("|" + "---|" * 9)
    for count in parser.parse_args().counts:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            print(measure(count), flush=True)
            os.chdir("/")


if __name__ == "__main__":
    main()
