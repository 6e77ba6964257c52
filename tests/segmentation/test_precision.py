"""Inference in 16 bits."""

import numpy as np
import pytest
import torch

from tests.segmentation.whole_images import probabilities
from weaktr.config.backbone import BackboneParams
from weaktr.config.decoder import DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.errors import UserError
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.segment import segment
from weaktr.segmentation.sliding_window import InferenceSettings


@pytest.fixture(scope="module")
def model() -> Segmenter:
    torch.manual_seed(0)
    backbone = BackboneParams(
        name="deit_tiny_patch16_224", weights="none", embed_dim=32, depth=2, num_heads=2
    )
    params = DecoderParams(backbone=backbone, crop_size=64, region=32)
    return Segmenter.from_params(params, 3).eval()


def test_bfloat16_stays_close_to_float32(model: Segmenter) -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (1, 70, 90, 3), generator=generator, dtype=torch.uint8)
    exact = InferenceSettings(window=64, stride=40, scales=(1.0, 1.5))
    rough = InferenceSettings(window=64, stride=40, scales=(1.0, 1.5), precision="bfloat16")
    expected, found = probabilities(model, image, exact), probabilities(model, image, rough)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03)


def test_params_choose_the_precision_and_nothing_of_it_stays(model: Segmenter) -> None:
    dtypes: list[torch.dtype] = []
    hook = model.encoder.get_submodule("blocks.0.attn.qkv").register_forward_hook(
        lambda module, inputs, output: dtypes.append(output.dtype)
    )
    image = np.zeros((64, 64, 3), np.uint8)
    for precision in ("bfloat16", "float32"):
        params = EvaluationParams(window=64, stride=64, flip=False)
        segment(model, [image], params.model_copy(update={"precision": precision}))
    hook.remove()
    assert dtypes == [torch.bfloat16, torch.float32]
    assert not torch.is_autocast_enabled("cpu")


def test_an_output_that_is_not_finite_is_refused_in_a_sentence(
    model: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = model.masks
    monkeypatch.setattr(model, "masks", lambda x: masks(x) * torch.inf)
    params = EvaluationParams(window=64, stride=64).model_copy(update={"precision": "float16"})
    with pytest.raises(UserError, match="not finite in float16; use the precision float32"):
        segment(model, [np.zeros((64, 64, 3), np.uint8)], params)
