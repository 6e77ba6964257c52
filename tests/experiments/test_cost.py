"""What recipes cost, against counts by other means."""

import pytest
import torch

from tests.segmentation.whole_images import probabilities
from weaktr.config.dataset import DatasetParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.config.params import Params
from weaktr.experiments.cost import RATES, data_size, recipe_cost, window_count
from weaktr.experiments.recipes import packaged_recipes, recipe_values, typed_params
from weaktr.segmentation.sliding_window import InferenceSettings


def published(name: str) -> Params:
    return typed_params(recipe_values(name, packaged_recipes()))


def test_data_sets_as_the_published_lists_count_them() -> None:
    voc = data_size(published("voc12-deit-s").dataset)
    assert (voc.train, voc.evaluated, voc.classes) == (10582, 1449, 20)
    coco = data_size(published("coco14-deit-s").dataset)
    assert (coco.train, coco.evaluated, coco.classes) == (82081, 40504, 80)
    own = data_size(published("own-images").dataset)
    assert (own.train, own.evaluated) == (1000, 250)
    assert own.name == "unknown data (assumed)"
    some = data_size(DatasetParams(kind="coco", classes=("cat", "dog")))
    assert some.classes == 2
    demo = published("demo").dataset
    assert data_size(demo).train == demo.shapes.train_images


def test_cost_follows_epochs_rounds_and_precision() -> None:
    params = published("demo")
    _, (cam, cams, segmenter, evaluation) = recipe_cost(params)
    changed = params.model_copy(
        update={
            "cam": params.cam.model_copy(update={"epochs": 24, "precision": "bfloat16"}),
            "labels": params.labels.model_copy(update={"precision": "tf32"}),
            "decoder": params.decoder.model_copy(update={"rounds": 2}),
        }
    )
    _, (more_cam, other_cams, two_rounds, last) = recipe_cost(changed)
    assert more_cam.flops == 3 * cam.flops
    assert more_cam.hours == pytest.approx(3 * cam.hours * RATES["float32"] / RATES["bfloat16"])
    assert two_rounds.flops == 2 * segmenter.flops
    assert (other_cams.flops, other_cams.precision) == (cams.flops, "tf32")
    assert last == evaluation


def test_a_published_recipe_costs_what_the_docs_say() -> None:
    _, steps = recipe_cost(published("voc12-deit-s"))
    assert [f"{step.flops:.1e}" for step in steps] == ["2.0e+16", "2.9e+15", "2.0e+17", "5.9e+15"]


class Counting(torch.nn.Module):
    mean = std = (0.5, 0.5, 0.5)
    patch_size = 8
    seen = 0

    def masks(self, images: torch.Tensor, *, with_early: bool = False) -> torch.Tensor:
        self.seen += len(images)
        return images[:, :2, ::8, ::8]


def test_windows_are_those_that_inference_looks_at() -> None:
    params = EvaluationParams(window=48, stride=32, short_side=60, scales=(0.5, 1.0, 1.5))
    model = Counting()
    image = torch.zeros(1, 75, 100, 3, dtype=torch.uint8)
    probabilities(model, image, InferenceSettings.of(params))
    assert model.seen == window_count((75, 100), params) > 10
