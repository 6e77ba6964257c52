"""`python -m benchmarks.soak`: many images and epochs, while memory and open files stay flat.

Runs the stages of the pipeline on tiny generated images in one process, in a temporary folder, and
looks at the process twice a second.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch

from stages.common.runner import stage_named
from stages.common.stage import Context
from weaktr.config.load import parse_params

SIDE = 48
STAGES = ("prepare", "train_cam", "export_labels", "train_decoder", "evaluate")
EVERY = 0.5
"""Seconds between two looks."""


def soak_params(images: int, epochs: int) -> dict[str, Any]:
    """Params of a pipeline that is small in everything but images and epochs."""
    backbone = {"weights": "none", "name": "vit_tiny_patch16_224", "patch_size": 8}
    backbone |= {"embed_dim": 24, "depth": 2, "num_heads": 2}
    shapes = {"train_images": images, "val_images": 10, "image_side": SIDE}
    return {
        "dataset": {"kind": "shapes", "shapes": shapes},
        "cam": {"backbone": backbone, "input_size": SIDE, "reduction": 2, "feat_reduction": 2}
        | {"epochs": epochs, "warmup_epochs": 0, "cooldown_epochs": 0, "batch_size": 50}
        | {"augment": {"auto_augment": None, "color_jitter": 0.0}},
        "labels": {"scales": [1.0], "crf": {"iterations": 2}},
        "decoder": {"backbone": backbone, "crop_size": SIDE, "region": 12, "layers": 1}
        | {"epochs": epochs, "batch_size": 50, "augment": {"short_side": SIDE}},
        "evaluation": {"split": "train", "window": SIDE, "stride": SIDE, "crf": {"iterations": 2}},
    }


@dataclass
class Looks:
    """What was seen of the process.

    Attributes:
        memory: Resident set, MiB.
        files: Open files and sockets.
    """

    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def row(self, name: str, seconds: float) -> str:
        """A line of the table: the second quarter of the time against the last one."""
        cells = [name, f"{seconds:.0f}"]
        for values in (self.memory, self.files):
            quarter = max(1, len(values) // 4)
            early, late = median(values[quarter : 2 * quarter] or values), median(values[-quarter:])
            cells += [f"{early:.0f}", f"{late:.0f}", f"{max(values):.0f}"]
        return "| " + " | ".join(cells) + " |"


@contextmanager
def looking() -> Iterator[Looks]:
    """Looks at this process while the block runs."""
    looks, ended, process = Looks(), threading.Event(), psutil.Process()

    def look() -> None:
        while True:
            looks.memory.append(process.memory_info().rss / 2**20)
            looks.files.append(process.num_fds())
            if ended.wait(EVERY):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        ended.set()
        thread.join()


def main() -> None:
    """Prints one row for every stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    params = parse_params(soak_params(arguments.images, arguments.epochs))
    print("| stage | s | MiB, 2nd quarter | last | most | files, 2nd quarter | last | most |")
    print("|---|---|---|---|---|---|---|---|")
    stages = {name: stage_named(name) for name in STAGES}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, stage in stages.items():
            begun = time.monotonic()
            with looking() as looks:
                context = Context(params=params, device="cpu", reports=Path("reports") / name)
                stage.run(context)
            print(looks.row(name, time.monotonic() - begun), flush=True)
        os.chdir("/")


if __name__ == "__main__":
    main()
