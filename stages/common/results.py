"""The run of a result, and how it finds the stage runs that led to it: by their content."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from stages.common.code_digest import code_digest
from stages.common.corrected_facts import corrected_facts
from stages.common.label_source import label_source
from stages.common.paths import PREPARED, REPORTS, SEGMENTER
from stages.common.signals import dvc_process
from stages.common.stage import Stage
from stages.common.terminal import duration
from stages.common.words import counted
from weaktr.config.params import Params
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, load_masks
from weaktr.experiments.logged_model import log_segmenter
from weaktr.experiments.naming import origin_of
from weaktr.experiments.recipes import list_recipes
from weaktr.experiments.results_table import differing_params, metric_columns, result_rows
from weaktr.experiments.shared_view import run_address, save_views
from weaktr.experiments.store import experiment_id, open_store
from weaktr.experiments.tracking import Run, find_run, start_run
from weaktr.files import digest_files, digest_value, read_json
from weaktr.report.machine import machine_facts
from weaktr.report.page import with_facts

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as RunEntity

DIGEST = "weaktr.digest"
"""Tag of a stage run: digest of the params and the code that it ran with, and of its outputs."""
INVOCATION = "weaktr.invocation"
"""Tag of a stage run: which `dvc repro` it was part of."""
MOST_CHANGED = 6
"""Columns of changed params in the table of results."""
EXAMPLE_SIDE = 256
"""Longest side in pixels of the example that is stored with a model."""


@dataclass(frozen=True)
class Link:
    """A stage that led to a result, and its run, where the store has it."""

    stage: str
    run: "RunEntity | None"

    @property
    def seconds(self) -> float:
        """How long the stage took when it ran; 0 where that is not known."""
        if self.run is None or self.run.info.end_time is None:
            return 0.0
        return float(self.run.info.end_time - self.run.info.start_time) / 1000


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


def invocation() -> str:
    """Names the `dvc` process that this one runs under, or else this process."""
    own = dvc_process() or psutil.Process()
    return f"{own.pid}-{own.create_time():.0f}"


def chain(stage: Stage, params: Params, stage_named: Callable[[str], Stage]) -> list[Stage]:
    """The stages that lead to a stage, in order, and the stage itself."""
    found: dict[str, Stage] = {}
    for name in stage.upstream(params):
        found |= {one.name: one for one in chain(stage_named(name), params, stage_named)}
    return [*found.values(), stage]


def record_result(stage: Stage, params: Params, stage_named: Callable[[str], Stage]) -> None:
    """Writes the run of a result: what it reached, from which params, and by which stage runs.

    Stages that DVC restored from its cache count too: their metrics came back with their outputs,
    and the run that made these is found by its digest.
    """
    client = open_store()
    experiment = params.runtime.experiment
    stages = chain(stage, params, stage_named)
    links = []
    for one in stages:
        digest = {DIGEST: stage_tags(one, params)[DIGEST]}
        links.append(Link(one.name, find_run(client, f"{experiment}-stages", digest)))
    metrics = {name: value for one in stages for name, value in headline(one.name).items()}
    recipes = list_recipes() if Path("recipes").is_dir() else []
    origin = origin_of(params, recipes)
    corrected = corrected_facts()["masks"]
    by_hand = counted(corrected, "corrected mask") if corrected else ""
    own_name = ", ".join(filter(None, (origin.name, by_hand)))
    name = ": ".join(filter(None, (os.environ.get("DVC_EXP_NAME"), own_name)))
    tags = {
        "stage": "result",
        "labels": ", ".join(filter(None, (label_source(params.decoder.labels_from), by_hand))),
        "mlflow.note.content": description(metrics, links),
        **{f"run.{link.stage}": link.run.info.run_id for link in links if link.run},
    }
    with start_run(experiment, name, tags, begun=_begun(links)) as record:
        flat = params.model_dump(mode="json", exclude={"runtime"})
        record.log_params({"recipe": origin.recipe, "changed": origin.changed, **flat})
        record.log_metrics(metrics)
        record.log_curves([point for one in stages for point in curve_points(one.name)])
        record.log_artifacts(REPORTS / stage.name)
        _log_data(record, params)
        log_segmenter(
            client,
            record.experiment_id,
            record.id,
            SEGMENTER,
            params={
                "recipe": origin.recipe,
                "encoder": params.decoder.backbone.name,
                **({"corrected_masks": str(corrected)} if corrected else {}),
            },
            example=_example(params),
        )
    _update_views(client, experiment_id(client, experiment))


def attach_report(path: Path, params: Params, stage_named: Callable[[str], Stage]) -> None:
    """Adds the report to the run of the result that it is about, with versions and commit.

    Args:
        path: The page as DVC keeps it.
        params: Of the result.
        stage_named: Finds stages.
    """
    client = open_store()
    experiment = params.runtime.experiment
    digest = {DIGEST: stage_tags(stage_named("evaluate"), params)[DIGEST]}
    evaluated = find_run(client, f"{experiment}-stages", digest)
    if evaluated is None:
        return  # another store has it
    result = find_run(client, experiment, {"run.evaluate": evaluated.info.run_id})
    if result is not None:
        text = with_facts(path.read_text(encoding="utf-8"), machine_facts(Path()))
        client.log_text(result.info.run_id, text, f"report/{path.name}")


def headline(stage: str) -> dict[str, float]:
    """A stage's metrics under MLflow's grouped names: `miou_val` becomes `miou/val`."""
    path = REPORTS / stage / "metrics.json"
    values = read_json(path) if path.is_file() else {}
    return {name.replace("_", "/", 1): value for name, value in values.items() if value is not None}


def curve_points(stage: str) -> Iterator[tuple[int, dict[str, float]]]:
    """A trainer's curves, epoch by epoch, under names that group by stage."""
    path = REPORTS / stage / "curves.csv"
    if path.is_file():
        import pandas as pd

        for row in pd.read_csv(path).to_dict("records"):
            epoch = int(row.pop("epoch"))
            yield epoch, {f"{stage}/{name}": float(value) for name, value in row.items()}


def description(metrics: Mapping[str, float], links: list[Link]) -> str:
    """What MLflow shows on top of a run's page: the numbers, and links to the stage runs."""
    lines = ["| metric | value |", "|---|---|"]
    lines += [f"| {name} | {value:g} |" for name, value in metrics.items()]
    lines += ["", "| stage | took | run |", "|---|---|---|"]
    for link in links:
        place = "made elsewhere: this store does not have its run"
        if link.run is not None:
            info = link.run.info
            place = f"[{info.run_id[:8]}]({run_address(info.experiment_id, info.run_id)})"
        took = duration(link.seconds) if link.run else ""
        lines.append(f"| {link.stage} | {took} | {place} |")
    return "\n".join(lines)


def _begun(links: list[Link]) -> int | None:
    """When the first stage began that ran for just this result; others came from the cache."""
    this = invocation()
    runs = [link.run for link in links if link.run and link.run.data.tags.get(INVOCATION) == this]
    return min((run.info.start_time for run in runs), default=None)


def _log_data(record: Run, params: Params) -> None:
    """Names the data set of a run, with the digest and the counts of each split."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    manifest = Manifest.load(PREPARED)
    masks = load_masks(PREPARED)
    inputs = []
    for split in ("train", params.evaluation.split):
        part = manifest.of_split(split)
        counts: dict[str, Any] = {
            "images": len(part),
            "with masks": sum(one.id in masks for one in part),
            "classes": len(manifest.classes),
        }
        data = Dataset(
            name=Path(params.dataset.root).name,
            digest=digest_value([one.digest for one in part])[:8],
            source_type="local",
            source=json.dumps({"uri": params.dataset.root}),
            profile=json.dumps(counts),
        )
        inputs.append(DatasetInput(data, [InputTag("mlflow.data.context", split)]))
    record.client.log_inputs(record.id, inputs)


def _example(params: Params) -> Any:
    """A small image of the evaluated split."""
    first = Manifest.load(PREPARED).require_split(params.evaluation.split).records[0]
    image = read_image(first.image)
    image.thumbnail((EXAMPLE_SIDE, EXAMPLE_SIDE))
    return image


def _update_views(client: "MlflowClient", experiment: str) -> None:
    """Lets the table show all metrics, and the params in which results differ."""
    rows = result_rows(client, experiment)
    save_views(
        client,
        experiment,
        metrics=metric_columns(rows),
        params=["recipe", *differing_params(rows)[:MOST_CHANGED]],
        curves=list(dict.fromkeys(name for row in rows for name in row.curves)),
    )
