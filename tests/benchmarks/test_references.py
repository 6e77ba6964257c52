"""The straightforward versions compute what ours compute."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.photograph import scene, write_scenes
from oracles.attention_stack import explicit_affinity
from oracles.plain_loading import TimmSamples, TorchvisionSamples
from oracles.plain_segmenter import explicit_attention, plain_evaluation, plain_logits
from tests.tiny import BACKBONE
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamAugmentParams
from weaktr.config.decoder import DecoderAugmentParams, DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.models.attention_maps import TokenLayout, fuse_attention
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.segment import segment


@pytest.fixture
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    backbone = BackboneParams.model_validate(BACKBONE)
    params = DecoderParams(backbone=backbone, crop_size=32, region=16)
    return Segmenter.from_params(params, 5).eval()


def test_the_plain_segmenter_gives_the_same_logits(segmenter: Segmenter) -> None:
    x = torch.randn(2, 3, 32, 32)
    first: Any = segmenter.encoder.blocks[0].attn
    with torch.no_grad():
        ours = segmenter(x)
        assert torch.allclose(plain_logits(segmenter, x), ours, atol=1e-5)
        with explicit_attention(segmenter):
            assert not first.fused_attn
            assert torch.allclose(plain_logits(segmenter, x), ours, atol=1e-5)
    assert first.fused_attn


def test_the_plain_evaluation_gives_the_same_labels(segmenter: Segmenter) -> None:
    image, _ = scene(40, 61)
    params = EvaluationParams(
        window=32, stride=20, short_side=44, scales=(0.5, 1.0, 1.5), flip=True
    )
    ours = segment(segmenter, [image], params)[0].labels
    plain = plain_evaluation(
        segmenter, image, window=32, stride=20, short_side=44, scales=params.scales
    )
    assert plain.shape == (40, 61)
    assert np.mean(plain == ours) > 0.999
    assert len(np.unique(plain)) > 1


def test_the_affinity_is_the_mean_of_weighted_maps() -> None:
    torch.manual_seed(0)
    queries = [torch.randn(1, 2, 11, 4) for _ in range(3)]
    keys = [torch.randn(1, 2, 11, 4) for _ in range(3)]
    weights = torch.rand(1, 3, 2)
    _, affinity = fuse_attention(weights, queries, keys, TokenLayout(2, 3))
    assert torch.allclose(explicit_affinity(weights, queries, keys, 3), affinity, atol=1e-6)


def test_plain_samples_have_the_shapes_of_ours(tmp_path: Path) -> None:
    manifest = write_scenes(tmp_path, 2, 60, 80)
    images = [record.image for record in manifest.records]
    masks = [str(Path(image).with_suffix(".png")) for image in images]
    tags = torch.from_numpy(manifest.targets())
    x, y = TimmSamples(images, tags, CamAugmentParams(auto_augment=None), 32)[1]
    assert x.shape == (3, 32, 32)
    assert y.sum() == 2
    params = DecoderAugmentParams(short_side=40)
    x, y = TorchvisionSamples(images, masks, params, 96)[0]
    assert x.shape == (3, 96, 96)
    assert y.shape == (96, 96)
    assert y.dtype == torch.int64
    assert set(y.unique().tolist()) <= {*range(6), 255}
