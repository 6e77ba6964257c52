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
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import torch

from scripts.clipping_runs import (
    CLEAN,
    CLIPPED,
    LOSSES,
    PLAIN,
    Found,
    Noise,
    Runs,
    checked,
    generated,
    noises,
    run,
)
from scripts.clipping_tables import draw, tables
from scripts.label_noise import NOISES
from scripts.measure_results import REPOSITORY
from scripts.pages import put_table
from weaktr.errors import one_sentence
from weaktr.files import read_json, write_json

GENERATED = "generated images"
SEEDS = (0, 1, 2)
TELLING = (0.8, 2.5)
"""Start values that are tried unasked, as shares of the loss that cross-entropy ends with."""
NUMBERS = REPOSITORY / "docs/clipping.json"
PAGE = REPOSITORY / "docs/evidence.md"
PICTURE = REPOSITORY / "docs/images/clipping.png"
Asked = tuple[int, Noise, str]
"""A run: seed, noise and loss."""


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
) -> Iterator[tuple[Asked, Found]]:
    """Runs what is asked for, `jobs` at a time, and gives each as it ends.

    Raises:
        UserError, KeyboardInterrupt: If a run fails, or the user stops it: once the others that
            have begun are given; no more begin.
    """
    left = iter(asked)
    failed: BaseException | None = None
    running: dict[Future[Found], Asked] = {}
    with ThreadPoolExecutor(jobs) as pool:
        free = jobs
        while True:
            for what in islice(left, 0 if failed else free):
                running[pool.submit(run, project, *what, workers)] = what
            if not running:
                break
            try:
                ended = wait(running, return_when=FIRST_COMPLETED).done
            except KeyboardInterrupt as stop:
                failed = failed or stop
                continue
            free = len(ended)
            for done in ended:
                what = running.pop(done)
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
