"""Runs one stage: params, device, an MLflow run around it, and what it says on the terminal.

Nothing here changes what a stage computes, and no stage module imports it: a change of tracking
code reruns nothing.
"""

import importlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import typer

from stages.common.code_digest import code_digest
from stages.common.paths import REPORTS
from stages.common.results import record_result, stage_tags
from stages.common.stage import Context, Result, Stage
from weaktr.config.load import load_params
from weaktr.config.params import Params
from weaktr.device import choose_device, set_threads
from weaktr.experiments.tracking import start_run
from weaktr.files import digest_value

RESULT_OF = "evaluate"
"""The stage after which a result is complete."""


def stage_named(name: str) -> Stage:
    """The stage of a module in `stages/`."""
    stage = importlib.import_module(f"stages.{name}").STAGE
    assert isinstance(stage, Stage)
    return stage


def run_stage(
    stage: Stage, *, params_file: Path, device: str | None = None, track: bool = True
) -> None:
    """Runs a stage and records it.

    Args:
        stage: The stage.
        params_file: The params to read.
        device: Overrides `runtime.device`.
        track: Whether to write an MLflow run.
    """
    with _exit_on_sigterm():
        params = load_params(params_file)
        set_threads(params.runtime.threads)
        (REPORTS / stage.name).mkdir(parents=True, exist_ok=True)
        if device is None:
            chosen = choose_device(params.runtime.device, given_as="runtime.device")
        else:
            chosen = choose_device(device, given_as="--device")
        begun = time.monotonic()
        result = _run(stage, params, chosen, track=track)
        typer.echo(result_line(stage.name, result, time.monotonic() - begun))


def _run(stage: Stage, params: Params, device: str, *, track: bool) -> Result:
    """Runs a stage with or without an MLflow run around it."""
    plain = params.model_dump(mode="json")
    sections = {section: plain[section] for section in stage.sections}
    code = code_digest(f"stages.{stage.name}")

    def context(log: Callable[[Mapping[str, float], int], None]) -> Context:
        return Context(
            params=params,
            device=device,
            reports=REPORTS / stage.name,
            fingerprint=digest_value({"params": sections, "code": code}),
            log=log,
        )

    if not track:
        return stage.run(context(lambda values, step: _say_epoch(stage.name, values)))
    experiment = f"{params.runtime.experiment}-stages"
    tags = {"stage": stage.name, "device": device}
    with start_run(experiment, stage.name, tags, system_metrics=True) as record:
        record.log_params(sections)

        def log(values: Mapping[str, float], step: int) -> None:
            record.log_metrics(values, step)
            _say_epoch(stage.name, values)

        given = context(log)
        result = stage.run(given)
        record.log_artifacts(given.reports, *given.artifacts)
        record.set_tags(stage_tags(stage, params))
    if stage.name == RESULT_OF:
        record_result(stage, params, stage_named)
    return result


def _say_epoch(name: str, values: Mapping[str, float]) -> None:
    if "epoch" in values:
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
        typer.echo(f"{name}: {numbers}")


def result_line(name: str, result: Result, seconds: float) -> str:
    """`evaluate: mIoU 83.8 (val) (150 images, 14 s) -> reports/evaluate/report.html`."""
    number = f"{result.number}, " if result.number else ""
    return f"{name}: {number}{result.made}, {duration(seconds)} -> {result.where.as_posix()}"


def duration(seconds: float) -> str:
    """`14 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Lets a job that a cluster takes back close its run and remove what is half-written."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
