"""Measures what corrected masks are worth on the demo, chosen by the ranking and at random.

    python -m scripts.measure_corrected --most 1

Takes the outputs of the demo's run as they are in this folder: its pseudo-labels, the same for all
seeds. A seed trains the segmenter on them, ranks the labels with it as `weaktr review` does, and
trains anew with the true masks of 10, 50 and 200 images in place of their labels: the first ones of
the ranking, or those of a draw by the seed. Every training is the real stage, in a folder of its
own below `tmp/`.

Each run is added to `docs/corrected.json`, and the table of `docs/results.md` is written anew. What
is there already is not run again; `--most` stops after so many runs. One takes about two minutes.
"""

import argparse
import dataclasses
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from scripts.measure_results import REPOSITORY, overlaid, run_stage, spread
from scripts.pages import put_table
from weaktr.cli.review import read_confidences
from weaktr.data.manifest import Manifest, load_label_maps, load_masks
from weaktr.data.masks import read_mask
from weaktr.files import digest_files, digest_value, read_json, write_json
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.scores import mean_iou
from weaktr.models.saving import load_model
from weaktr.models.segmenter import Segmenter
from weaktr.review.run import Source, rank

COUNTS = (10, 50, 200)
WAYS = ("ranking", "random")
COPIED = ("data/prepared", "data/pretrained", "data/pseudo-labels", "reports")


class Variant(NamedTuple):
    """How many masks are corrected, and how their images are chosen."""

    masks: int
    way: str

    @property
    def name(self) -> str:
        """Of the folder in `data/corrected/` and of the numbers."""
        return f"{self.way}-{self.masks}" if self.masks else "none"


def variants(counts: Sequence[int]) -> list[Variant]:
    """The plain one first: its segmenter ranks for the others."""
    return [Variant(0, ""), *(Variant(count, way) for count in counts for way in WAYS)]


class Place:
    """A seed's own copy of the demo's outputs.

    Args:
        source: A folder in which the pipeline has run.
        folder: Where to; what an earlier call left there is used.
        seed: Of the segmenter and of the random choice.
    """

    def __init__(self, source: Path, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.params = yaml.safe_load((source / "params.yaml").read_text()) | {"seed": seed}
        for name in COPIED:
            if not (folder / name).exists():
                shutil.copytree(source / name, folder / name)
        self.manifest = Manifest.load(folder / "data/prepared")
        self.truths = load_masks(folder / "data/prepared")

    def run(self, variant: Variant) -> dict[str, float]:
        """Trains and evaluates one variant.

        Returns:
            `miou` on the validation split, and of the labels that were replaced (`replaced`), in
            percent.
        """
        found = {}
        if variant.masks:
            chosen = self.chosen(variant)
            found["replaced"] = self.label_miou(chosen)
            masks = self.folder / "data/corrected" / variant.name
            shutil.rmtree(masks, ignore_errors=True)
            masks.mkdir(parents=True)
            for id_ in chosen:
                shutil.copyfile(self.folder / self.truths[id_], masks / f"{id_}.png")
        params = overlaid(self.params, {"decoder": {"corrected": variant.name}})
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params))
        for stage in ("train-decoder", "evaluate"):
            run_stage(stage, self.folder)
        if not variant.masks:
            self.write_ranking()
        found["miou"] = read_json(self.folder / "reports/evaluate/details.json")["mean_iou"]
        return found

    def chosen(self, variant: Variant) -> list[str]:
        """The images whose labels are replaced."""
        if variant.way == "ranking":
            ranking: list[str] = read_json(self.folder / "ranking.json")
            return ranking[: variant.masks]
        ids = sorted(record.id for record in self.manifest.of_split("train"))
        random.Random(self.seed).shuffle(ids)
        return ids[: variant.masks]

    def write_ranking(self) -> None:
        """Ranks the labels by the segmenter that learned from them alone."""
        labels = load_label_maps(self.folder / "data/pseudo-labels")
        table = self.folder / "reports/export_labels/images.csv"
        prepared = self.folder / "data/prepared"
        source = Source.of(prepared, self.here(), labels, read_confidences(table))
        model = load_model(self.folder / "models/segmenter", Segmenter, "cpu").model
        ids = [one.doubt.record.id for one in rank(model, source)]
        write_json(self.folder / "ranking.json", ids)

    def here(self) -> Manifest:
        """The manifest with paths of images that hold outside of the folder."""
        records = tuple(
            dataclasses.replace(record, image=(self.folder / record.image).as_posix())
            for record in self.manifest
        )
        return Manifest(self.manifest.classes, records)

    def label_miou(self, chosen: Sequence[str]) -> float:
        """mIoU of some pseudo-labels in percent."""
        confusion = ConfusionMatrix(len(self.manifest.classes) + 1)
        for id_ in chosen:
            label = read_mask(self.folder / f"data/pseudo-labels/{id_}.png")
            truth = read_mask(self.folder / self.truths[id_])
            confusion.update(torch.from_numpy(label), torch.from_numpy(truth))
        return float(mean_iou(confusion.matrix()))


def missing(
    results: Mapping[str, Mapping[str, Any]], seeds: Sequence[int], counts: Sequence[int]
) -> Iterator[tuple[int, Variant]]:
    """What is still to be run."""
    for seed in seeds:
        for variant in variants(counts):
            if str(seed) not in results.get(variant.name, {}):
                yield seed, variant


def measure(
    source: Path,
    workplace: Path,
    results_file: Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    counts: Sequence[int] = COUNTS,
    most: int | None = None,
) -> dict[str, Any]:
    """Runs what the results lack, and adds it to them one by one.

    Results of other labels or params are begun anew.
    """
    params = yaml.safe_load((source / "params.yaml").read_text())
    inputs = digest_value(
        [
            params["decoder"],
            params["evaluation"],
            digest_files([source / "data/pseudo-labels", source / "data/prepared/manifest.csv"]),
        ]
    )[:16]
    results: dict[str, Any] = read_json(results_file) if results_file.is_file() else {}
    if results.get("inputs") != inputs:
        shutil.rmtree(workplace, ignore_errors=True)
        results = {"inputs": inputs, "runs": {}}
    for seed, variant in list(missing(results["runs"], seeds, counts))[:most]:
        place = Place(source, workplace / f"seed-{seed}", seed)
        if variant.way == "ranking" and not (place.folder / "ranking.json").is_file():
            place.run(Variant(0, ""))
        found = place.run(variant)
        results["runs"].setdefault(variant.name, {})[str(seed)] = found
        write_json(results_file, results)
        print(f"seed {seed}, {variant.name}: {found}", flush=True)
    return results


def table(runs: Mapping[str, Mapping[str, Mapping[str, float]]], counts: Sequence[int]) -> str:
    """The table as Markdown."""

    def cell(variant: Variant, key: str) -> str:
        seeds = sorted(runs.get(variant.name, {}))
        return (
            spread([runs[variant.name][seed][key] for seed in seeds]) if seeds else "not measured"
        )

    head = ["corrected masks", "by the ranking", "at random"]
    head += [f"labels that {way} replaces" for way in ("the ranking", "chance")]
    plain = cell(Variant(0, ""), "miou")
    rows = [head, ["---"] * len(head), ["0", plain, plain, "", ""]]
    for count in counts:
        both = [Variant(count, way) for way in WAYS]
        cells = [cell(variant, key) for key in ("miou", "replaced") for variant in both]
        rows.append([str(count), *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Measures, adds to docs/corrected.json, and writes the table of docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--most", type=int, help="runs, then stop")
    arguments = parser.parse_args()
    results = measure(
        REPOSITORY,
        REPOSITORY / "tmp/measure-corrected",
        REPOSITORY / "docs/corrected.json",
        seeds=arguments.seeds,
        most=arguments.most,
    )
    put_table(REPOSITORY / "docs/results.md", "corrected", table(results["runs"], COUNTS))


if __name__ == "__main__":
    main()
