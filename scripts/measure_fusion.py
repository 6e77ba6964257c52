"""What head weights are worth: all heads alike, as learned, by lift, and chosen by true masks.

    python -m scripts.measure_fusion demo
    python -m scripts.measure_fusion "photographs of animals" ../other-project

Takes the CAM network of a project (`models/cam`) and its validation images that have tags and
masks. The network is the same in every column, to the bit: the fusion's loss trains nothing else.
Single scale, each mIoU at its best background score; "chosen by masks" peeks at the masks of one
half of the images to choose heads for the other (`weaktr heads --masks`).

Each run is added to `docs/fusion.json` under the given name and the project's seed, and the table
of docs/evidence.md is written anew.
"""

import argparse
import math
import os
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.measure_results import REPOSITORY
from scripts.pages import mean_and_deviation, put_table
from stages.common.paths import CAM_MODEL, PREPARED
from weaktr.cli.options import check_classes
from weaktr.config.load import load_params
from weaktr.data.manifest import Manifest, load_masks
from weaktr.device import choose_device
from weaktr.errors import UserError, one_sentence
from weaktr.files import read_json, write_json
from weaktr.heads.atlas import Oracle, make_atlas
from weaktr.models.attention_fusion import LiftAttentionFusion
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import load_model
from weaktr.training.lift import measure_lift

NUMBERS = REPOSITORY / "docs/fusion.json"
PAGE = REPOSITORY / "docs/evidence.md"
Runs = dict[str, dict[str, dict[str, float | None]]]
"""By data and seed: mIoU in percent, points, rank correlations; null where there is no order."""


def measure(folder: Path) -> tuple[int, dict[str, float | None]]:
    """The seed of a project, and its numbers.

    Raises:
        UserError: If it has no CAM network with learned weights, or no image to measure on.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; name a project that has trained a CAM network.")
    os.chdir(folder)
    params = load_params(Path("params.yaml"))
    loaded = load_model(CAM_MODEL, CAMNetwork, device=choose_device("auto", given_as="device"))
    model = loaded.model
    if model.params.fusion != "adaptive":
        raise UserError(
            f"{folder / CAM_MODEL}: this is for a network with learned head weights; train one "
            f"with cam.fusion: adaptive. Got: {model.params.fusion}"
        )
    manifest, masks = Manifest.load(PREPARED), load_masks(PREPARED)
    check_classes(str(CAM_MODEL), loaded.classes, PREPARED, manifest.classes)
    training = manifest.require_split("train")
    records = [one for one in manifest.of_split("val") if one.tags and one.id in masks]
    if len(records) < 2:
        raise UserError(f"{folder / PREPARED}: two val images with tags and masks are needed.")

    def oracle() -> Oracle:
        found = make_atlas(model, records, manifest.classes, masks)
        correlations.append(found.correlations())
        assert found.oracle is not None
        return found.oracle

    correlations: list[dict[str, float]] = []
    learned = oracle().headroom
    fusion = LiftAttentionFusion(layers=len(model.backbone.blocks), heads=model.backbone.num_heads)
    fusion.set_lift(*measure_lift(model, training, model.params.input_size))
    model.fusion = fusion.to(next(model.parameters()).device)
    lifted = oracle().headroom
    by_learned, by_lift = correlations
    return params.seed, {
        "mean": learned.mean,
        "learned": learned.learned,
        "lift": lifted.learned,
        "masks": learned.learned + statistics.mean(learned.gain),
        "learned, rows": by_learned["weight, class row by masks"],
        "learned, affinity": by_learned["weight, affinity by masks"],
        "lift, rows": by_lift["weight, class row by masks"],
        "lift, affinity": by_lift["weight, affinity by masks"],
    }


COLUMNS: Mapping[str, tuple[Callable[[Mapping[str, float]], float], str]] = {
    "all alike": (lambda one: one["mean"], "{:.1f}"),
    "learned": (lambda one: one["learned"], "{:.1f}"),
    "by lift": (lambda one: one["lift"], "{:.1f}"),
    "lift gains over all alike": (lambda one: one["lift"] - one["mean"], "{:+.1f}"),
    "lift gains over learned": (lambda one: one["lift"] - one["learned"], "{:+.1f}"),
    "chosen by masks gains": (lambda one: one["masks"] - one["learned"], "{:+.1f}"),
    "worth and learned weight": (
        lambda one: (one["learned, rows"] + one["learned, affinity"]) / 2,
        "{:+.2f}",
    ),
    "worth and lift": (lambda one: (one["lift, rows"] + one["lift, affinity"]) / 2, "{:+.2f}"),
}


def table(runs: Runs) -> str:
    """Markdown: a row per data set, mean ± sample standard deviation over seeds."""
    head = ["images", "seeds", *COLUMNS]
    rows = [head, ["---"] * len(head)]
    for data, by_seed in runs.items():
        ones = [
            {name: math.nan if value is None else value for name, value in one.items()}
            for one in by_seed.values()
        ]
        cells = []
        for value, form in COLUMNS.values():
            known = [each for one in ones if math.isfinite(each := value(one))]
            cells.append(mean_and_deviation(known, form) if known else "none")
        rows.append([data, str(len(ones)), *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Measures one project, adds it to docs/fusion.json, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="name of the images, for the table")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="the project")
    arguments = parser.parse_args()
    if not arguments.data.isprintable() or "|" in arguments.data:
        parser.error(f"the name must fit into a line of a table. Got: {arguments.data!r}")
    with one_sentence():
        runs: Runs = read_json(NUMBERS) if NUMBERS.is_file() else {}
        seed, found = measure(arguments.folder)
        runs.setdefault(arguments.data, {})[str(seed)] = found
        write_json(NUMBERS, runs)
        put_table(PAGE, "fusion", table(runs))


if __name__ == "__main__":
    main()
