"""The run of a result, and how it finds the stage runs that led to it: by their content."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from stages.common.code_digest import code_digest
from stages.common.paths import MASKS, REPORTS
from stages.common.stage import Stage
from weaktr.config.params import Params
from weaktr.experiments.tracking import find_run, start_run
from weaktr.files import digest_files, digest_value, read_json

DIGEST = "weaktr.digest"
"""Tag of a stage run: digest of the params and the code that it ran with, and of its outputs."""


def stage_tags(stage: Stage, params: Params) -> dict[str, str]:
    """What a stage run is found by, worked out from the params, the code and the files as they are.

    Nothing of it is kept in a file: no output of DVC holds a run's id.
    """
    plain = params.model_dump(mode="json")
    parts = {
        "params": digest_value({section: plain[section] for section in stage.sections}),
        "code": code_digest(f"stages.{stage.name}"),
        "outputs": digest_files(stage.writes),
    }
    return {DIGEST: digest_value(parts), **{f"weaktr.{k}": v for k, v in parts.items()}}


def chain(stage: Stage, params: Params, stage_named: Callable[[str], Stage]) -> list[Stage]:
    """The stages that lead to a stage, in order, and the stage itself."""
    found: dict[str, Stage] = {}
    for name in stage.upstream(params):
        found |= {one.name: one for one in chain(stage_named(name), params, stage_named)}
    return [*found.values(), stage]


def record_result(stage: Stage, params: Params, stage_named: Callable[[str], Stage]) -> None:
    """Writes the pipeline run of a result: all params, every stage's numbers, links to their runs.

    Stages that DVC restored from its cache count too: their metrics came back with their outputs,
    and the run that made these is found by their digest.
    """
    metrics: dict[str, float] = {}
    links: dict[str, str] = {}
    stages_experiment = f"{params.runtime.experiment}-stages"
    for one in chain(stage, params, stage_named):
        metrics |= numbers_in(read_json(REPORTS / one.name / "metrics.json"), f"{one.name}.")
        run_id = find_run(stages_experiment, {DIGEST: stage_tags(one, params)[DIGEST]})
        if run_id is not None:
            links[f"run.{one.name}"] = run_id
    supervised = Path(params.decoder.labels_from) == MASKS
    title = os.environ.get("DVC_EXP_NAME") or params.decoder.backbone.name
    title += ", true masks" * supervised
    tags = {"stage": "pipeline", "supervised": str(supervised).lower()}
    with start_run(params.runtime.experiment, title, tags | links) as record:
        record.log_params(params.model_dump(mode="json", exclude={"runtime"}))
        record.log_metrics(metrics)
        record.log_artifacts(REPORTS / stage.name)


def numbers_in(values: Mapping[str, object], prefix: str) -> dict[str, float]:
    """The numbers of nested metrics under dotted names; true and false are left out."""
    numbers: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            numbers |= numbers_in(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[prefix + key] = float(value)
    return numbers
