"""The published steps, and what to turn where one falls behind."""

import math
import re

import pytest

from tests.recipes import MIOU, PUBLISHED
from weaktr.config.keys import all_keys
from weaktr.experiments.ladder import STEPS, ladder
from weaktr.experiments.recipes import packaged_recipes, recipe_named

SEEDS = {"voc12": 69.4, "coco14": 42.6}
PSEUDO_MASKS = {
    "voc12": {"deit-s": 76.5, "dinov2-s": 78.1, "vit-s": 80.3, "eva02-s": 80.0},
    "coco14": {"deit-s": 48.9, "dinov2-s": 50.7, "vit-s": 51.3, "eva02-s": 52.2},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_step_is_there(name: str) -> None:
    data, _, encoder = name.partition("-")
    rungs = ladder(recipe_named(name, packaged_recipes()), "voc" if data == "voc12" else "coco")
    known = {rung.metric: rung.published for rung in rungs if not math.isnan(rung.published)}
    assert known == {
        "miou_seed": SEEDS[data],
        "miou_train": PSEUDO_MASKS[data][encoder],
        "miou_val": MIOU[data][encoder],
    }
    assert all(rung.reasons for rung in rungs)
    assert len(rungs[0].reasons) == 2  # the data set's own, too
    assert f"recipes=[{name}," in str(rungs)


def test_no_ladder_without_published_values() -> None:
    assert ladder(recipe_named("demo", packaged_recipes()), "shapes") == []


def test_what_to_turn_exists() -> None:
    paths = {key.path for key in all_keys()}
    sections = {path.rsplit(".", 1)[0] for path in paths}
    named = re.findall(r"\b(?:cam|labels|decoder|evaluation)\.[a-z_.]*[a-z]", str(STEPS))
    assert len(named) > 10
    assert set(named) <= paths | sections


def test_published_values_stand_under_known_steps() -> None:
    for recipe in packaged_recipes():
        assert recipe.about.published.keys() <= STEPS.keys()
