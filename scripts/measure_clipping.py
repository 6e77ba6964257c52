"""When the clipped loss helps: segmenters on true masks that were spoiled in known ways.

    python -m scripts.measure_clipping --most 10
    python -m scripts.measure_clipping --project ../photographs --data "photographs of animals"

For each noise and rate of `scripts.label_noise`, trains the segmenter with plain cross-entropy and
with clipping, for several values at which it starts and sides of its regions, over three seeds. A
seed moves the noise as well as the training. Every training is the real stage, in a folder of its
own that goes away. Images and params are those of `trouble-none` (the demo, smaller), or of a
project whose training images have masks in `data/prepared`; nothing in it changes.

Each run is added to `docs/clipping.json`, and the tables of docs/evidence.md are written anew. What
is there already is not run again; `--most` stops after so many runs, and `--jobs` shares out the
cores (or the GPU) among so many at a time.
"""

import argparse
import hashlib
import math
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from scripts.label_noise import NOISES
from scripts.measure_results import REPOSITORY, run_stage
from scripts.pages import put_table
from stages.common.corrected import NO_MASKS
from stages.common.paths import PREPARED
from stages.common.training import read_curves
from weaktr.config.load import load_params
from weaktr.data.manifest import Manifest, load_masks
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError, one_sentence
from weaktr.experiments.recipes import compose_params
from weaktr.files import read_json, replace_dir, write_json
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.scores import mean_iou

RECIPE = "trouble-none"
GENERATED = "generated images"
CLEAN = "none"
SEEDS = (0, 1, 2)
LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy": {"start_value": None},
    "under 1.2": {"start_value": 1.2},
    "under 0.6": {"start_value": 0.6},
    "under 0.3": {"start_value": 0.3},
    "under 0.3, whole image": {"start_value": 0.3, "region": None},
}
"""Losses by name: what of the `decoder` section each sets; a region of `None` is the whole crop."""
PLAIN = "cross-entropy"
STARTS = (0.8, 1.1, 1.6, math.inf)
"""Where clipping starts, as shares of cross-entropy's final loss: bounds from above."""
WRITTEN = ("noisy", "predictions")
"""Folders of `data/` that a run has of its own."""
PLACE = REPOSITORY / "tmp/measure-clipping"
NUMBERS = REPOSITORY / "docs/clipping.json"
PAGE = REPOSITORY / "docs/evidence.md"
Runs = dict[str, dict[str, dict[str, dict[str, float]]]]
"""By noise and rate, loss and seed: `miou` on val, `labels` of the spoiled masks, and of the last
epoch `final_loss`, `clipped` and `clipped_objects`."""


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


def missing(
    runs: Runs, seeds: Sequence[int], kinds: Sequence[str], losses: Sequence[str]
) -> Iterator[tuple[int, Noise, str]]:
    """What is still to be run, whole rows of the table first."""
    for seed in seeds:
        for noise in noises():
            for loss in losses if noise.kind in kinds else ():
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


def run(project: Path, seed: int, noise: Noise, loss: str, workers: int) -> dict[str, float]:
    """Trains and evaluates one segmenter.

    Args:
        project: Has `params.yaml`, `data/prepared` and what they name.
        seed: Of noise and training.
        noise: Of the training masks.
        loss: One of `LOSSES`.
        workers: Loader processes.

    Raises:
        UserError: If a stage fails, which has said why.
    """
    project = project.resolve()
    with tempfile.TemporaryDirectory(prefix=".clipping-", dir=project.parent) as name:
        folder = Path(name)  # beside the project, so that relative paths lead to the same places
        link_inputs(project, folder)
        quality = spoil(folder, noise, seed)
        params = load_params(project / "params.yaml").model_dump(mode="json")
        own = {"region": params["decoder"]["region"], **LOSSES[loss]}
        own["region"] = own["region"] or params["decoder"]["crop_size"]
        params["seed"] = seed
        params["decoder"] |= {
            "labels_from": "data/noisy",
            "corrected": NO_MASKS,
            "rounds": 1,
            **own,
        }
        params["runtime"] |= {"workers": workers}
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        try:
            for stage in ("train-decoder", "evaluate"):
                run_stage(stage, folder, quiet=True)
        except subprocess.CalledProcessError:
            raise UserError(
                f"seed {seed}, {noise.name}, {loss}: {stage} failed, and said why above; runs that "
                "were finished are kept."
            ) from None
        last = read_curves(folder / "reports/train_decoder/curves.csv")[-1]
        return {
            "labels": quality,
            "final_loss": last["loss"],
            "miou": read_json(folder / "reports/evaluate/details.json")["mean_iou"],
            **{name: last[name] for name in ("clipped", "clipped_objects") if name in last},
        }


def link_inputs(project: Path, folder: Path) -> None:
    """Links what the stages read of a project, and none of its code."""
    (folder / "data").mkdir()
    for entry in (project / "data").iterdir():
        if entry.name not in WRITTEN:
            (folder / "data" / entry.name).symlink_to(entry)
    manifest = Manifest.load(project / PREPARED)
    weights = load_params(project / "params.yaml").decoder.backbone.weights
    paths = [one.image for one in manifest.records] + list(load_masks(project / PREPARED).values())
    for top in {Path(path).parts[0] for path in (*paths, weights)} - {"data", "..", "/"}:
        if (project / top).exists():
            (folder / top).symlink_to(project / top)


def generated() -> Path:
    """A project with the images of `trouble-none`, which are drawn once."""
    project = PLACE / "generated"
    if not (project / PREPARED).is_dir():
        (project / "data").mkdir(parents=True, exist_ok=True)
        pretrained = project / "data/pretrained"
        pretrained.unlink(missing_ok=True)
        pretrained.symlink_to(REPOSITORY / "data/pretrained")
        (project / "params.yaml").write_text(compose_params([RECIPE], REPOSITORY / "params.yaml"))
        run_stage("prepare", project, quiet=True)
    return project


def checked(project: Path) -> Path:
    """A project of the user's.

    Raises:
        UserError: If it has no params, no masks to spoil or to measure by, or but one class.
    """
    params = load_params(project / "params.yaml")
    manifest, masks = Manifest.load(project / PREPARED), load_masks(project / PREPARED)
    where = project / PREPARED
    bare = [one.id for one in manifest.of_split("train") if one.id not in masks]
    if bare:
        raise UserError(
            f"{where}: training image {bare[0]!r} has no mask to spoil ({len(bare)} such); name a "
            "project in which all have one."
        )
    split = params.evaluation.split
    if not any(one.id in masks for one in manifest.of_split(split)):
        raise UserError(f"{where}: no image of {split} has a mask to measure by; give some masks.")
    if len(manifest.classes) < 2:
        raise UserError(f"{where}: a wrong class takes two; name a project with more classes.")
    return project


def table(runs: Mapping[str, Any]) -> str:
    """Markdown: what each clipping gains over cross-entropy, paired by seed, mean ± deviation."""
    tried = {loss for by_loss in runs.values() for loss in by_loss}
    others = [loss for loss in LOSSES if loss != PLAIN and loss in tried]
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


def starts(runs: Mapping[str, Any]) -> str:
    """Markdown: gains by where clipping starts, as a share of cross-entropy's final loss."""
    rows: dict[float, list[tuple[float, float]]] = {below: [] for below in STARTS}
    for by_loss in runs.values():
        for loss, by_seed in by_loss.items():
            start = LOSSES[loss]["start_value"]
            for seed, found in by_seed.items():
                plain = by_loss.get(PLAIN, {}).get(seed)
                if start is None or plain is None:
                    continue
                below = min(one for one in STARTS if start / plain["final_loss"] < one)
                gain = found["miou"] - plain["miou"]
                rows[below].append((gain, found.get("clipped_objects", math.nan)))
    lines = [
        "| starts at | runs | gain in mIoU, least to most | objects clipped |",
        "|---|---|---|---|",
    ]
    low = 0.0
    for below, pairs in rows.items():
        if pairs:
            gains, shares = zip(*pairs, strict=True)
            known = [share for share in shares if math.isfinite(share)]
            objects = f"{100 * min(known):.0f} to {100 * max(known):.0f} %" if known else ""
            span = f"{low:g} to {below:g}" if math.isfinite(below) else f"{low:g} and more"
            spread = f"{statistics.median(gains):+.1f}, {min(gains):+.1f} to {max(gains):+.1f}"
            lines.append(f"| {span} | {len(pairs)} | {spread} | {objects} |")
        low = below
    return "\n".join(lines) + "\n"


def tables(runs: Mapping[str, Runs]) -> str:
    """Two tables for each set of images, under its name."""
    return "\n".join(
        f"**{data[:1].upper()}{data[1:]}**\n\n{table(own)}\n{starts(own)}"
        for data, own in runs.items()
    )


def _spread(values: Sequence[float], mean: str = "{:.1f}", deviation: str = "{:.1f}") -> str:
    if not values:
        return "not measured"
    spread = f" ± {deviation.format(statistics.stdev(values))}" if values[1:] else ""
    return f"{mean.format(statistics.mean(values))}{spread} ({len(values)})"


def measure(arguments: argparse.Namespace) -> None:
    """Measures what is missing, and writes numbers and tables."""
    runs: dict[str, Runs] = read_json(NUMBERS) if NUMBERS.is_file() else {}
    own = runs.setdefault(arguments.data, {})
    project = generated() if arguments.project is None else checked(arguments.project)
    cores = (os.cpu_count() or 1) // arguments.jobs
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores, 1)))
    workers = max(cores - 1, 0) if torch.cuda.is_available() else 0
    left = missing(own, arguments.seeds, arguments.noises, arguments.losses)
    asked = islice(left, arguments.most)
    running: dict[Future[dict[str, float]], tuple[int, Noise, str]] = {}
    failed: BaseException | None = None
    with ThreadPoolExecutor(arguments.jobs) as pool:

        def begin(count: int) -> None:
            for what in islice(asked, count):
                running[pool.submit(run, project, *what, workers)] = what

        begin(arguments.jobs)
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                seed, noise, loss = running.pop(done)
                if (error := done.exception()) is not None:
                    failed = failed or error
                    continue
                own.setdefault(noise.name, {}).setdefault(loss, {})[str(seed)] = done.result()
                write_json(NUMBERS, runs)
                print(f"seed {seed}, {noise.name}, {loss}: {done.result()}", flush=True)
                begin(0 if failed else 1)
    put_table(PAGE, "clipping", tables(runs))
    if failed is not None:
        raise failed


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, help="whose images and params (trouble-none's)")
    parser.add_argument("--data", help="what the tables call them", default=GENERATED)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    kinds = [CLEAN, *NOISES]
    parser.add_argument("--noises", nargs="+", choices=kinds, default=kinds, metavar="NOISE")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES), metavar="LOSS")
    parser.add_argument("--most", type=int, help="runs, then stop")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    arguments = parser.parse_args()
    if arguments.most is not None and arguments.most < 0:
        parser.error(f"--most must be 0 or more. Got: {arguments.most}")
    if min(arguments.seeds) < 0:
        parser.error(f"--seeds must be 0 or more. Got: {min(arguments.seeds)}")
    if arguments.jobs < 1:
        parser.error(f"--jobs must be 1 or more. Got: {arguments.jobs}")
    if (arguments.project is None) != (arguments.data == GENERATED):
        parser.error(f"--project and --data go together, and {GENERATED!r} are trouble-none's.")
    if not arguments.data.isprintable() or not arguments.data or set("|<>*") & set(arguments.data):
        parser.error(f"--data must be plain words on one line. Got: {arguments.data!r}")
    with one_sentence():
        measure(arguments)


if __name__ == "__main__":
    main()
