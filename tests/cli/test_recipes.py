import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.conftest import REPOSITORY
from tests.recipes import composed
from weaktr.cli.app import app
from weaktr.experiments.recipes import changes, compose_params, list_recipes, use_recipes

pytestmark = pytest.mark.slow


def test_use_keeps_runtime_and_writes_what_was_composed(recipe_folder: Path) -> None:
    expected = compose_params(["coco14-vit-s", "ablation-mean-fusion"])
    result = CliRunner().invoke(
        app, ["recipes", "--use", "coco14-vit-s", "--use", "ablation-mean-fusion"]
    )
    assert result.exit_code == 0, result.output
    assert Path("params.yaml").read_text() == expected
    params = yaml.safe_load(expected)
    assert params["runtime"] == {"device": "cpu", "workers": 3}
    assert (params["dataset"]["kind"], params["cam"]["fusion"]) == ("coco", "mean")
    use_recipes(["voc12-deit-s"])
    assert yaml.safe_load(Path("params.yaml").read_text()) == composed("voc12-deit-s")


def test_listing_and_showing(recipe_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listing = CliRunner().invoke(app, ["recipes"]).output
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(recipe_folder.parent)
        params = str(recipe_folder / "params.yaml")
        assert CliRunner().invoke(app, ["recipes", "--params", params]).output == listing
    assert "not measured here" in listing
    for recipe in list_recipes():
        assert recipe.name in listing
        for weights in recipe.about.weights:
            assert weights in listing
        for number in recipe.about.published.values():
            assert str(number) in listing
    shown = CliRunner().invoke(app, ["recipes", "voc12-eva02-s"]).output
    assert "dvc exp run -S '+recipes=voc12-eva02-s'" in shown
    assert "timm/eva02_small_patch14_224.mim_in22k/resolve/main/model.safetensors" in shown
    assert "miou_val 78.5" in shown
    assert "labels.background_score: null -> 0.43" in shown
    assert changes([], "params.yaml") == {}


def test_listing_loads_nothing_heavy(recipe_folder: Path) -> None:
    code = (
        "import sys, weaktr.cli.recipes, weaktr.experiments.recipes as r; "
        "r.compose_params(['demo']); "
        "sys.exit(int(any(m in sys.modules for m in ('torch', 'mlflow', 'dvc'))))"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
