"""Measures the demo over several seeds, with the supervised reference and ablations.

    python -m scripts.measure_results --seeds 0 1 2

Every run executes the real stages, in a folder of its own. What comes out is added to
`docs/results.json`, and the tables of `docs/results.md` are written anew. Seeds may be measured
side by side, one thread each (`OMP_NUM_THREADS=1`): about 10 minutes per seed, ablations the same.
"""

import argparse
import copy
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.pages import put_table
from weaktr.files import read_json, write_json
from weaktr.models.cam_kinds import SEEDS

REPOSITORY = Path(__file__).resolve().parent.parent
CHAIN = ("prepare", "train-cam", "export-labels", "train-decoder", "evaluate")
REFERENCE = "supervised reference"
VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "tags only": ({}, CHAIN),
    REFERENCE: ({"decoder": {"labels_from": "data/prepared/masks.csv"}}, CHAIN[3:]),
    "plain cross-entropy": ({"decoder": {"start_value": None}}, CHAIN[3:]),
    "clipping from 0.4 on": ({"decoder": {"start_value": 0.4}}, CHAIN[3:]),
    "mean fusion": ({"cam": {"fusion": "mean"}}, CHAIN[1:]),
}
"""Params on top of params.yaml, and the stages to run; each starts from `tags only`'s outputs."""
STEPS = {
    **{f"{kind.title} (train)": ("export_labels", "miou", kind.name) for kind in SEEDS},
    "pseudo-labels (train)": ("export_labels", "miou", "pseudo_labels"),
    "decoder (val)": ("evaluate", "mean_iou"),
}
DECODER = "decoder (val)"
FLOOR = "colour classifier (val)"
RESULTS = REPOSITORY / "docs/results.json"
Results = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Numbers by variant, seed and step."""


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values, those of `over` in place of those of `base`."""
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        inside = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlaid(merged[key], value) if inside else value
    return merged


def run_stage(command: str, folder: Path, *, quiet: bool = False) -> None:
    """Runs one stage; a quiet one is heard only if it fails."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    arguments = [sys.executable, "-m", "stages", *command.split(), "--no-track"]
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        arguments, cwd=folder, env=environment, stdout=output, stderr=output, text=True
    )
    if done.returncode:
        print(done.stderr or "", file=sys.stderr)
        done.check_returncode()


def numbers(folder: Path) -> dict[str, float]:
    """mIoU of every step that the folder's reports have."""
    found = {}
    for title, (stage, *keys) in STEPS.items():
        path = folder / "reports" / stage / "details.json"
        if path.is_file():
            value: Any = json.loads(path.read_text())
            for key in keys:
                value = value[key]
            found[title] = value
    return found


def measure_seed(seed: int, variants: Sequence[str], workplace: Path) -> None:
    """Runs variants for one seed and adds what they give to the results."""
    base = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"seed": seed}
    plain = workplace / f"seed-{seed}"
    for name in ("data/pretrained", "data/raw/shapes"):
        shutil.copytree(REPOSITORY / name, plain / name)
    for variant, (changes, stages) in VARIANTS.items():
        if variant not in variants:
            continue
        folder = plain
        if changes:
            folder = workplace / f"seed-{seed}-{variant.replace(' ', '-')}"
            shutil.copytree(plain, folder)
        (folder / "params.yaml").write_text(yaml.safe_dump(overlaid(base, changes)))
        for stage in stages:
            run_stage(stage, folder)
        found = numbers(folder)
        if variant == REFERENCE:  # the copied reports of the other steps are not of its making
            found = {DECODER: found[DECODER]}
        if variant == "tags only":
            metrics = json.loads((folder / "reports/prepare/summary.json").read_text())
            found[FLOOR] = metrics["colour_floor_miou"]
        add_result(variant, seed, found)
        print(f"seed {seed}, {variant}: {found}", flush=True)


def add_result(variant: str, seed: int, found: Mapping[str, float]) -> None:
    """Puts one run's numbers into docs/results.json."""
    results = read_json(RESULTS) if RESULTS.is_file() else {}
    results.setdefault(variant, {})[str(seed)] = dict(found)
    write_json(RESULTS, results)


def spread(values: Sequence[float]) -> str:
    """`61.2 ± 0.8 (60.4, 61.2, 62.0)`: mean, sample standard deviation, and each seed's."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    each = ", ".join(f"{value:.1f}" for value in values)
    return f"{statistics.mean(values):.1f} ± {deviation:.1f} ({each})"


def tables(results: Results) -> str:
    """The tables as Markdown; a variant's row has the seeds that were measured."""

    def row(variant: str, key: str) -> str:
        seeds = sorted(results.get(variant, {}))
        return spread([results[variant][seed][key] for seed in seeds]) if seeds else "not measured"

    plain, supervised = results["tags only"], results.get(REFERENCE, {})
    shares = [
        100 * plain[seed][DECODER] / supervised[seed][DECODER]
        for seed in sorted(set(plain) & set(supervised))
    ]
    steps = [FLOOR, *STEPS]
    lines = ["| step | mIoU (%) |", "|---|---|"]
    lines += [f"| {step} | {row('tags only', step)} |" for step in steps]
    lines.append(f"| the same decoder on true masks (val) | {row(REFERENCE, DECODER)} |")
    if shares:
        lines.append(f"| share of it that tags alone reach (%) | {spread(shares)} |")
    lines += ["", "| ablation | " + " | ".join(STEPS) + " |", "|---" * (len(STEPS) + 1) + "|"]
    ablations = [name for name in VARIANTS if name not in ("tags only", REFERENCE)]
    for variant in ("tags only", *ablations):
        lines.append(f"| {variant} | " + " | ".join(row(variant, step) for step in STEPS) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures, adds to docs/results.json, and writes the tables of docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as workplace:
        for seed in arguments.seeds:
            measure_seed(seed, ["tags only", *arguments.variants], Path(workplace))
    put_table(REPOSITORY / "docs/results.md", "measured", tables(read_json(RESULTS)))


if __name__ == "__main__":
    main()
