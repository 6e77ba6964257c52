from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.colour_model import MODEL, PARAMS, striped
from weaktr.config.crf import CrfParams
from weaktr.segmentation.look import look
from weaktr.segmentation.segment import (
    CRF,
    MULTI_SCALE,
    SINGLE_SCALE,
    STEPS,
    decide,
    segment,
)
from weaktr.segmentation.sliding_window import InferenceSettings


def test_large_images_are_refined_at_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaktr.segmentation.segment.CRF_PIXELS", 30 * 60)
    image = striped(240, 120, "krgb")
    params = PARAMS.model_copy(update={"crf": CrfParams(iterations=2), "short_side": 64})
    result = segment(MODEL, [image], params)[0]
    assert result.labels.shape == result.confidence.shape == (120, 240)
    expected = np.repeat([0, 1, 2, 3], 60)[None].repeat(120, 0)
    assert (result.labels == expected).mean() > 0.97


@pytest.mark.parametrize("backend", ["none", "lattice"])
def test_images_of_any_shapes_go_together(backend: Literal["none", "lattice"]) -> None:
    params = PARAMS.model_copy(update={"crf": CrfParams(backend=backend, iterations=1)})
    shapes = [(40, 32), (40, 32), (90, 50), (20, 70), (40, 32)]
    colours = ("kr", "gb", "rgb", "kg", "b")
    images = [striped(*shape, some) for shape, some in zip(shapes, colours, strict=True)]
    allowed = [[0], [1, 2], [0, 1, 2], [], [2]]
    together = segment(MODEL, images, params, allowed)
    apart = [
        segment(MODEL, [image], params, [known])[0]
        for image, known in zip(images, allowed, strict=True)
    ]
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_allclose(a.confidence, b.confidence, rtol=1e-5)


def test_steps_are_what_shorter_settings_would_give() -> None:
    image = striped(48, 40, "krgb")
    image[::3] = 255 - image[::3]  # enough detail for the steps to differ
    crf = CrfParams(iterations=2)
    params = PARAMS.model_copy(update={"scales": (0.5, 1.0, 1.5), "crf": crf})
    (seen,) = look(MODEL, [image], InferenceSettings.of(params))
    steps = decide(seen, params, stepwise=True).steps
    assert list(steps) == list(STEPS)
    no_crf = {"crf": CrfParams(backend="none")}
    shorter = {
        SINGLE_SCALE: params.model_copy(update={**no_crf, "scales": (1.0,), "flip": False}),
        MULTI_SCALE: params.model_copy(update=no_crf),
        CRF: params,
    }
    for name, settings in shorter.items():
        np.testing.assert_array_equal(steps[name], segment(MODEL, [image], settings)[0].labels)
    assert len({labels.tobytes() for labels in steps.values()}) == 3


def test_steps_that_a_run_does_not_take_are_left_out() -> None:
    image = striped(48, 40, "krgb")
    for changes, expected in (
        ({"scales": (1.0,), "flip": False}, [SINGLE_SCALE]),
        ({"scales": (1.5,), "flip": False}, []),
        ({"scales": (0.5, 1.5), "flip": True}, [MULTI_SCALE]),
    ):
        params = PARAMS.model_copy(update=changes)
        (seen,) = look(MODEL, [image], InferenceSettings.of(params))
        assert list(decide(seen, params, stepwise=True).steps) == expected
        assert decide(seen, params).steps == {}
