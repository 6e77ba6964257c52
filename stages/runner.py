"""Runs one stage: params, device, an MLflow run around it, and errors in one sentence.

Nothing here changes what a stage computes, and no stage module imports it: a change of tracking
code reruns nothing.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import typer

from stages.context import Context
from stages.paths import REPORTS
from weaktr.config import Params, load_params
from weaktr.console import one_sentence
from weaktr.files import read_json, write_json
from weaktr.runtime import choose_device, set_threads

PARAM_SECTIONS = {
    "prepare": ("dataset",),
    "train_cam": ("cam", "seed"),
    "export_labels": ("labels",),
    "train_decoder": ("decoder", "seed"),
    "evaluate": ("evaluation",),
    "train_supervised": ("decoder", "seed"),
    "evaluate_supervised": ("evaluation",),
}
CHAINS = {
    "evaluate": ("prepare", "train_cam", "export_labels", "train_decoder", "evaluate"),
    "evaluate_supervised": ("prepare", "train_supervised", "evaluate_supervised"),
}
"""Stages that lead to a result."""
TWINS = {"train_supervised": "train_decoder", "evaluate_supervised": "evaluate"}
"""Stages of the supervised reference, and those whose metrics' names they share in a result."""


def run_stage(
    name: str,
    stage: Callable[[Context], None],
    *,
    params_file: Path,
    device: str | None = None,
    track: bool = True,
) -> None:
    """Runs a stage and records it.

    Args:
        name: Name of the stage in `dvc.yaml`; also of its folder under `reports/`.
        stage: Its `run` function.
        params_file: The params to read.
        device: Overrides `runtime.device`.
        track: Whether to write an MLflow run.
    """
    with one_sentence(), _exit_on_sigterm():
        params = load_params(params_file)
        set_threads(params.runtime.threads)
        reports = REPORTS / name
        reports.mkdir(parents=True, exist_ok=True)
        if device is None:
            chosen = choose_device(params.runtime.device, given_as="runtime.device")
        else:
            chosen = choose_device(device, given_as="--device")
        if not track:
            stage(Context(params=params, device=chosen, reports=reports))
            return

        from weaktr.tracking import start_run

        plain = params.model_dump(mode="json")
        sections = {section: plain[section] for section in PARAM_SECTIONS[name]}
        experiment = f"{params.runtime.experiment}-stages"
        tags = {"stage": name, "device": chosen}
        with start_run(experiment, name, tags, system_metrics=True) as record:
            record.log_params(sections)

            def log(values: Mapping[str, float], step: int) -> None:
                record.log_metrics(values, step)
                if "epoch" in values:
                    numbers = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
                    typer.echo(f"{name}: {numbers}")

            context = Context(params=params, device=chosen, reports=reports, log=log)
            stage(context)
            record.log_artifacts(reports, *context.artifacts)
        run = {"experiment_id": record.experiment_id, "run_id": record.id}
        write_json(reports / "run.json", run)
        if name in CHAINS:
            record_result(name, params)


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Lets a job that a cluster takes back close its run and remove what is half-written."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def record_result(name: str, params: Params) -> None:
    """Writes the pipeline run of a result: all params, every stage's numbers, links to their runs.

    Stages that DVC restored from its cache count too: their metrics and the id of the run that made
    them came back with their outputs.
    """
    from weaktr.tracking import start_run

    metrics: dict[str, float] = {}
    links: dict[str, str] = {}
    for stage in CHAINS[name]:
        folder = REPORTS / stage
        metrics |= numbers_in(read_json(folder / "metrics.json"), f"{TWINS.get(stage, stage)}.")
        links[f"run.{stage}"] = read_json(folder / "run.json")["run_id"]
    supervised = name in TWINS
    title = os.environ.get("DVC_EXP_NAME") or params.decoder.backbone.name
    title += " on true masks" * supervised
    tags = {"stage": "pipeline", "supervised": str(supervised).lower()}
    with start_run(params.runtime.experiment, title, tags | links) as record:
        record.log_params(params.model_dump(mode="json", exclude={"runtime"}))
        record.log_metrics(metrics)
        record.log_artifacts(REPORTS / name)


def numbers_in(values: Mapping[str, object], prefix: str) -> dict[str, float]:
    """The numbers of nested metrics under dotted names; true and false are left out."""
    numbers: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            numbers |= numbers_in(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[prefix + key] = float(value)
    return numbers
