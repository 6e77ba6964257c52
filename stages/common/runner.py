"""Runs one stage: params, device, an MLflow run around it, and what it says on the terminal.

Nothing here changes what a stage computes, and no stage module imports it: a change of tracking
code reruns nothing.
"""

import importlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from stages.common.alone import alone_with_stage
from stages.common.code_digest import code_digest, forget_sources
from stages.common.paths import CHECKPOINTS, REPORTS
from stages.common.processes import launch, one_of_several, stopped_with_launcher, was_launched
from stages.common.recorded import forget_recorded
from stages.common.signals import signal_name, stopped_by_signals, stopped_with_dvc
from stages.common.stage import Context, Result, Stage
from stages.common.terminal import EpochLines, result_line
from weaktr.config.load import load_params
from weaktr.config.params import Params
from weaktr.device import choose_device, count_processes, own_device, set_threads
from weaktr.distributed import LostProcessError, is_first, wait_for_all
from weaktr.errors import UserError
from weaktr.experiments.store import project_root, reason_of
from weaktr.files import digest_value, read_json
from weaktr.stopping import Stop, Stopped

if TYPE_CHECKING:
    from weaktr.experiments.tracking import Run

CODE = Path("code.json")
LAST = "evaluate"
"""The stage after which a result is recorded."""
FOUND_OUT = ("export_labels", "train_decoder")
"""Stages after which is said what stands out in their outputs."""
REPORT = "report"
"""The stage whose page joins it."""


def stage_named(name: str) -> Stage:
    """The stage of a module in `stages/`."""
    stage = importlib.import_module(f"stages.{name}").STAGE
    assert isinstance(stage, Stage)
    return stage


def run_stage(
    stage: Stage, *, params_file: Path, device: str | None = None, track: bool = True
) -> None:
    """Runs a stage and records it, in as many processes as `runtime.devices` says.

    Args:
        stage: The stage.
        params_file: The params to read.
        device: Overrides `runtime.device`.
        track: Whether to write an MLflow run.
    """
    with one_of_several():
        params = load_params(params_file)
        if device is None:
            chosen = choose_device(params.runtime.device, given_as="runtime.device")
        else:
            chosen = choose_device(device, given_as="--device")
        share = stage.shared and not was_launched()
        processes = count_processes(params.runtime.devices, chosen) if share else 1
        if processes > 1:
            command = [stage.name.replace("_", "-"), "--params", str(params_file)]
            launch(processes, [*command, "--device", chosen, "--track" if track else "--no-track"])
        elif stage.shared or is_first():
            _run_here(stage, params, params_file, own_device(chosen), track=track)


def _run_here(stage: Stage, params: Params, params_file: Path, device: str, *, track: bool) -> None:
    """Runs a stage in this process; arguments as for `run_stage`."""
    begun = time.monotonic()
    stop = Stop()
    alone = alone_with_stage(stage.name, CHECKPOINTS) if is_first() else nullcontext()
    with _stoppable(stage, stop), alone:
        set_threads(params.runtime.threads)
        _refuse_stale_digest(stage)
        _refuse_absent_weights(stage, params)
        if is_first():
            forget_recorded(project_root() / CHECKPOINTS)
        wait_for_all()
        run = _tracked if track and stage.tracked and is_first() else _untracked
        result = run(stage, params, device, stop)
        if result is None:
            return
        _refuse_changes(stage, params, params_file)
    if stage.name in FOUND_OUT:
        from stages.common.evidence import findings_after

        for finding in findings_after(stage.name, params):
            typer.echo(f"Warning: {finding.title}. {finding.turn}", err=True)
    if track and stage.name == REPORT:
        from stages.common.results import attach_report

        with _only_warning():
            attach_report(result.where, params, stage_named)
    typer.echo(result_line(stage.name, result, time.monotonic() - begun))


def _refuse_absent_weights(stage: Stage, params: Params) -> None:
    """Weights from the hub have to be within reach; those of later stages are warned of.

    Raises:
        UserError: If the stage's own are not.
    """
    backbones = {"cam": params.cam.backbone, "decoder": params.decoder.backbone}
    own = set(stage.sections) & backbones.keys()
    if not own or not stage.name.startswith("train_"):
        return
    from weaktr.models.hub import require_hub

    names = {section: one.name for section, one in backbones.items() if one.weights == "hub"}
    now = {f"{section}.backbone": name for section, name in names.items() if section in own}
    later = {f"{section}.backbone": name for section, name in names.items() if section == "decoder"}
    warning = require_hub(now, later=later)
    if warning:
        typer.echo(f"Warning: train_decoder will need this. {warning}", err=True)


def _refuse_stale_digest(stage: Stage) -> None:
    """Under DVC, the code has to be the one that the stage `code` digested.

    Raises:
        UserError: If it was edited since then: DVC would record the outputs under the old digest.
    """
    if "DVC_STAGE" not in os.environ or not CODE.is_file():
        return
    if read_json(CODE).get(stage.name) != code_digest(f"stages.{stage.name}"):
        raise UserError(f"the code of {stage.name} was edited after {CODE} was made; run again.")


def _refuse_changes(stage: Stage, params: Params, params_file: Path) -> None:
    """Params and code have to be at the end what they were at the beginning.

    Raises:
        UserError: If they were edited while the stage ran: DVC reads params again at its end, and
            would record the new values with the outputs of the old ones.
    """
    if "DVC_STAGE" not in os.environ:
        return
    before, now = params.model_dump(mode="json"), load_params(params_file).model_dump(mode="json")
    for section in stage.sections:
        if before[section] != now[section]:
            raise UserError(
                f"{section} in {params_file} changed while {stage.name} ran, and its outputs "
                f"belong to the values before: put these back and run `dvc commit -f "
                f"{stage.name}`, or run `dvc repro` for the new ones."
            )
    digest = code_digest(f"stages.{stage.name}")
    forget_sources()
    if code_digest(f"stages.{stage.name}") != digest:
        raise UserError(
            f"the code of {stage.name} changed while it ran, and its outputs belong to the code "
            f"before: undo the edit and run `dvc commit -f {stage.name}`, or run `dvc repro`."
        )


def _untracked(stage: Stage, params: Params, device: str, stop: Stop) -> Result | None:
    return stage.run(_context(stage, params, device, stop))


def _tracked(stage: Stage, params: Params, device: str, stop: Stop) -> Result | None:
    """Runs a stage with an MLflow run around it, and after the last one writes the result's."""
    from stages.common.results import INVOCATION, invocation, record_result, stage_tags
    from weaktr.experiments.tracking import start_run

    plain = params.model_dump(mode="json")
    tags = {"stage": stage.name, "device": device, INVOCATION: invocation()}
    with start_run(
        f"{params.runtime.experiment}-stages", stage.name, tags, system_metrics=True
    ) as record:
        record.log_params({section: plain[section] for section in stage.sections})
        context = _context(stage, params, device, stop, record)
        result = stage.run(context)
        record.log_artifacts(context.reports, *context.artifacts)
        record.set_tags(stage_tags(stage, params))
    if stage.name == LAST:
        with _only_warning():
            record_result(stage, params, stage_named)
    return result


@contextmanager
def _only_warning() -> Iterator[None]:
    """Lets nothing of tracking undo a stage whose outputs are complete."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, UserError, OSError) as error:
        typer.echo(
            f"Warning: the result is not in MLflow ({reason_of(error)}); the outputs are complete, "
            f"and `dvc repro -f -s {LAST}` records it.",
            err=True,
        )


def _precisions(stage: Stage, plain: Mapping[str, Any], device: str) -> dict[str, str]:
    """By section, what its precision comes to here: work begun in another one is not gone on with.

    Raises:
        UserError: If the device does not have it.
    """
    if not stage.shared:  # without a network, which torch's import would not be worth
        return {}
    from weaktr.precision import choose_precision

    sections = {name: plain[name] for name in stage.sections if isinstance(plain[name], dict)}
    return {
        name: choose_precision(values["precision"], device, given_as=f"{name}.precision")
        for name, values in sections.items()
    }


def _context(
    stage: Stage, params: Params, device: str, stop: Stop, record: "Run | None" = None
) -> Context:
    """What the stage is given; every epoch is said on the terminal, tracked or not."""
    plain = params.model_dump(mode="json")
    lines = EpochLines(stage.name)
    reports = REPORTS / stage.name

    def log_epoch(values: Mapping[str, float], epochs: int) -> None:
        if record is not None:
            record.log_metrics(values, int(values["epoch"]))
        lines.say(values, epochs)

    def log_earlier(history: Sequence[Mapping[str, float]]) -> None:
        if record is not None:
            record.log_curves([(int(values["epoch"]), values) for values in history])

    return Context(
        params=params,
        device=device,
        reports=reports,
        fingerprint=digest_value(
            {
                "params": {section: plain[section] for section in stage.sections},
                "precision": _precisions(stage, plain, device),
                "code": code_digest(f"stages.{stage.name}"),
            }
        ),
        log_epoch=log_epoch,
        log_earlier=log_earlier,
        checkpoints=project_root() / CHECKPOINTS,
        stop=stop,
        say=typer.echo,
    )


@contextmanager
def _stoppable(stage: Stage, stop: Stop) -> Iterator[None]:
    """Lets signals, and the end of `dvc`, stop a stage, and says what stopped it."""
    try:
        with stopped_by_signals(stop), stopped_with_dvc(stop), stopped_with_launcher(stop):
            yield
    except LostProcessError:
        if stop.code is None:
            raise
        raise SystemExit(stop.code) from None  # the other one was asked to stop as well
    except Stopped as stopped:
        typer.echo(
            f"{stage.name} was stopped by {signal_name(stopped.code)}; run the same again: it goes "
            "on after what is in checkpoints/.",
            err=True,
        )
        raise
