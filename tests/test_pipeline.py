"""The DVC side: exact dependencies, and what a change reruns, driven through real `dvc`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.import_closure import REPOSITORY, closure
from tests.tiny import CHAIN, PARAMS, tiny_params, write_params

MODULES = {
    **{stage: f"stages.{stage}" for stage in CHAIN},
    "train_supervised": "stages.train_decoder",
    "evaluate_supervised": "stages.evaluate",
}
PIPELINE = {
    name: stage
    for file in ("dvc.yaml", "reference/dvc.yaml")
    for name, stage in yaml.safe_load((REPOSITORY / file).read_text())["stages"].items()
}


@pytest.mark.parametrize("stage", MODULES)
def test_code_dependencies_are_the_import_closure(stage: str) -> None:
    listed = [path for path in PIPELINE[stage]["deps"] if path.endswith(".py")]
    assert sorted(listed) == closure(MODULES[stage]), "run: python -m scripts.update_dvc_deps"


def test_the_closure_follows_lazy_imports_and_packages() -> None:
    files = closure("stages.train_decoder")
    assert "weaktr/models/cam.py" in files  # imported inside weaktr.models.store.build_model
    assert "weaktr/data/__init__.py" in files
    assert "weaktr/tracking.py" not in files
    assert "weaktr/report.py" not in files


def test_training_and_labels_depend_on_no_mask_but_to_measure() -> None:
    for stage in ("train_cam", "train_decoder"):
        assert "data/prepared/masks.csv" not in PIPELINE[stage]["deps"]
    assert "data/prepared/masks.csv" in PIPELINE["train_supervised"]["deps"]


def test_runtime_is_in_no_list_and_every_other_section_in_one() -> None:
    listed = {section for stage in PIPELINE.values() for section in stage["params"]}
    assert listed == set(PARAMS) - {"runtime"}


def test_run_ids_are_nobodys_dependency() -> None:
    for stage in PIPELINE.values():
        assert not [path for path in stage["deps"] if path.endswith("run.json")]


class Repository:
    """A git and DVC repository with the project's code and tiny params."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("weaktr", "stages", "reference"):
            ignored = shutil.ignore_patterns("__pycache__", "dvc.lock")
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
        for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(REPOSITORY / name, folder / name)
        write_params(folder, tiny_params())
        (folder / "README.md").write_text("read me\n")
        (folder / "tests").mkdir()
        scripts = Path(sys.executable).parent
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))},
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "1",
        }
        # Bytecode is written here as it is at a user's, whose `__pycache__` must rerun nothing.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.call("git", "init", "--quiet")
        self.call("dvc", "init", "--quiet")
        shutil.copy(REPOSITORY / ".dvcignore", folder / ".dvcignore")

    def call(self, *command: str, code: int = 0) -> str:
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    def repro(self) -> list[str]:
        """Stages that ran."""
        return re.findall(r"^Running stage '(\w+)'", self.call("dvc", "repro"), re.MULTILINE)

    def change(self, section: str, key: str, value: object) -> None:
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params.setdefault(section, {})[key] = value
        path.write_text(yaml.safe_dump(params))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which the chain has run once."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    assert repository.repro() == list(CHAIN)
    return repository


@pytest.mark.slow
def test_a_change_reruns_what_it_can_change_and_nothing_else(repository: Repository) -> None:
    assert repository.repro() == []
    for section, key, value, stages in (
        ("runtime", "checkpoint_epochs", 2, 0),
        ("evaluation", "flip", False, 1),
        ("decoder", "lr", 0.02, 2),
        ("labels", "background_score", 0.3, 3),
        ("cam", "lr", 0.01, 4),
        ("dataset", "shapes", {**PARAMS["dataset"]["shapes"], "data_seed": 11}, 5),
    ):
        repository.change(section, key, value)
        expected = list(CHAIN[len(CHAIN) - stages :])
        assert repository.repro() == expected, f"after a change of {section}.{key}"
    (repository.folder / "README.md").write_text("changed\n")
    (repository.folder / "tests/test_new.py").write_text("")
    (repository.folder / "weaktr/tracking.py").open("a").write("# a comment\n")
    assert repository.repro() == []
    # Going back is served from the cache, with the id of the run that made it.
    runs = [json.loads(p.read_text()) for p in repository.folder.glob("reports/*/run.json")]
    assert len({run["run_id"] for run in runs}) == len(CHAIN)
    check_tracking(repository)


def check_tracking(repository: Repository) -> None:
    """One pipeline run a result, and a stage run for each stage that really executed."""
    from mlflow import MlflowClient

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
    reports = repository.folder / "reports"
    metrics = json.loads((reports / "evaluate/metrics.json").read_text())
    assert latest.data.metrics["evaluate.mean_iou"] == pytest.approx(metrics["mean_iou"])
    assert "export_labels.miou.fine" in latest.data.metrics
    for stage in CHAIN:
        run_id = json.loads((reports / stage / "run.json").read_text())["run_id"]
        assert latest.data.tags[f"run.{stage}"] == run_id
        made_by = client.get_run(run_id)
        assert made_by.data.tags["stage"] == stage
        assert made_by.info.status == "FINISHED"
    logged = {a.path for a in client.list_artifacts(latest.info.run_id, "evaluate")}
    assert "evaluate/report.html" in logged


@pytest.mark.slow
def test_a_stage_restored_from_cache_brings_back_its_run(repository: Repository) -> None:
    reports = repository.folder / "reports"
    before = json.loads((reports / "train_cam/run.json").read_text())
    shutil.rmtree(reports)
    shutil.rmtree(repository.folder / "models")
    assert "Running" not in repository.call("dvc", "repro", "train_cam")
    assert json.loads((reports / "train_cam/run.json").read_text()) == before


@pytest.mark.slow
def test_a_typo_in_params_stops_dvc_with_one_sentence(repository: Repository) -> None:
    original = (repository.folder / "params.yaml").read_text()
    repository.change("evaluation", "strid", 16)
    output = repository.call("dvc", "repro", code=255)
    (repository.folder / "params.yaml").write_text(original)
    assert "params.yaml: evaluation.strid: no such key. Did you mean stride?" in output
    assert "Traceback" not in output


def test_raw_data_can_be_given_to_dvc(tmp_path: Path) -> None:
    """So that queued experiments, which work in a copy, have it."""
    repository = Repository(tmp_path)
    image = tmp_path / "data/raw/pets/images/rex.jpg"
    image.parent.mkdir(parents=True)
    image.touch()
    repository.call("dvc", "add", "data/raw/pets")
    assert repository.call("git", "status", "--short", "data") == "?? data/\n"
    repository.call("git", "add", "data")
    assert repository.call("git", "ls-files", "data") == "data/raw/pets.dvc\n"
    shutil.rmtree(tmp_path / "data/raw/pets")
    repository.call("dvc", "checkout", code=255)  # as no stage has run yet
    assert image.is_file()


def test_make_clean_leaves_what_is_not_a_stages(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    kept = (
        "models/imported/config.json",
        "mlflow.db",
        "mlruns/a",
        "data/raw/a",
        "data/pretrained/a",
    )
    made = [*outputs(), "checkpoints/train_cam-0.pt", "checkpoints/train_decoder-0/a.png"]
    for name in (*kept, *made):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"Makefile", *kept}


def outputs() -> list[str]:
    """Every output of a stage."""
    return [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in PIPELINE.values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]
