"""How a result finds the stages that led to it."""

import os
from pathlib import Path

import pytest

from stages.common.results import (
    DIGEST,
    Link,
    chain,
    curve_points,
    description,
    headline,
    invocation,
    stage_tags,
)
from stages.common.runner import stage_named
from tests.tiny import CHAIN
from weaktr.config.load import parse_params
from weaktr.files import write_json


def test_the_chain_is_in_the_order_of_the_pipeline() -> None:
    evaluate = stage_named("evaluate")
    before_report = list(CHAIN)[: list(CHAIN).index("report")]
    assert [s.name for s in chain(evaluate, parse_params({}), stage_named)] == before_report
    params = parse_params({"decoder": {"labels_from": "data/prepared/masks.csv"}})
    used = [s.name for s in chain(evaluate, params, stage_named)]
    assert used == ["prepare", "train_decoder", "evaluate"], "the reference needs no CAMs"


def test_a_stage_is_known_by_params_code_and_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = stage_named("train_cam")
    Path("models/cam").mkdir(parents=True)
    Path("models/cam/model.safetensors").write_text("weights")
    one = stage_tags(stage, parse_params({}))
    assert stage_tags(stage, parse_params({})) == one
    assert stage_tags(stage, parse_params({"evaluation": {"flip": False}})) == one
    assert stage_tags(stage, parse_params({"seed": 3}))[DIGEST] != one[DIGEST]
    Path("models/cam/model.safetensors").write_text("others")
    other = stage_tags(stage, parse_params({}))
    assert other[DIGEST] != one[DIGEST]
    assert {key for key in one if one[key] != other[key]} == {DIGEST, "weaktr.outputs"}


def test_numbers_and_curves_are_grouped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_json("reports/evaluate/metrics.json", {"miou_val": 83.79, "accuracy_val": None})
    assert headline("evaluate") == {"miou/val": 83.79}
    assert headline("prepare") == {}
    Path("reports/train_cam").mkdir()
    Path("reports/train_cam/curves.csv").write_text("epoch,lr,loss\n1,0.1,2.5\n2,0.05,1.5\n")
    assert list(curve_points("train_cam")) == [
        (1, {"train_cam/lr": 0.1, "train_cam/loss": 2.5}),
        (2, {"train_cam/lr": 0.05, "train_cam/loss": 1.5}),
    ]


def test_a_stage_made_elsewhere_is_said_to_be() -> None:
    text = description({"miou/val": 83.79}, [Link("prepare", None)])
    assert "| miou/val | 83.79 |" in text
    assert "| prepare |  | made elsewhere" in text


def test_stages_of_other_processes_are_of_another_invocation() -> None:
    assert invocation() == invocation()
    assert invocation().partition("-")[0].isdecimal()
    assert os.getpid() > 0
