"""`python -m benchmarks.scale`: what `prepare`, DVC and export take for more and more images.

Makes folders of tiny images, indexes them, gives them to real `dvc` in a temporary repository, and
exports labels from a tiny network that was not trained. Seconds are of CPU.
"""

import argparse
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
PER_FOLDER = 5000
CLASSES = ("cat", "dog")
INDEX = """
import sys
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
if __name__ == "__main__":
    report = check_dataset(DatasetParams(kind="folder", root=sys.argv[1]))
    report.raise_for_errors()
    report.manifest.save("prepared")
"""
LOAD = """
import resource, time
from weaktr.data.manifest import Manifest
before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
manifest = Manifest.load("prepared")
seconds = time.process_time() - begun
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
EXPORT = """
import resource, time
from pathlib import Path
import torch
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.crf import CrfParams
from weaktr.config.labels import LabelParams
from weaktr.data.manifest import Manifest
from weaktr.journal import ImageJournal
from weaktr.models.cam_network import CAMNetwork
from weaktr.pseudo_labels.export import export_labels
torch.set_num_threads(1)
torch.manual_seed(0)
manifest = Manifest.load("prepared")
backbone = BackboneParams(name="vit_tiny_patch16_224", weights="none", patch_size=8)
backbone = backbone.model_copy(update={"embed_dim": 24, "depth": 2, "num_heads": 2})
params = CamParams(backbone=backbone, input_size=32, reduction=2, feat_reduction=2)
model = CAMNetwork.from_params(params, len(manifest.classes)).eval()
labels = LabelParams(scales=(1.0,), crf=CrfParams(iterations=2))
for _ in range(2):  # the second time, all is done
    folders = ("cams", ".safetensors"), ("labels", ".png")
    cams, pngs = (ImageJournal(Path(f), s, say=lambda line: None) for f, s in folders)
    begun = time.process_time()
    export_labels(model, manifest, {}, labels, cams=cams, labels=pngs, threads=1)
    print(time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
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
    """Seconds of CPU that a command takes, its children's with it, and what it prints."""
    before = _cpu()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return _cpu() - before, done.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(count: int, *, export: bool) -> str:
    """A row of the table, in a new repository in the working directory."""
    write_images(Path("raw"), count)
    for command in (("git", "init", "-q"), ("dvc", "init", "-q")):
        run(*command)
    run("dvc", "config", "cache.type", "copy")
    index, _ = run(sys.executable, "-c", INDEX, "raw")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    _, load = run(sys.executable, "-c", LOAD)
    seconds, memory = map(float, load.split())
    exported = run(sys.executable, "-c", EXPORT)[1].split() if export else ["-"] * 4
    added, _ = run("dvc", "add", "-q", "raw")
    status, _ = run("dvc", "status", "-q")
    shutil.rmtree("raw")
    checkout, _ = run("dvc", "checkout", "-q")
    size = Path("prepared/manifest.csv").stat().st_size / 2**20
    cells = [f"{count:,}", f"{index:.1f}", f"{children:.0f}", f"{size:.1f}"]
    cells += [f"{seconds:.2f}", f"{memory:.0f}", f"{added:.1f}", f"{status:.1f}", f"{checkout:.1f}"]
    cells += [f"{float(cell):.0f}" if export else cell for cell in exported[:3]]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Prints one row for every number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--most-exported", type=int, default=10_000, help="export no more images")
    arguments = parser.parse_args()
    head = ("images", "index s", "MiB", "manifest MiB", "load s", "load MiB")
    dvc = ("dvc add s", "status s", "checkout s")
    print("| " + " | ".join((*head, *dvc, "export s", "MiB", "again s")) + " |")
    print("|" + "---|" * 12)
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            print(measure(count, export=count <= arguments.most_exported), flush=True)
            os.chdir("/")


if __name__ == "__main__":
    main()
