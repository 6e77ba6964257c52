"""Windows, scales and mirror images, against loops and by hand."""

import weakref
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weaktr.config.backbone import BackboneParams
from weaktr.config.decoder import DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.sliding_window import (
    InferenceSettings,
    ScaleLogits,
    best_labels,
    enlarged_size,
    mean_probabilities,
    network_passes,
    num_logits,
    scaled_inputs,
    scaled_size,
    sliding_window_labels,
    sliding_window_logits,
    sliding_window_probabilities,
    window_starts,
)

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class Pointwise(nn.Module):
    """Logits of a pixel from that pixel alone, so that windows cannot matter."""

    mean, std = MEAN, STD

    def __init__(self, labels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, labels, 1)
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(x.shape[0])
        return self.conv(x)


class Contextual(Pointwise):
    """Logits that depend on the place in the window."""

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.linspace(0, 1, x.shape[-1])
        return super().forward(x) * (1 + ramp + x.mean())


def images(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, height, width, 3), generator=generator, dtype=torch.uint8)


@pytest.fixture
def pointwise() -> Pointwise:
    torch.manual_seed(0)
    return Pointwise().eval()


@pytest.fixture
def contextual() -> Contextual:
    torch.manual_seed(0)
    return Contextual().eval()


def test_windows_cover_a_side_and_end_with_it() -> None:
    assert window_starts(10, 10, 4) == [0]
    assert window_starts(11, 10, 4) == [0, 1]
    assert window_starts(18, 10, 4) == [0, 4, 8]
    assert window_starts(19, 10, 4) == [0, 4, 8, 9]


@pytest.mark.parametrize(("height", "width"), [(12, 12), (30, 17), (13, 41)])
def test_windows_do_not_matter_to_a_pointwise_model(
    pointwise: Pointwise, height: int, width: int
) -> None:
    x = torch.randn(2, 3, height, width)
    logits = sliding_window_logits(pointwise, x, InferenceSettings(window=12, stride=5))
    torch.testing.assert_close(logits, pointwise(x))


def test_overlaps_are_averaged_against_a_loop(contextual: Contextual) -> None:
    x = torch.randn(2, 3, 14, 23)
    total, count = torch.zeros(2, 3, 14, 23), torch.zeros(14, 23)
    for top in window_starts(14, 10, 4):
        for left in window_starts(23, 10, 4):
            for b in range(2):
                crop = x[b : b + 1, :, top : top + 10, left : left + 10]
                total[b, :, top : top + 10, left : left + 10] += contextual(crop)[0].detach()
            count[top : top + 10, left : left + 10] += 1
    # One window a pass: the model's answer depends on what else is in its batch.
    logits = sliding_window_logits(contextual, x, InferenceSettings(window=10, stride=4, batch=1))
    torch.testing.assert_close(logits, total / count)


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 100])
def test_any_window_batch_gives_the_same(pointwise: Pointwise, batch: int) -> None:
    """The published code takes a batch of exactly two for two outputs."""
    x = images(2, 20, 26)
    expected = sliding_window_probabilities(
        pointwise, x, InferenceSettings(window=12, stride=8, batch=6)
    )
    pointwise.batches.clear()
    settings = InferenceSettings(window=12, stride=8, batch=batch)
    actual = sliding_window_probabilities(pointwise, x, settings)
    torch.testing.assert_close(actual, expected)
    # 2 x 3 windows of two images and their mirror images.
    assert sum(pointwise.batches) == 24
    assert len(pointwise.batches) == -(-24 // batch)


def test_two_labels_are_not_two_outputs() -> None:
    torch.manual_seed(0)
    model = Pointwise(labels=2).eval()
    probabilities = sliding_window_probabilities(
        model, images(1, 9, 11), InferenceSettings(window=8, stride=8)
    )
    assert probabilities.shape == (1, 2, 9, 11)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 9, 11))


def test_flips_are_undone(contextual: Contextual) -> None:
    x = images(1, 12, 12)
    settings = InferenceSettings(window=12, stride=12, batch=1)
    inputs = ((x.permute(0, 3, 1, 2) / 255) - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(
        STD
    ).view(3, 1, 1)
    straight = contextual(inputs).softmax(1)
    mirrored = contextual(inputs.flip(-1)).flip(-1).softmax(1)
    actual = sliding_window_probabilities(contextual, x, settings)
    torch.testing.assert_close(actual, (straight + mirrored) / 2)
    assert (straight - mirrored).abs().max() > 1e-3


def test_a_batch_is_its_images(pointwise: Pointwise) -> None:
    x = images(3, 15, 21)
    settings = InferenceSettings(window=10, stride=6, scales=(0.75, 1.5))
    together = sliding_window_probabilities(pointwise, x, settings)
    for i in range(3):
        alone = sliding_window_probabilities(pointwise, x[i : i + 1], settings)
        torch.testing.assert_close(together[i : i + 1], alone)


def test_sizes_follow_the_published_rule() -> None:
    assert scaled_size((375, 500), 0.5) == (188, 250)
    assert scaled_size((375, 500), 1.0, short_side=520) == (520, 693)
    assert scaled_size((375, 500), 0.75, short_side=520) == (390, 520)
    assert scaled_size((10, 1000), 1.0, short_side=520) == (42, 4160)
    assert scaled_size((1, 1), 0.1) == (1, 1)


def test_small_images_are_enlarged_to_the_window() -> None:
    assert enlarged_size((33, 57), 40) == (40, 69)
    assert enlarged_size((57, 33), 40) == (69, 40)
    assert enlarged_size((40, 200), 40) == (40, 200)
    # 123 / 60 * 480 is 984, but 983.99... in floating point, which the published code cuts off.
    assert enlarged_size((60, 123), 480) == (480, 984)
    # A strip is enlarged only until it is eight windows long.
    assert enlarged_size((2, 4000), 480) == (2, 4000)
    assert enlarged_size((2, 100), 40) == (6, 320)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (200, 2), (8, 8)])
def test_odd_shapes_work(pointwise: Pointwise, shape: tuple[int, int]) -> None:
    settings = InferenceSettings(window=16, stride=12, scales=(0.5, 1.0, 1.25))
    labels, confidence = sliding_window_labels(pointwise, images(1, *shape), settings)
    assert labels.shape == confidence.shape == (1, *shape)
    assert confidence.isfinite().all()


def test_inputs_are_resampled_in_grey_levels_and_normalised() -> None:
    x = images(1, 10, 14)
    settings = InferenceSettings(window=4, stride=4, scales=(0.6,), flip=False)
    ((inputs, flipped),) = scaled_inputs(x, settings, mean=MEAN, std=STD)
    assert not flipped
    levels = F.interpolate(x.permute(0, 3, 1, 2).float(), (6, 8), mode="bilinear").round()
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(inputs, (levels / 255 - mean) / std)


def test_labels_in_bands_are_the_argmax(
    pointwise: Pointwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = images(2, 23, 31)
    settings = InferenceSettings(window=12, stride=9, scales=(0.7, 1.3))
    probabilities = sliding_window_probabilities(pointwise, x, settings)
    monkeypatch.setattr(
        "weaktr.segmentation.sliding_window.BAND", 4 * 2 * 3 * 31
    )  # four rows at a time
    labels, confidence = sliding_window_labels(pointwise, x, settings)
    torch.testing.assert_close(confidence, probabilities.amax(1))
    top = probabilities.topk(2, dim=1).values
    clear = top[:, 0] - top[:, 1] > 1e-5
    assert clear.float().mean() > 0.99
    assert torch.equal(labels[clear], probabilities.argmax(1)[clear].to(torch.uint8))


@pytest.mark.parametrize("size", [(11, 9), (40, 30), (7, 7), (1, 3)])
def test_bands_of_a_resize_are_its_rows(size: tuple[int, int]) -> None:
    passes = [ScaleLogits(torch.randn(2, 3, 7, 7), flipped) for flipped in (False, True)]
    whole = mean_probabilities(passes, size)
    rows = [mean_probabilities(passes, size, (i, i + 1)) for i in range(size[0])]
    torch.testing.assert_close(torch.cat(rows, dim=2), whole)


def test_allowed_labels_restrict_each_image() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])[:, :, None, None].expand(2, 3, 4, 4)
    allowed = torch.tensor([[True, True, False], [True, False, True]])
    labels, confidence = best_labels([ScaleLogits(logits, False)], (4, 4), allowed)
    assert (labels[0] == 1).all()
    assert (labels[1] == 2).all()
    expected = logits[:, :, 0, 0].softmax(1)[[0, 1], [1, 2]]
    torch.testing.assert_close(confidence[:, 0, 0], expected)


def test_early_masks_join_with_their_weight() -> None:
    """The published evaluation: 0.8 x mean softmax(early) + mean softmax(final)."""
    torch.manual_seed(0)
    backbone = BackboneParams(
        name="deit_tiny_patch16_224",
        weights="none",
        patch_size=8,
        embed_dim=32,
        depth=1,
        num_heads=2,
    )
    model = Segmenter.from_params(
        DecoderParams(backbone=backbone, crop_size=24, region=8), 3
    ).eval()
    torch.nn.init.normal_(model.decoder.class_embedding)
    x = images(1, 24, 30)
    settings = InferenceSettings(window=24, stride=16, scales=(1.0, 1.5), batch=3)
    last = model.decoder.blocks[-1]
    final = sliding_window_probabilities(model, x, settings)
    model.decoder.blocks[-1] = nn.Identity()
    early = sliding_window_probabilities(model, x, settings)
    model.decoder.blocks[-1] = last
    assert (early - final).abs().max() > 1e-3
    both = sliding_window_probabilities(model, x, replace(settings, early_weight=0.8))
    torch.testing.assert_close(both, (0.8 * early + final) / 1.8)
    _, confidence = sliding_window_labels(model, x, replace(settings, early_weight=0.8))
    torch.testing.assert_close(confidence, both.amax(1))


def test_no_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one scale"):
        mean_probabilities([], (3, 3))


def test_passes_are_made_one_scale_at_a_time(pointwise: Pointwise) -> None:
    """A scale's logits are gone before the next scale's are made."""
    settings = InferenceSettings(window=8, stride=8, scales=(1.0, 1.5, 2.0))
    inputs = scaled_inputs(images(1, 16, 16), settings, mean=MEAN, std=STD)
    alive: list[weakref.ref[Tensor]] = []
    for step in network_passes(pointwise, inputs, settings):
        alive = [ref for ref in alive if ref() is not None]
        assert len(alive) <= 2  # a scale and its mirror image
        alive.append(weakref.ref(step.logits))


def test_windows_follow_params() -> None:
    params = EvaluationParams(window=96, stride=64, scales=(0.5, 1.0), flip=False, short_side=100)
    expected = InferenceSettings(
        window=96, stride=64, short_side=100, scales=(0.5, 1.0), flip=False, batch=8
    )
    assert InferenceSettings.of(params) == expected


@pytest.mark.parametrize("size", [(20, 30), (3, 40)])
def test_logits_are_counted_as_they_are_made(size: tuple[int, int], pointwise: Pointwise) -> None:
    plain = InferenceSettings(window=16, stride=10, scales=(0.5, 1.7), flip=False)
    for settings in (plain, replace(plain, flip=True), replace(plain, short_side=18)):
        inputs = scaled_inputs(images(2, *size), settings, mean=MEAN, std=STD)
        made = sum(one.logits.numel() for one in network_passes(pointwise, inputs, settings))
        assert 2 * num_logits(size, settings, 3) == made
    early = replace(plain, early_weight=0.8)
    assert num_logits(size, early, 3) == 2 * num_logits(size, plain, 3)
