from pathlib import Path

import pytest
import yaml

from weaktr.config.load import load_params, parse_params
from weaktr.config.params import Params
from weaktr.errors import UserError


@pytest.mark.parametrize("text", ["1e-4", "1.0e-4", "0.0001", "1E-4", '"1e-4"'])
def test_learning_rates_are_floats_however_yaml_reads_them(text: str) -> None:
    assert parse_params(yaml.safe_load(f"cam: {{lr: {text}}}")).cam.lr == 1e-4


def test_small_floats_survive_a_rewrite_by_dvc() -> None:
    assert parse_params({"decoder": {"lr": "3e-05", "min_lr": "1e-05"}}).decoder.lr == 3e-5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cam": {"learning_rate": 1}}, "cam.learning_rate: no such key."),
        (
            {"cam": {"warmup-epochs": 1}},
            "cam.warmup-epochs: no such key. Did you mean cam.warmup_ep",
        ),
        ({"cam": {"epoch": 3}}, "cam.epoch: no such key. Did you mean cam.epochs? Got: 3."),
        ({"label": {}}, "label: no such key. Did you mean labels?"),
        (
            {"cam": {"backbone": {"nam": "x"}}},
            "cam.backbone.nam: no such key. Did you mean cam.backbone.name?",
        ),
        ({"cam": {"lr": "fast"}}, "cam.lr: input should be a valid number"),
        ({"cam": {"lr": True}}, "cam.lr: input should be a number, not true or false. Got: True."),
        ({"cam": {"lr": -1}}, "cam.lr: input should be greater than 0. Got: -1."),
        ({"cam": {"lr": ".nan"}}, "cam.lr: input should be a valid number"),
        ({"cam": {"lr": float("nan")}}, "cam.lr: input should be a finite number. Got: nan."),
        ({"cam": {"epochs": 2.5}}, "cam.epochs: input should be a valid integer. Got: 2.5."),
        ({"cam": {"epochs": "3"}}, "cam.epochs: input should be a valid integer. Got: '3'."),
        ({"cam": {"fusion": "max"}}, "cam.fusion: input should be 'adaptive', 'mean' or 'lift'."),
        ({"labels": {"flip": "yes"}}, "labels.flip: input should be a valid boolean."),
        ({"labels": {"scales": []}}, "labels.scales: "),
        ({"labels": {"scales": [1, 0]}}, "labels.scales.1: input should be greater than 0."),
        ({"labels": {"background_score": 2}}, "labels.background_score: input should be less"),
        ({"cam": {"epochs": 3, "warmup_epochs": 5}}, "cam: warmup_epochs (5) must be less than"),
        ({"decoder": {"crop_size": 64}}, "decoder: region (120) must not exceed crop_size (64)."),
        ({"evaluation": {"stride": 500}}, "evaluation: stride (500) must not exceed window (480)"),
        ({"dataset": {"classes": ["a", "a"]}}, "dataset: classes must not name a class twice."),
        (
            {"runtime": {"devices": 0}},
            "runtime.devices: input should be 'auto' or input should be greater than or equal to 1."
            " Got: 0.",
        ),
        (
            {"labels": {"background_score": 2}},
            "labels.background_score: input should be less than 1 or input should be 'sweep'.",
        ),
        (
            {"dataset": {"classes": ["a", 3, "b", 4]}},
            "dataset.classes.1: input should be a valid string. Got: 3. (1 more wrong)",
        ),
        ({"seed": -1}, "seed: input should be greater than or equal to 0. Got: -1."),
        ({"cam": 3}, "cam: input should be a valid dictionary"),
        ([], "params.yaml must be a mapping of sections. Got: list"),
    ],
)
def test_bad_params_are_refused_with_path_value_and_reason(values: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_params(values)
    sentence = str(caught.value)
    assert message in sentence
    assert "\n" not in sentence


def test_several_problems_are_counted() -> None:
    with pytest.raises(UserError, match=r"\(1 more wrong\)$"):
        parse_params({"cam": {"epoch": 3}, "labels": {"flip": 3}})


def test_a_missing_or_broken_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist; run from the project's folder\.$"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("cam: [1,\n  2")
    with pytest.raises(UserError, match="is not valid YAML") as caught:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "seed: 1\ncam:\n  epochs: 3\n  lr: 1e-4\n  epochs: 5\n",
            "line 5 gives 'epochs' a second time (first in line 3), so that one of the two would "
            "not count; remove one.",
        ),
        ("seed: 1\nseed: 2\n", "line 2 gives 'seed' a second time (first in line 1)"),
        ("seed: 010\n", "line 1 has the number 010, which YAML reads as octal or as minutes"),
        ("seed: 1:30\n", "line 1 has the number 1:30, which YAML reads as octal or as minutes"),
        ("cam:\n  lr: 1:30.5\n", "line 2 has the number 1:30.5, which"),
    ],
)
def test_yaml_that_readers_understand_in_two_ways_is_refused(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_params(tmp_path / "params.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("text", "seed"), [("0", 0), ("10", 10), ("1_000", 1000), ("0x10", 16)])
def test_other_numbers_are_what_they_seem(tmp_path: Path, text: str, seed: int) -> None:
    (tmp_path / "params.yaml").write_text(f"seed: {text}\ncam: {{lr: 0.001}}\n")
    params = load_params(tmp_path / "params.yaml")
    assert (params.seed, params.cam.lr) == (seed, 0.001)


def test_a_null_section_and_an_empty_file_mean_defaults(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("# nothing\n")
    assert load_params(tmp_path / "params.yaml") == Params()
