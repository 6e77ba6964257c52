"""What `dvc.yaml` says, held against the stages and their code."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stages.common import paths
from stages.common.code_digest import closure, source_of
from stages.common.runner import stage_named
from tests.conftest import REPOSITORY
from tests.tiny import CHAIN, PARAMS
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


@pytest.mark.parametrize("stage", CHAIN[:-1])  # the report shows all of them
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
        ("weaktr.models.attention_fusion", ("train_cam", "export_labels", "report")),
        ("weaktr.training.clipped_cross_entropy", ("train_decoder",)),
        ("weaktr.training.tag_losses", ("train_cam",)),
        ("weaktr.data.readers.coco", ("prepare",)),
        ("weaktr.crf.lattice", ("export_labels", "evaluate", "report")),
        ("weaktr.report.page", ("report",)),
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


def test_dvc_yaml_can_be_read_by_a_person() -> None:
    assert len((REPOSITORY / "dvc.yaml").read_text().splitlines()) < 130


def test_make_clean_leaves_what_is_not_a_stages(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    kept = (
        "models/imported/config.json",
        "mlflow.db",
        "mlruns/a",
        "data/raw/a",
        "data/pretrained/a",
        "data/corrected/mine/a.png",
        "metrics.json",
        "plots/cam.csv",
    )
    made = [*outputs(), "checkpoints/train_cam-0.pt", "checkpoints/train_decoder-0/a.png"]
    for name in (*kept, *made):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"Makefile", *kept}


def outputs() -> list[str]:
    """Every output of a stage that is not kept in git."""
    return [
        out
        for stage in PIPELINE.values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
        if isinstance(out, str)
    ]
