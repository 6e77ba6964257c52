"""Names that tell results apart."""

from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from weaktr.config.load import parse_params
from weaktr.experiments.naming import Origin, origin_of, short
from weaktr.experiments.recipes import list_recipes

RECIPES = list_recipes(REPOSITORY)


def demo(**changes: Any) -> Origin:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *sections, name = key.split("__")
        place = params
        for section in sections:
            place = place[section]
        place[name] = value
    return origin_of(parse_params(params), RECIPES)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "demo"),
        ({"runtime__workers": 3}, "demo"),
        ({"seed": 1}, "demo, seed 1"),
        ({"cam__lr": 0.01, "seed": 1}, "demo, seed 1, cam.lr 0.01"),
        ({"decoder__labels_from": "data/prepared/masks.csv"}, "demo + supervised"),
        ({"decoder__start_value": None}, "demo + ablation-cross-entropy"),
        ({"cam__fusion": "mean", "seed": 2}, "demo + ablation-mean-fusion, seed 2"),
    ],
)
def test_a_name_has_the_recipe_and_what_differs(changes: dict[str, Any], name: str) -> None:
    assert demo(**changes).name == name


def test_names_of_many_changes_stay_apart() -> None:
    changes = {"seed": 1, "cam__lr": 0.01, "cam__epochs": 3, "decoder__lr": 0.1}
    one, other = demo(**changes), demo(**{**changes, "decoder__lr": 0.2})
    assert one.name.startswith("demo, seed 1, ")
    assert "1 more (" in one.name
    assert one.name != other.name


def test_params_of_no_recipe_are_ones_own() -> None:
    other = origin_of(parse_params({"seed": 1}), [])
    assert other.name.startswith("own params ")
    assert other.name != origin_of(parse_params({}), []).name


@pytest.mark.parametrize(
    ("value", "text"),
    [(3e-05, "3e-05"), (0.3, "0.3"), (True, "true"), (None, "null"), ([1.0, 1.5], "[1, 1.5]")],
)
def test_values_are_short(value: Any, text: str) -> None:
    assert short(value) == text
