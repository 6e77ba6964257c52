"""The DVC side: exact dependencies, and what a change reruns, driven through real `dvc`."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stages.common import paths
from stages.common.code_digest import closure, source_of
from stages.common.runner import stage_named
from tests.conftest import REPOSITORY
from tests.tiny import CHAIN, PARAMS, tiny_params, write_params
from weaktr.config.load import load_params

PIPELINE = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]


def sections_of(stage: str) -> list[str]:
    return [param for param in PIPELINE[stage]["params"] if isinstance(param, str)]


@pytest.mark.parametrize("stage", CHAIN)
def test_a_stage_says_of_itself_what_dvc_is_told(stage: str) -> None:
    own = stage_named(stage)
    assert own.name == stage
    assert list(own.sections) == sections_of(stage)
    assert {"code.json": [stage]} in PIPELINE[stage]["params"]
    outs = PIPELINE[stage]["outs"]
    assert {path.as_posix() for path in own.writes} <= set(outs)
    deps = [
        dep.replace("${decoder.labels_from}", "data/pseudo-labels")
        for dep in PIPELINE[stage]["deps"]
    ]
    params = load_params(REPOSITORY / "params.yaml")
    for upstream in own.upstream(params):
        made = {path.as_posix() for path in stage_named(upstream).writes}
        assert made & set(deps), f"{stage} reads nothing of {upstream}"


@pytest.mark.parametrize("stage", CHAIN)
def test_the_code_of_every_section_that_a_stage_reads_is_its_own(stage: str) -> None:
    used = closure(f"stages.{stage}")
    for section in set(sections_of(stage)) - {"seed"}:
        assert f"weaktr.config.{section}" in used
    others = set(PARAMS) - set(sections_of(stage)) - {"seed", "cam", "decoder"}
    assert not {f"weaktr.config.{section}" for section in others} & set(used)


@pytest.mark.parametrize(
    ("module", "used_by"),
    [
        ("weaktr.models.mask_transformer", ("train_decoder", "evaluate")),
        ("weaktr.models.attention_fusion", ("train_cam", "export_labels")),
        ("weaktr.training.clipped_cross_entropy", ("train_decoder",)),
        ("weaktr.training.tag_losses", ("train_cam",)),
        ("weaktr.data.readers.coco", ("prepare",)),
        ("weaktr.crf.lattice", ("export_labels", "evaluate")),
        ("weaktr.report.html", ("evaluate",)),
        ("weaktr.files", CHAIN),
        ("weaktr.progress", ()),
        ("weaktr.errors", ()),
        ("weaktr", ()),
        ("weaktr.experiments.tracking", ()),
        ("stages.common.runner", ()),
    ],
)
def test_code_belongs_to_just_the_stages_that_run_it(module: str, used_by: tuple[str, ...]) -> None:
    assert source_of(module).is_file()
    assert tuple(s for s in CHAIN if module in closure(f"stages.{s}")) == used_by


def test_training_and_labels_depend_on_no_mask_but_to_measure() -> None:
    for stage in ("train_cam", "train_decoder"):
        assert "data/prepared/masks.csv" not in PIPELINE[stage]["deps"]
    assert yaml.safe_load((REPOSITORY / "params.yaml").read_text())["decoder"]["labels_from"] == (
        paths.PSEUDO_LABELS.as_posix()
    )


def test_runtime_is_in_no_list_and_every_other_section_in_one() -> None:
    listed = {section for stage in CHAIN for section in sections_of(stage)}
    assert listed == set(PARAMS) - {"runtime"}


class Repository:
    """A git and DVC repository with the project's code and tiny params."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("weaktr", "stages"):
            ignored = shutil.ignore_patterns("__pycache__")
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
        """Stages that ran, but for the one that digests the code."""
        return [stage for stage in self.stages_run() if stage != "code"]

    def stages_run(self) -> list[str]:
        """All stages that ran."""
        return re.findall(r"^Running stage '(\w+)'", self.call("dvc", "repro"), re.MULTILINE)

    def edit(self, module: str, change: Callable[[str], str]) -> None:
        """Changes the source of a module."""
        path = self.folder / source_of(module).relative_to(REPOSITORY)
        before = path.read_text(encoding="utf-8")
        after = change(before)
        assert after != before
        path.write_text(after, encoding="utf-8")

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
    assert repository.stages_run() == []
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
    assert repository.stages_run() == []
    check_tracking(repository)


def check_tracking(repository: Repository) -> None:
    """One pipeline run per result, and a stage run for each stage that really executed."""
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
    linked = {latest.data.tags[f"run.{stage}"] for stage in CHAIN}
    assert linked == {run.info.run_id for run in stages[:5]}
    # A result whose first stages came from the cache links to the runs that made them.
    evaluated_again = results[-2]
    for stage in CHAIN[:4]:
        assert evaluated_again.data.tags[f"run.{stage}"] == results[-1].data.tags[f"run.{stage}"]
    logged = {a.path for a in client.list_artifacts(latest.info.run_id, "evaluate")}
    assert "evaluate/report.html" in logged


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
    "the report": ("weaktr.report.html", add_statement, ("evaluate",)),
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
    "the CRF": ("weaktr.crf.dense_crf", add_statement, ("export_labels", "evaluate")),
    "the fusion": ("weaktr.models.attention_fusion", add_statement, ("train_cam", "export_labels")),
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


def test_a_digest_is_of_what_code_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "weaktr"
    package.mkdir()
    (package / "__init__.py").touch()

    def digest(source: str) -> str:
        (package / "a.py").write_text(source)
        code = (
            "import sys; from pathlib import Path; import stages.common.code_digest as c; "
            "c.ROOT = Path(sys.argv[1]); print(c.code_digest('weaktr.a'))"
        )
        call = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(
            call, cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout

    plain = digest("def f(x):\n    return x + 1\n")
    same = digest('"""Doc."""\n\n\ndef f(\n    x,\n):\n    """Doc."""\n    return (x + 1)  # why\n')
    typed = digest(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import weaktr.b\n"
        "def f(x):\n    return x + 1\n"
    )
    assert plain == same
    assert plain != digest("def f(x):\n    return x + 2\n")
    assert plain != digest("def f(x):\n    return x + 1.0\n")
    assert typed != plain  # as there is one import more
    (package / "b.py").write_text("A = 1\n")
    before = digest("def f(x):\n    import weaktr.b\n    return x\n")
    (package / "b.py").write_text("A = 2\n")
    assert digest("def f(x):\n    import weaktr.b\n    return x\n") != before


@pytest.mark.slow
def test_a_lock_that_is_checked_out_reruns_nothing(repository: Repository) -> None:
    repository.repro()
    repository.call("git", "add", ".")
    repository.call("git", "commit", "--quiet", "-m", "one")
    repository.change("decoder", "lr", 0.005)
    assert repository.repro() == ["train_decoder", "evaluate"]
    repository.call("git", "checkout", "dvc.lock", "params.yaml")
    assert repository.repro() == []


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
