"""Measures the demo over several seeds, with the supervised reference and ablations.

    python -m scripts.measure_results --seeds 0 1 2

Every run is a real one of the stages, in a folder of its own; `docs/results.json` holds what came
out, `docs/results.md` the tables. About 15 minutes a seed on two CPU cores.
"""

import argparse
import copy
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from weaktr.files import write_json, write_text

REPOSITORY = Path(__file__).resolve().parent.parent
CHAIN = ("prepare", "train-cam", "export-labels", "train-decoder", "evaluate")
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tags only": ("", CHAIN),
    "supervised reference": ("", ("train-decoder --supervised", "evaluate --supervised")),
    "plain cross-entropy": ("ablation-cross-entropy", CHAIN[3:]),
    "mean fusion": ("ablation-mean-fusion", CHAIN[1:]),
}
"""Recipe on top of params.yaml, and the stages to run; each starts from `tags only`'s outputs."""
STEPS = {
    "coarse CAM (train)": ("export_labels", "miou", "coarse"),
    "fused CAM (train)": ("export_labels", "miou", "fused"),
    "fine CAM (train)": ("export_labels", "miou", "fine"),
    "pseudo-labels (train)": ("export_labels", "miou", "pseudo_labels"),
    "decoder (val)": ("evaluate", "mean_iou"),
}


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values, those of `over` in place of those of `base`."""
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        inside = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlaid(merged[key], value) if inside else value
    return merged


def run_stage(command: str, folder: Path) -> float:
    """Runs one stage; returns its wall-clock seconds."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    arguments = [sys.executable, "-m", "stages", *command.split(), "--no-track"]
    subprocess.run(arguments, cwd=folder, env=environment, check=True)
    return time.monotonic() - began


def numbers(folder: Path, supervised: bool) -> dict[str, float]:
    """mIoU of every step that the folder's reports have."""
    found = {}
    for title, (stage, *keys) in STEPS.items():
        name = f"{stage}_supervised" if supervised else stage
        path = folder / "reports" / name / "metrics.json"
        if path.is_file():
            value: Any = json.loads(path.read_text())
            for key in keys:
                value = value[key]
            found[title] = value
    return found


def measure_seed(seed: int, workplace: Path) -> dict[str, dict[str, float]]:
    """All variants for one seed."""
    base = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"seed": seed}
    plain = workplace / f"seed-{seed}"
    shutil.copytree(REPOSITORY / "data/pretrained", plain / "data/pretrained")
    shutil.copytree(REPOSITORY / "data/raw/shapes", plain / "data/raw/shapes")
    measured = {}
    for variant, (recipe, stages) in VARIANTS.items():
        folder, params = plain, base
        if recipe:
            folder = workplace / f"seed-{seed}-{recipe}"
            shutil.copytree(plain, folder)
            overlay = yaml.safe_load((REPOSITORY / f"recipes/{recipe}.yaml").read_text())
            params = overlaid(base, overlay)
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        seconds = {stage: run_stage(stage, folder) for stage in stages}
        measured[variant] = {
            **numbers(folder, supervised="--supervised" in stages[0]),
            "minutes": sum(seconds.values()) / 60,
        }
        print(f"seed {seed}, {variant}: {measured[variant]}", flush=True)
    floor = json.loads((plain / "reports/prepare/metrics.json").read_text())
    measured["tags only"]["colour classifier (val)"] = floor["colour_floor_miou"]
    return measured


def spread(values: Sequence[float]) -> str:
    """`61.2 ± 0.8 (60.4, 61.2, 62.0)`: mean, sample standard deviation, and each seed's."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    each = ", ".join(f"{value:.1f}" for value in values)
    return f"{statistics.mean(values):.1f} ± {deviation:.1f} ({each})"


def tables(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The tables as Markdown."""
    seeds = list(results)

    def row(variant: str, key: str) -> str:
        return spread([results[seed][variant][key] for seed in seeds])

    lines = ["| step | mIoU (%) |", "|---|---|"]
    lines.append(f"| colour classifier (val) | {row('tags only', 'colour classifier (val)')} |")
    lines += [f"| {step} | {row('tags only', step)} |" for step in STEPS]
    decoder = "decoder (val)"
    lines.append(f"| supervised reference (val) | {row('supervised reference', decoder)} |")
    shares = [
        100 * results[s]["tags only"][decoder] / results[s]["supervised reference"][decoder]
        for s in seeds
    ]
    lines.append(f"| share of the supervised reference | {spread(shares)} % |")
    lines += ["", "| ablation | pseudo-labels (train) | decoder (val) |", "|---|---|---|"]
    for variant in ("tags only", "mean fusion", "plain cross-entropy"):
        labels = row(variant, "pseudo-labels (train)")
        lines.append(f"| {variant} | {labels} | {row(variant, decoder)} |")
    minutes = row("tags only", "minutes")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    lines += ["", f"The five stages took {minutes} minutes; peak memory of a stage {peak:.2f} GiB."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures, and writes docs/results.json and the tables of docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as workplace:
        results = {str(s): measure_seed(s, Path(workplace)) for s in arguments.seeds}
    write_json(REPOSITORY / "docs/results.json", results)
    path = REPOSITORY / "docs/results.md"
    head, marker, _ = path.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    write_text(path, f"{head}{marker}{tables(results)}")


if __name__ == "__main__":
    main()
