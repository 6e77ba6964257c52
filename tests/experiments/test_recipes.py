"""Recipes: what they hold, and how they are composed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.recipes import ENCODERS, MIOU, OVERLAYS, PUBLISHED, composed
from weaktr.config.load import load_params, parse_params
from weaktr.config.params import Params
from weaktr.errors import UserError
from weaktr.experiments.recipes import compose_params, flatten, list_recipes, use_recipes

UNTOUCHED = ("runtime.", "dataset.shapes.")
"""What a published setting leaves alone: how to run, and the demo's generator."""


def flat_defaults() -> dict[str, Any]:
    return flatten(Params().model_dump(mode="json"))


def test_the_list_is_complete(recipe_folder: Path) -> None:
    names = {recipe.name for recipe in list_recipes()}
    troubles = {name for name in names if name.startswith("trouble-")}
    assert names - troubles == {*PUBLISHED, *OVERLAYS, "demo", "own-images", "own-images-quick"}
    assert len(troubles) == 8


def test_a_trouble_recipe_differs_from_the_plain_one_in_its_trouble_alone(
    recipe_folder: Path,
) -> None:
    plain = flatten(composed("trouble-none"))
    for recipe in list_recipes():
        if recipe.name.startswith("trouble-") and recipe.name != "trouble-none":
            values = flatten(composed(recipe.name))
            differ = {key for key in values if values[key] != plain[key]}
            assert differ
            assert all(key.startswith("dataset.shapes.trouble.") for key in differ)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLISHED, "demo", "own-images", "own-images-quick"])
def test_a_whole_recipe_sets_every_param(recipe_folder: Path, name: str) -> None:
    values = flatten(composed(name))
    expected = {key for key in flat_defaults() if not key.startswith(UNTOUCHED)}
    assert expected <= values.keys()
    assert values["runtime.workers"] == 3
    parse_params(composed(name))


def test_demo_recipe_is_the_params_of_a_fresh_clone() -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    demo = yaml.safe_load((REPOSITORY / "recipes/demo.yaml").read_text())
    runtime = params.pop("runtime")
    assert flatten(params) == flatten(demo)
    assert {f"runtime.{key}" for key in runtime} | flatten(params).keys() == flat_defaults().keys()


def test_plain_exp_run_leaves_the_values_of_a_fresh_clone_as_they_are() -> None:
    path = REPOSITORY / "params.yaml"
    after = yaml.safe_load(compose_params([], path))
    assert parse_params(after) == load_params(path)
    assert flatten(after).keys() == flatten(yaml.safe_load(path.read_text())).keys()


@pytest.mark.slow
@pytest.mark.parametrize("data", MIOU)
def test_published_recipes_differ_in_the_segmenters_encoder_only(
    recipe_folder: Path, data: str
) -> None:
    base = flatten(composed(f"{data}-deit-s"))
    numbers = {recipe.name: recipe.about.published for recipe in list_recipes()}
    for encoder, backbone in ENCODERS.items():
        values = flatten(composed(f"{data}-{encoder}"))
        assert values["decoder.backbone.name"] == backbone
        assert {key for key in values if values[key] != base[key]} <= {"decoder.backbone.name"}
        assert values["decoder.backbone.patch_size"] == 16
        assert MIOU[data][encoder] in numbers[f"{data}-{encoder}"].values()


def test_published_settings(recipe_folder: Path) -> None:
    voc = parse_params(composed("voc12-deit-s"))
    assert (voc.seed, voc.cam.batch_size, voc.cam.epochs, voc.cam.lr) == (504, 64, 60, 6e-4)
    assert (voc.cam.weight_decay, voc.cam.min_lr, voc.cam.warmup_lr) == (0.03, 1e-5, 1e-6)
    assert voc.cam.schedule == "cosine_published"
    assert voc.cam.select == "last"
    assert (voc.labels.scales, voc.labels.background_score) == ((1.0, 1.2), 0.43)
    assert (voc.labels.crf.gaussian_sxy, voc.evaluation.crf.gaussian_sxy) == (4, 3)
    assert (voc.decoder.start_value, voc.decoder.region) == (1.2, 120)
    assert (voc.decoder.void_in_mean, voc.decoder.region_means) == ("zero", "batch")
    assert (voc.decoder.schedule, voc.decoder.rounds) == ("poly_published", 1)
    assert (voc.decoder.lr, voc.decoder.encoder_lr_scale, voc.decoder.min_lr) == (1e-4, 0.1, 1e-5)
    assert voc.evaluation.scales == (0.5, 0.75, 1, 1.25, 1.5, 1.75)
    coco = parse_params(composed("coco14-deit-s"))
    assert (coco.cam.lr, coco.labels.background_score) == (2e-4, 0.42)
    assert coco.labels.scales == (1.0, 0.8, 1.2)
    assert coco.labels.crf.model_dump(include={"gaussian_sxy", "bilateral_sxy"}) == {
        "gaussian_sxy": 3,
        "bilateral_sxy": 50,
    }
    crf = coco.evaluation.crf
    assert (crf.gaussian_sxy, crf.bilateral_sxy, crf.bilateral_srgb) == (1, 67, 3)
    assert (coco.cam.spare_classes, coco.decoder.spare_classes) == (10, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_changes_what_its_file_names_and_nothing_else(
    recipe_folder: Path, name: str
) -> None:
    overlay = flatten(yaml.safe_load((recipe_folder / f"recipes/{name}.yaml").read_text()))
    before, after = flatten(composed("voc12-vit-s")), flatten(composed("voc12-vit-s", name))
    assert after == before | overlay
    assert after != before
    parse_params(composed("voc12-vit-s", name))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("no-such", "no recipe 'no-such'"),
        ("typo", "cam.lrr: no such key. Did you mean cam.lr?"),
        ("not-yaml", "must be `# title: ...`"),
        ("headless", "must begin with the line `# @package _global_`"),
        ("clash", "params.yaml with clash"),
    ],
)
def test_nothing_is_written_if_a_recipe_is_broken(
    recipe_folder: Path, broken: str, message: str
) -> None:
    head = "# @package _global_\n# title: broken\n"
    files = {
        "typo": head + "cam: {lrr: 1}\n",
        "not-yaml": "# @package _global_\n# title: [\nseed: 1\n",
        "headless": "seed: 1\n",
        "clash": head + "defaults: [nothing-there]\n",
    }
    if broken in files:
        Path(f"recipes/{broken}.yaml").write_text(files[broken])
    before = Path("params.yaml").read_bytes()
    with pytest.raises(UserError) as error:
        use_recipes([broken])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert Path("params.yaml").read_bytes() == before


def test_a_recipe_in_another_encoding_is_refused(recipe_folder: Path) -> None:
    (recipe_folder / "recipes" / "own.yaml").write_text(
        "# @package _global_\n# title: ä\n", "latin-1"
    )
    with pytest.raises(UserError, match=r"own.yaml is not UTF-8 text; save it as UTF-8"):
        list_recipes(recipe_folder)


def test_params_stand_in_git_as_experiments_write_them() -> None:
    """An experiment then changes no line but those of its values."""
    path = REPOSITORY / "params.yaml"
    assert path.read_text(encoding="utf-8") == compose_params([], path), (
        "write it with `python -c 'from weaktr.experiments.recipes import use_recipes as u; u([])'`"
    )
