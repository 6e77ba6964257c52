"""What a change reruns, driven through real `dvc`."""

import shutil
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.dvc_repository import Repository
from tests.tiny import CHAIN, PARAMS
from weaktr.data.masks import read_mask, write_mask


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which the chain has run once."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    assert repository.stages_run() == ["code", *CHAIN, "summary"]
    return repository


@pytest.mark.slow
def test_a_change_reruns_what_it_can_change_and_nothing_else(repository: Repository) -> None:
    assert repository.stages_run() == []
    for section, key, value, stages in (
        ("runtime", "checkpoint_minutes", 1.5, 0),
        ("evaluation", "flip", False, 2),
        ("decoder", "lr", 0.02, 3),
        ("labels", "background_score", 0.3, 4),
        ("cam", "lr", 0.01, 5),
        ("dataset", "shapes", {**PARAMS["dataset"]["shapes"], "data_seed": 11}, 6),
    ):
        repository.change(section, key, value)
        expected = list(CHAIN[len(CHAIN) - stages :])
        assert repository.repro() == expected, f"after a change of {section}.{key}"
    (repository.folder / "README.md").write_text("changed\n")
    (repository.folder / "tests/test_new.py").write_text("")
    assert repository.stages_run() == []
    check_tracking(repository)


def check_tracking(repository: Repository) -> None:
    """One run per result, and a stage run for each stage that really executed."""
    client = MlflowClient(f"sqlite:///{repository.folder / 'mlflow.db'}")
    ids = {e.name: e.experiment_id for e in client.search_experiments()}
    results = client.search_runs([ids["weaktr"]])
    stages = client.search_runs([ids["weaktr-stages"]], max_results=100)
    executed = 5 + 1 + 2 + 3 + 4 + 5
    assert len(stages) == executed
    assert len(results) == 6  # the first one and five changes with a new result
    latest = results[0]
    assert latest.data.params["dataset.shapes.data_seed"] == "11"
    assert "runtime.device" not in latest.data.params
    metrics = repository.json("metrics.json")
    for name, value in metrics.items():
        assert latest.data.metrics[name.replace("_", "/", 1)] == value
    assert {"train_cam/loss_fine", "train_decoder/loss"} <= set(latest.data.metrics)
    curve = client.get_metric_history(latest.info.run_id, "train_cam/loss")
    assert [point.step for point in curve] == [1, 2]
    linked = {latest.data.tags[f"run.{stage}"] for stage in CHAIN[:5]}
    assert linked == {run.info.run_id for run in stages[:5]}
    seconds = (latest.info.end_time - latest.info.start_time) / 1000
    assert seconds > 3, "a result takes as long as its stages"
    # A result whose first stages came from the cache links to the runs that made them.
    first, evaluated_again = results[-1], results[-2]
    for stage in CHAIN[:4]:
        assert evaluated_again.data.tags[f"run.{stage}"] == first.data.tags[f"run.{stage}"]
    # It has the same segmenter, which is stored once.
    assert first.outputs is not None
    assert evaluated_again.outputs is not None
    (before,), (after,) = first.outputs.model_outputs, evaluated_again.outputs.model_outputs
    assert before.model_id == after.model_id
    assert len(client.search_logged_models([ids["weaktr"]])) == 5
    assert latest.inputs is not None
    inputs = latest.inputs.dataset_inputs
    assert [one.tags[0].value for one in inputs] == ["train", "val"]
    logged = {a.path for a in client.list_artifacts(latest.info.run_id, "report")}
    assert logged == {"report/report.html"}


@pytest.mark.slow
def test_a_corrected_mask_reruns_the_decoder_and_what_follows(repository: Repository) -> None:
    repository.repro()
    folder = repository.folder / "data/corrected/mine"
    folder.mkdir()
    labels = sorted((repository.folder / "data/pseudo-labels").glob("*.png"))
    shutil.copy(labels[0], folder)
    assert repository.stages_run() == [], "a folder that is not named changes nothing"
    repository.change("decoder", "corrected", "mine")
    assert repository.repro() == ["train_decoder", "evaluate", "report"]
    assert repository.stages_run() == []
    ids = read_mask(labels[0])
    ids[:8] = 255
    write_mask(folder / labels[0].name, ids)
    assert repository.repro() == ["train_decoder", "evaluate", "report"]
    result = latest_result(repository)
    assert result.data.tags["labels"] == "pseudo-labels, 1 corrected mask"
    assert result.info.run_name.endswith("1 corrected mask")
    assert result.data.metrics["corrected"] == 1
    repository.change("decoder", "corrected", "none")
    assert repository.stages_run() == [], "the result without it is in DVC's cache"
    assert "corrected" not in repository.json("metrics.json")


def latest_result(repository: Repository) -> Run:
    """The run of the last result."""
    client = MlflowClient(f"sqlite:///{repository.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("weaktr")
    assert experiment is not None
    return client.search_runs([experiment.experiment_id])[0]


def add_comment(source: str) -> str:
    return source + "# a remark\n"


def add_docstring(source: str) -> str:
    return source + '"""A remark."""\n'


def bump_version(source: str) -> str:
    return source.replace('__version__ = "', '__version__ = "1')


def add_statement(source: str) -> str:
    return source + "_UNUSED = 1\n"


EDITS: dict[str, tuple[str, Callable[[str], str], tuple[str, ...]]] = {
    "a comment": ("weaktr.models.backbone", add_comment, ()),
    "a docstring": ("weaktr.config.cam", add_docstring, ()),
    "a version bump": ("weaktr", bump_version, ()),
    "the progress bar": ("weaktr.progress", add_statement, ()),
    "the report": ("weaktr.report.page", add_statement, ("report",)),
    "the clipped loss": (
        "weaktr.training.clipped_cross_entropy",
        add_statement,
        ("train_decoder",),
    ),
    "the mask transformer": (
        "weaktr.models.mask_transformer",
        add_statement,
        ("train_decoder", "evaluate"),
    ),
    "the CRF": ("weaktr.crf.dense_crf", add_statement, ("export_labels", "evaluate", "report")),
    "the fusion": (
        "weaktr.models.attention_fusion",
        add_statement,
        ("train_cam", "export_labels", "report"),
    ),
    "a reader": ("weaktr.data.readers.voc", add_statement, ("prepare",)),
}
"""What is edited, how, and the stages that run. No edit changes an output, so that the stages after
those that run find their inputs as they were."""


@pytest.mark.slow
def test_an_edit_reruns_the_stages_that_run_the_code(repository: Repository) -> None:
    repository.repro()
    for what, (module, change, stages) in EDITS.items():
        repository.edit(module, change)
        assert repository.stages_run() == ["code", *stages], f"after an edit of {what}"
    assert repository.stages_run() == []
    assert repository.call("dvc", "status").strip() == "Data and pipelines are up to date."


@pytest.mark.slow
def test_a_typo_in_params_stops_dvc_with_one_sentence(repository: Repository) -> None:
    original = (repository.folder / "params.yaml").read_text()
    repository.change("evaluation", "strid", 16)
    output = repository.call("dvc", "repro", code=255)
    (repository.folder / "params.yaml").write_text(original)
    assert "params.yaml: evaluation.strid: no such key. Did you mean evaluation.stride?" in output
    assert "Traceback" not in output
