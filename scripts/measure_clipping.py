"""When the clipped loss helps: segmenters on true masks that were spoiled in known ways.

    python -m scripts.measure_clipping --most 10

Takes the data set that `trouble-none` describes (the demo, smaller) and, for each noise and rate of
`scripts.label_noise`, trains the segmenter with plain cross-entropy and with clipping, for several
values at which it starts and sides of its regions, over three seeds. A seed moves the noise as well
as the training. Every training is the real stage, in a folder of its own below `tmp/`.

Each run is added to `docs/clipping.json`, and the table of docs/evidence.md is written anew. What
is there already is not run again; `--most` stops after so many runs. One takes about a minute.
"""

import argparse
import hashlib
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from scripts.label_noise import NOISES
from scripts.measure_results import REPOSITORY, run_stage
from scripts.pages import put_table
from weaktr.data.manifest import Manifest, load_masks
from weaktr.data.masks import read_mask, write_mask
from weaktr.experiments.recipes import compose_params
from weaktr.files import read_json, replace_dir, write_json
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.scores import mean_iou

RECIPE = "trouble-none"
CLEAN = "none"
SEEDS = (0, 1, 2)
LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy": {"start_value": None},
    "clipped under 0.3": {"start_value": 0.3},
    "clipped under 0.6": {"start_value": 0.6},
    "clipped under 0.6, whole image": {"start_value": 0.6, "region": 80},
}
"""Losses by name: what of the `decoder` section each sets."""
PLAIN = "cross-entropy"
NUMBERS = REPOSITORY / "docs/clipping.json"
PAGE = REPOSITORY / "docs/evidence.md"
Runs = dict[str, dict[str, dict[str, dict[str, float]]]]
"""By noise and rate, loss and seed: `miou` on val, `labels` of the spoiled masks, `final_loss`."""


class Noise(NamedTuple):
    """A way to go wrong and how much of it; `none` at 0 leaves the masks as they are."""

    kind: str
    rate: float

    @property
    def name(self) -> str:
        """In tables and in the numbers."""
        return self.kind if self.kind == CLEAN else f"{self.kind} {self.rate:g}"


def noises() -> list[Noise]:
    """The true masks first, then every noise at every rate."""
    spoiled = [Noise(kind, rate) for kind, (_, rates) in NOISES.items() for rate in rates]
    return [Noise(CLEAN, 0), *spoiled]


def missing(runs: Runs, seeds: Sequence[int]) -> Iterator[tuple[int, Noise, str]]:
    """What is still to be run, whole rows of the table first."""
    for seed in seeds:
        for noise in noises():
            for loss in LOSSES:
                if str(seed) not in runs.get(noise.name, {}).get(loss, {}):
                    yield seed, noise, loss


def spoil(folder: Path, noise: Noise, seed: int) -> float:
    """Writes the spoiled masks of the training images to `data/noisy` of a folder.

    Returns:
        Their mIoU against the true ones, in percent.
    """
    manifest = Manifest.load(folder / "data/prepared")
    truths = load_masks(folder / "data/prepared")
    confusion = ConfusionMatrix(len(manifest.classes) + 1)
    with replace_dir(folder / "data/noisy") as place:
        for record in manifest.of_split("train"):
            truth = read_mask(folder / truths[record.id])
            labels = truth
            if noise.kind != CLEAN:
                word = f"{seed} {noise.name} {record.id}"
                rng = np.random.default_rng(list(hashlib.sha256(word.encode()).digest()))
                labels = NOISES[noise.kind][0](rng, truth, noise.rate, len(manifest.classes))
            confusion.update(torch.from_numpy(labels), torch.from_numpy(truth))
            write_mask(place / f"{record.id}.png", labels)
    return float(mean_iou(confusion.matrix()))


def run(folder: Path, seed: int, noise: Noise, loss: str) -> dict[str, float]:
    """Trains and evaluates one segmenter in a folder that has data and pretrained weights."""
    quality = spoil(folder, noise, seed)
    params = yaml.safe_load(compose_params([RECIPE], REPOSITORY / "params.yaml"))
    params["seed"] = seed
    params["decoder"] |= {"labels_from": "data/noisy", **LOSSES[loss]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for stage in ("train-decoder", "evaluate"):
        run_stage(stage, folder)
    return {
        "labels": quality,
        "final_loss": read_json(folder / "reports/train_decoder/details.json")["final_loss"],
        "miou": read_json(folder / "reports/evaluate/details.json")["mean_iou"],
    }


def prepared(folder: Path) -> Path:
    """The folder, with the data set drawn in it once."""
    if not (folder / "data/prepared").is_dir():
        shutil.copytree(REPOSITORY / "data/pretrained", folder / "data/pretrained")
        (folder / "params.yaml").write_text(compose_params([RECIPE], REPOSITORY / "params.yaml"))
        run_stage("prepare", folder)
    return folder


def table(runs: Mapping[str, Any]) -> str:
    """Markdown: what each clipping gains over cross-entropy, paired by seed, mean ± deviation."""
    others = [loss for loss in LOSSES if loss != PLAIN]
    head = ["labels", "their mIoU", "final loss", PLAIN, *others]
    rows = [head, ["---"] * len(head)]
    for noise in (noise.name for noise in noises() if noise.name in runs):
        plain = runs[noise].get(PLAIN, {})
        cells = [_spread([each[key] for each in plain.values()]) for key in ("labels", "miou")]
        loss = _spread([each["final_loss"] for each in plain.values()], "{:.2f}", "{:.2f}")
        gains = []
        for other in others:
            found = runs[noise].get(other, {})
            both = sorted(set(found) & set(plain))
            gains.append(_spread([found[s]["miou"] - plain[s]["miou"] for s in both], "{:+.1f}"))
        rows.append([noise, cells[0], loss, cells[1], *gains])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _spread(values: Sequence[float], mean: str = "{:.1f}", deviation: str = "{:.1f}") -> str:
    if not values:
        return "not measured"
    spread = f" ± {deviation.format(statistics.stdev(values))}" if values[1:] else ""
    return f"{mean.format(statistics.mean(values))}{spread} ({len(values)})"


def main() -> None:
    """Measures, adds to docs/clipping.json, and writes the table of docs/evidence.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--most", type=int, help="runs, then stop")
    arguments = parser.parse_args()
    if arguments.most is not None and arguments.most < 0:
        parser.error(f"--most must be 0 or more. Got: {arguments.most}")
    if min(arguments.seeds) < 0:
        parser.error(f"--seeds must be 0 or more. Got: {min(arguments.seeds)}")
    runs: Runs = read_json(NUMBERS) if NUMBERS.is_file() else {}
    folder = prepared(REPOSITORY / "tmp/measure-clipping")
    for seed, noise, loss in list(missing(runs, arguments.seeds))[: arguments.most]:
        found = run(folder, seed, noise, loss)
        runs.setdefault(noise.name, {}).setdefault(loss, {})[str(seed)] = found
        write_json(NUMBERS, runs)
        print(f"seed {seed}, {noise.name}, {loss}: {found}", flush=True)
    put_table(PAGE, "clipping", table(runs))


if __name__ == "__main__":
    main()
