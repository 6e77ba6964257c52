from pathlib import Path
from typing import Any

import pytest

from weaktr.errors import UserError
from weaktr.experiments.overrides import check_composed, explain

PARAMS: dict[str, Any] = {"seed": 0, "cam": {"lr": 0.1, "epochs": 3}}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("cam.epoch=3", "-S cam.epoch=3: params.yaml has no key cam.epoch. Did you mean cam.epo"),
        ("lr=3", "params.yaml has no key lr. Did you mean cam.lr or decoder.lr?"),
        ("~cam.lrr", "params.yaml has no key cam.lrr. Did you mean cam.lr?"),
        ("cam.min_lr=1", "params.yaml leaves cam.min_lr out, .* write -S \\+cam.min_lr=1."),
        ("+cam.lr=1", "params.yaml has cam.lr already; write it without the \\+."),
        ("+recipes=dem", "there is no recipe 'dem' \\(did you mean 'demo'\\?\\)"),
        ("+recipes=[demo,supervise]", "there is no recipe 'supervise' \\(did you mean 'superv"),
        (
            "cam.lr=data/a #b",
            "a value with # needs quotes of its own .* write -S \"cam.lr='data/a #b'\"",
        ),
        ("cam.lr=data/é", "a value with é needs quotes of its own"),
        ("recipes=demo", "a recipe takes a plus: -S '\\+recipes=demo'."),
    ],
)
def test_one_sentence(recipe_folder: Path, override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        explain(["seed=1", override], PARAMS)


def test_what_is_right_is_not_explained(recipe_folder: Path) -> None:
    explain(["cam.lr=1", "++cam.lr=1", "+cam.min_lr=1", "+recipes=demo", "cam={lr: 1}"], PARAMS)


def test_what_was_composed_is_validated() -> None:
    check_composed({"cam": {"lr": 0.1}}, ["cam.lr=0.1"])
    message = r"^params.yaml -S cam.lr=fast: cam.lr: .* Got: 'fast'\.$"
    with pytest.raises(UserError, match=message):
        check_composed({"cam": {"lr": "fast"}}, ["cam.lr=fast"])


def test_corrected_masks_have_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "data/corrected/first").mkdir(parents=True)
    (tmp_path / "data/corrected/none").mkdir()
    for name in ("first", "none"):
        check_composed({"decoder": {"corrected": name}}, [], tmp_path)
    message = r"decoder.corrected: data/corrected/frist is not a folder; there are: first\.$"
    with pytest.raises(UserError, match=message):
        check_composed({"decoder": {"corrected": "frist"}}, ["decoder.corrected=frist"], tmp_path)
    with pytest.raises(UserError, match="folder in data/corrected/ without a path"):
        check_composed({"decoder": {"corrected": "data/corrected/first"}}, [], tmp_path)
