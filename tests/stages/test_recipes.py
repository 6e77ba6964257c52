"""Every recipe runs through the real stages, and through DVC."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.recipes import ENCODERS, OVERLAYS, PUBLISHED, composed
from tests.stand_ins import HEIGHT, TRAIN, WIDTH, write_coco14, write_voc12
from tests.tiny import run_stages
from tests.tiny_data import write_folder
from weaktr.config.load import parse_params
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.experiments.recipes import compose_params, use_recipes
from weaktr.files import read_json

pytestmark = pytest.mark.slow

SMALL_VIT = {"weights": "none", "embed_dim": 48, "depth": 2, "num_heads": 3}
SMALL = {
    "cam": {
        "backbone": SMALL_VIT,
        "input_size": 64,
        "reduction": 2,
        "epochs": 1,
        "warmup_epochs": 0,
        "batch_size": 2,
        "accumulate": 1,
    },
    "labels": {"crf": {"iterations": 1}},
    "decoder": {
        "backbone": SMALL_VIT,
        "crop_size": 64,
        "region": 16,
        "layers": 1,
        "augment": {"short_side": 64},
        "epochs": 1,
        "batch_size": 2,
    },
    "evaluation": {
        "window": 64,
        "stride": 48,
        "short_side": 64,
        "scales": [1.0, 1.5],
        "crf": {"iterations": 1},
    },
    "runtime": {"device": "cpu", "threads": 1, "workers": 0},
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second one's values first."""
    both = base | changes
    for key in base.keys() & changes.keys():
        if isinstance(base[key], dict):
            both[key] = merged(base[key], changes[key])
    return both


def dry_run(*names: str, **overrides: Any) -> dict[str, Any]:
    """Runs the recipe's chain at small sizes on a stand-in; returns the params."""
    params = merged(merged(composed(*names), SMALL), overrides)
    write = {"voc": write_voc12, "coco": write_coco14, "folder": write_pets}
    write[params["dataset"]["kind"]](Path(params["dataset"]["root"]))
    run_stages(params)
    return params


def write_pets(root: Path) -> None:
    """A folder as in the README: images and a table of tags, no masks and no split."""
    names = [f"{number}.jpg" for number in range(10)]
    write_folder(root, {name: ("dog", '"cat;person"')[i % 2] for i, name in enumerate(names)})


@pytest.mark.parametrize("name", PUBLISHED)
def test_dry_run_of_a_published_recipe(recipe_folder: Path, name: str) -> None:
    dry_run(name)
    classes = 20 if name.startswith("voc12") else 80
    manifest = Manifest.load("data/prepared")
    assert len(manifest.classes) == classes
    assert len(manifest.of_split("train")) == TRAIN
    for record in manifest.of_split("train"):
        label = read_mask(f"data/pseudo-labels/{record.id}.png")
        assert label.shape == (HEIGHT, WIDTH)
        tags = {0, *(manifest.classes.index(tag) + 1 for tag in record.tags)}
        assert set(label.flat) <= tags
    assert {path.stem for path in Path("data/predictions").glob("*.png")} == {
        record.id for record in manifest.of_split("val")
    }
    result = read_json("reports/evaluate/details.json")
    assert result["images"] == TRAIN // 2
    assert 0 <= result["mean_iou"] <= 100
    assert read_json("reports/train_cam/details.json")["selected_with_masks"] is False
    config = read_json("models/segmenter/config.json")
    assert ENCODERS[name.split("-", 1)[1]] in json.dumps(config)


@pytest.mark.parametrize("name", OVERLAYS)
def test_dry_run_of_an_overlay(recipe_folder: Path, name: str) -> None:
    dry_run("voc12-vit-s", name)
    with_masks = read_json("reports/export_labels/details.json")[
        "background_score_chosen_with_masks"
    ]
    assert with_masks is (name == "select-with-masks")
    assert read_json("reports/train_decoder/details.json")["rounds"] == 1 + (name == "two-rounds")
    assert 0 <= read_json("reports/evaluate/details.json")["mean_iou"] <= 100


@pytest.mark.parametrize("name", ["own-images", "own-images-quick"])
def test_own_images_need_a_root_and_nothing_else(recipe_folder: Path, name: str) -> None:
    dry_run(name, dataset={"root": "my pets"})
    manifest = Manifest.load("data/prepared")
    assert manifest.classes == ("cat", "dog", "person")
    assert len(list(Path("data/pseudo-labels").glob("*.png"))) == len(manifest.of_split("train"))
    assert len(list(Path("data/predictions").glob("*.png"))) == len(manifest.of_split("val")) > 0


def test_cam_backbone_and_input_size_are_params_like_others(recipe_folder: Path) -> None:
    backbone = {"name": "vit_small_patch14_reg4_dinov2.lvd142m", "patch_size": 16}
    dry_run("voc12-deit-s", cam={"backbone": backbone, "input_size": 128})
    config = json.dumps(read_json("models/cam/config.json"))
    assert "vit_small_patch14_reg4_dinov2" in config


def test_dvc_composes_the_same_params_and_keeps_a_users_own(recipe_folder: Path) -> None:
    stage = {"cmd": "cp params.yaml seen.yaml", "params": ["cam", "labels"], "outs": ["seen.yaml"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"see": stage}}))
    use_recipes(["demo"])
    text = Path("params.yaml").read_text().replace("seed: 0", "seed: 77")
    Path("params.yaml").write_text(text)
    (recipe_folder / ".dvc").mkdir()
    shutil.copy(REPOSITORY / ".dvc/config", ".dvc/config")

    def shell(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, text=True)

    dvc = (sys.executable, "-m", "dvc", "exp", "run")
    shell("git", "init", "--quiet")
    shell("git", "add", "--all")
    shell("git", "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "start")
    shell(*dvc)
    assert Path("params.yaml").read_text() == text == Path("seen.yaml").read_text()
    shell(*dvc, "-S", "labels.background_score=0.125")
    changed = set(Path("params.yaml").read_text().splitlines()) - set(text.splitlines())
    assert changed == {"  background_score: 0.125"}
    expected = compose_params(["coco14-dinov2-s", "ablation-cross-entropy"])
    names = "+recipes=[coco14-dinov2-s,ablation-cross-entropy]"
    shell(*dvc, "-S", names, "-S", "cam.lr=1e-4", "-S", "dataset.classes=[cat,dog]")
    assert Path("params.yaml").read_text() == Path("seen.yaml").read_text()
    params, base = yaml.safe_load(Path("params.yaml").read_text()), yaml.safe_load(expected)
    base["cam"]["lr"], base["dataset"]["classes"] = 1e-4, ["cat", "dog"]
    assert params == base
    assert parse_params(params).decoder.start_value is None
