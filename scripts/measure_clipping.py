"""When the clipped loss helps: segmenters on true masks that were spoiled in known ways.

    python -m scripts.measure_clipping --jobs 2
    python -m scripts.measure_clipping --project ../photographs --data "photographs of animals"

For each noise and rate of `scripts.label_noise`, trains the segmenter with plain cross-entropy and
with clipping, for several values at which it starts and sides of its regions, over three seeds.
Values under 0.8 or above 2.5 of the loss that cross-entropy ends with are left out, unless
`--losses` names them. A seed moves the noise as well as the training. Every training is the real
stage, in a folder of its own that goes away. Images and params are those of `trouble-none` (the
demo, smaller), or of a prepared project (`weaktr prepare`) whose training images have a mask each,
and some images of its evaluated split; nothing in it changes.

Each run is added to `docs/clipping.json`, and tables and map of docs/evidence.md are made anew.
What is there already is not run again, so that it can be stopped and begun again, and `--jobs`
shares out the cores (or the GPU) among so many at a time.
"""

import argparse
import hashlib
import math
import os
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from scripts.label_noise import NOISES
from scripts.measure_results import REPOSITORY, run_stage
from scripts.pages import draw_map, mean_and_deviation, put_table
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
    "under 0.6, whole image": {"start_value": 0.6, "region": None},
    "under 0.3, whole image": {"start_value": 0.3, "region": None},
}
"""Losses by name: what of the `decoder` section each sets; a region of `None` is the whole crop."""
PLAIN = "cross-entropy"
CLIPPED = [loss for loss in LOSSES if loss != PLAIN]
TELLING = (0.8, 2.5)
"""Start values that are tried unasked, as shares of the loss that cross-entropy ends with."""
STARTS = (0.85, 1.0, 1.1, 1.6, math.inf)
"""Groups of start values as shares of cross-entropy's final loss: bounds from above."""
SHARES = (1, 20, 30, 50, math.inf)
"""Groups of `clipped_objects` in percent: bounds from above."""
WRITTEN = ("noisy", "predictions")
"""Folders of `data/` that a run has of its own."""
PLACE = REPOSITORY / "tmp/measure-clipping"
NUMBERS = REPOSITORY / "docs/clipping.json"
PAGE = REPOSITORY / "docs/evidence.md"
PICTURE = REPOSITORY / "docs/images/clipping.png"
ByLoss = dict[str, dict[str, dict[str, float]]]
"""By loss (cross-entropy for one) and seed: `miou` on val, `labels` of the spoiled masks, and of
the last epoch `final_loss`, `clipped` and `clipped_objects`."""
Runs = dict[str, ByLoss]
"""By noise and rate."""


class Noise(NamedTuple):
    """A way to go wrong and how much of it; `none` at 0 leaves the masks as they are."""

    kind: str
    rate: float

    @property
    def name(self) -> str:
        """In tables and in the numbers."""
        return self.kind if self.kind == CLEAN else f"{self.kind} {self.rate:g}"


Asked = tuple[int, Noise, str]
"""A run: seed, noise and loss."""


def noises() -> list[Noise]:
    """The true masks first, then every noise at every rate."""
    spoiled = [Noise(kind, rate) for kind, (_, rates) in NOISES.items() for rate in rates]
    return [Noise(CLEAN, 0), *spoiled]


def missing(
    runs: Runs, seeds: Sequence[int], kinds: Sequence[str], losses: Sequence[str]
) -> Iterator[Asked]:
    """What is still to be run, whole rows of the table first."""
    for seed in seeds:
        for noise in noises():
            for loss in losses if noise.kind in kinds else ():
                if str(seed) not in runs.get(noise.name, {}).get(loss, {}):
                    yield seed, noise, loss


def telling(runs: Runs, asked: Sequence[Asked]) -> list[Asked]:
    """Those whose start value is near the loss that cross-entropy ended with; says what is not."""
    low, high = TELLING

    def is_near(seed: int, noise: Noise, loss: str) -> bool:
        final = runs[noise.name][PLAIN][str(seed)]["final_loss"]
        return low * final <= float(LOSSES[loss]["start_value"]) <= high * final

    left_out = Counter(what[2] for what in asked if not is_near(*what))
    if left_out:
        counts = ", ".join(f"{loss!r} {number} times" for loss, number in left_out.items())
        print(
            f"Left out, as cross-entropy's loss ends far from it: {counts}. --losses runs them.",
            flush=True,
        )
    return [what for what in asked if is_near(*what)]


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
    if not (project / "params.yaml").is_file():
        raise UserError(f"{project} has no params.yaml; name the folder of a project.")
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


def gains(by_loss: ByLoss, loss: str) -> list[float]:
    """What clipping gains over cross-entropy in mIoU, for each seed that has both."""
    plain, clipped = by_loss.get(PLAIN, {}), by_loss.get(loss, {})
    return [clipped[one]["miou"] - plain[one]["miou"] for one in sorted({*clipped} & {*plain})]


def tried(*runs: Runs) -> list[str]:
    """The losses with clipping that have runs to compare."""
    found = [by_loss for own in runs for by_loss in own.values()]
    return [loss for loss in CLIPPED if any(gains(by_loss, loss) for by_loss in found)]


def table(runs: Runs) -> str:
    """Markdown: what each clipping gains over cross-entropy, paired by seed, mean ± deviation."""
    others = tried(runs)
    head = ["labels", "their mIoU", "final loss", PLAIN, *others]
    rows = [head, ["---"] * len(head)]
    for noise in (noise.name for noise in noises() if PLAIN in runs.get(noise.name, {})):
        plain = runs[noise][PLAIN]
        cells = [
            mean_and_deviation([each[key] for each in plain.values()], form)
            for key, form in (("labels", "{:.1f}"), ("final_loss", "{:.2f}"), ("miou", "{:.1f}"))
        ]
        cells[-1] += f" ({len(plain)})"
        for other in others:
            gained = gains(runs[noise], other)
            spread = f"{mean_and_deviation(gained, '{:+.1f}')} ({len(gained)})" if gained else "–"
            cells.append(spread)
        rows.append([noise, *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def draw(picture: Path, runs: Mapping[str, Runs]) -> None:
    """Draws the gains of all images' tables as one map, if there are any."""
    columns = tried(*runs.values())
    rows = {
        f"{data}: {noise.name}" if len(runs) > 1 else noise.name: own[noise.name]
        for data, own in runs.items()
        for noise in noises()
        if PLAIN in own.get(noise.name, {})
    }
    mean = [
        [statistics.mean(gains(by_loss, loss) or [math.nan]) for loss in columns]
        for by_loss in rows.values()
    ]
    if columns:
        draw_map(
            picture, "points of mIoU against cross-entropy (–: not run)", list(rows), columns, mean
        )


def grouped(
    title: str, bounds: Sequence[float], form: str, points: Sequence[tuple[float, float]]
) -> str:
    """Markdown: how gains spread, in groups of another number.

    Args:
        title: Of the other number.
        bounds: Of the groups, from above.
        form: A format of the bounds.
        points: The other number and the gain in mIoU, of each run.
    """
    lines = [f"| {title} | runs | median gain | least | most |", "|---|---|---|---|---|"]
    for low, high in pairwise((0.0, *bounds)):
        gained = [gain for value, gain in points if low <= value < high]
        if gained:
            span = form.format(low) + (
                f" to {form.format(high)}" if high < math.inf else " and more"
            )
            spread = (statistics.median(gained), min(gained), max(gained))
            cells = " | ".join(f"{one:+.1f}" for one in spread)
            lines.append(f"| {span} | {len(gained)} | {cells} |")
    return "\n".join(lines) + "\n" if points else ""


def starts(runs: Runs) -> str:
    """Markdown: gains by what can be seen without masks."""
    by_start, by_share = [], []
    for by_loss in runs.values():
        plain = by_loss.get(PLAIN, {})
        for loss in tried(runs):
            for seed in {*plain} & {*by_loss.get(loss, {})}:
                found = by_loss[loss][seed]
                gain = found["miou"] - plain[seed]["miou"]
                by_start.append((LOSSES[loss]["start_value"] / plain[seed]["final_loss"], gain))
                if "clipped_objects" in found:
                    by_share.append((found["clipped_objects"], gain))
    start = grouped("start value / final loss of cross-entropy", STARTS, "{:g}", by_start)
    percent = [(100 * share, gain) for share, gain in by_share]
    share = grouped("`clipped_objects` in %, last epoch", SHARES, "{:g}", percent)
    return f"{start}\n{share}" if share else start


def tables(runs: Mapping[str, Runs]) -> str:
    """Tables of each set of images that has runs, under its name."""
    return "\n".join(
        f"**{data[:1].upper()}{data[1:]}**\n\n{table(own)}\n{starts(own)}"
        for data, own in runs.items()
        if own
    )


def measure(arguments: argparse.Namespace) -> None:
    """Measures what is missing, and writes numbers and tables."""
    runs: dict[str, Runs] = read_json(NUMBERS) if NUMBERS.is_file() else {}
    own = runs.setdefault(arguments.data, {})
    project = generated() if arguments.project is None else checked(arguments.project)
    cores = (os.cpu_count() or 1) // arguments.jobs
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores, 1)))
    workers = max(cores - 1, 0) if torch.cuda.is_available() else 0
    try:
        for losses in ([PLAIN], arguments.losses or CLIPPED):
            asked = list(missing(own, arguments.seeds, arguments.noises, losses))
            if losses is CLIPPED:
                asked = telling(own, asked)
            for (seed, noise, loss), found in finished(project, asked, arguments.jobs, workers):
                own.setdefault(noise.name, {}).setdefault(loss, {})[str(seed)] = found
                write_json(NUMBERS, runs)
                print(f"seed {seed}, {noise.name}, {loss}: {found}", flush=True)
    finally:
        put_table(PAGE, "clipping", tables(runs))
        draw(PICTURE, runs)


def finished(
    project: Path, asked: Sequence[Asked], jobs: int, workers: int
) -> Iterator[tuple[Asked, dict[str, float]]]:
    """Runs what is asked for, `jobs` at a time, and gives each as it ends.

    Raises:
        UserError, KeyboardInterrupt: If a run fails, or the user stops it: once the others that
            have begun are given; no more begin.
    """
    left = iter(asked)
    failed: BaseException | None = None
    running: dict[Future[dict[str, float]], Asked] = {}
    with ThreadPoolExecutor(jobs) as pool:
        free = jobs
        while True:
            for what in islice(left, 0 if failed else free):
                running[pool.submit(run, project, *what, workers)] = what
            if not running:
                break
            try:
                done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
            except KeyboardInterrupt as stop:
                failed = failed or stop
                continue
            what, free = running.pop(done), 1
            if (error := done.exception()) is None:
                yield what, done.result()
            failed = failed or error
    if failed is not None:
        raise failed


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path, help="whose images and params (trouble-none's)")
    parser.add_argument("--data", help="with --project: what tables call it", default=GENERATED)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=list(SEEDS), help="all of 0, 1 and 2 by default"
    )
    kinds = [CLEAN, *NOISES]
    parser.add_argument(
        "--noises",
        nargs="+",
        choices=kinds,
        default=kinds,
        metavar="NOISE",
        help=f"all by default: {', '.join(map(repr, kinds))}",
    )
    parser.add_argument(
        "--losses",
        nargs="+",
        choices=CLIPPED,
        metavar="LOSS",
        help="beside cross-entropy; by default those that tell something, with it what they are "
        f"compared to: {', '.join(map(repr, CLIPPED))}",
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (1)")
    arguments = parser.parse_args()
    if min(arguments.seeds) < 0:
        parser.error(f"--seeds must be 0 or more. Got: {min(arguments.seeds)}")
    if arguments.jobs < 1:
        parser.error(f"--jobs must be 1 or more. Got: {arguments.jobs}")
    if (arguments.project is None) != (arguments.data == GENERATED):
        parser.error(
            "--project and --data go together: name the project's folder, and what the tables are "
            f"to call its images (not {GENERATED!r})."
        )
    if not arguments.data.isprintable() or not arguments.data or set("|<>*") & set(arguments.data):
        parser.error(f"--data must be plain words on one line. Got: {arguments.data!r}")
    with one_sentence():
        measure(arguments)


if __name__ == "__main__":
    main()
