"""Windows, scales and mirror images, against loops and by hand."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles.sliding_window import sliding_probabilities
from tests.largest_tensor import LargestTensor
from tests.segmentation.whole_images import all_passes, probabilities
from weaktr.config.backbone import BackboneParams
from weaktr.config.decoder import DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation import probabilities as probabilities_module
from weaktr.segmentation.network_passes import ScaleMasks, Side, network_passes
from weaktr.segmentation.probabilities import best_labels, mean_probabilities
from weaktr.segmentation.sliding_window import (
    InferenceSettings,
    enlarged_size,
    scaled_inputs,
    scaled_size,
    window_starts,
)

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class Pointwise(nn.Module):
    """Logits of a pixel from that pixel alone, so that windows cannot matter."""

    mean, std, patch_size = MEAN, STD, 1

    def __init__(self, labels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, labels, 1)
        self.batches: list[int] = []

    def masks(self, x: Tensor, *, with_early: bool = False) -> Tensor:
        self.batches.append(x.shape[0])
        return self.conv(x)


class Contextual(Pointwise):
    """Logits that depend on the place in the window."""

    def masks(self, x: Tensor, *, with_early: bool = False) -> Tensor:
        ramp = torch.linspace(0, 1, x.shape[-1])
        return super().masks(x) * (1 + ramp + x.mean())


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


def small_segmenter(**changes: int) -> Segmenter:
    """Patches that divide neither windows nor strides."""
    torch.manual_seed(0)
    backbone = BackboneParams(
        name="deit_tiny_patch16_224",
        weights="none",
        embed_dim=32,
        depth=1,
        num_heads=2,
        patch_size=changes.get("patch_size", 8),
    )
    params = DecoderParams(backbone=backbone, crop_size=changes.get("crop_size", 24), region=8)
    model = Segmenter.from_params(params, changes.get("classes", 3)).eval()
    nn.init.normal_(model.decoder.class_embedding)
    return model


@pytest.mark.parametrize(("height", "width"), [(12, 12), (30, 17), (13, 41)])
def test_windows_do_not_matter_to_a_pointwise_model(
    pointwise: Pointwise, height: int, width: int
) -> None:
    x = images(2, height, width)
    settings = InferenceSettings(window=12, stride=5, flip=False)
    ((inputs, _),) = scaled_inputs(x, settings, mean=MEAN, std=STD)
    expected = pointwise.masks(inputs).softmax(1)
    torch.testing.assert_close(probabilities(pointwise, x, settings), expected)


@pytest.mark.parametrize("size", [(24, 30), (41, 57), (13, 90), (3, 70)])
@pytest.mark.parametrize(("patch", "window", "stride"), [(8, 24, 16), (7, 24, 17), (16, 20, 20)])
def test_masks_become_the_pixels_of_a_loop_over_windows(
    size: tuple[int, int], patch: int, window: int, stride: int
) -> None:
    """Enlarged, averaged, resized and un-flipped by two matrices, against pixel after pixel."""
    model = small_segmenter(patch_size=patch, crop_size=window)
    x = images(1, *size)
    settings = InferenceSettings(window=window, stride=stride, scales=(0.7, 1.0, 1.6), batch=3)
    expected = sliding_probabilities(model, model, x, settings)
    torch.testing.assert_close(probabilities(model, x, settings), expected, rtol=1e-4, atol=1e-5)


def test_overlaps_are_averaged_against_a_loop(contextual: Contextual) -> None:
    x = images(1, 14, 23)
    # One window a pass: the model's answer depends on what else is in its batch.
    settings = InferenceSettings(window=10, stride=4, scales=(1.0, 1.3), batch=1)
    expected = sliding_probabilities(contextual, contextual.masks, x, settings)
    torch.testing.assert_close(probabilities(contextual, x, settings), expected)


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 100])
def test_any_window_batch_gives_the_same(pointwise: Pointwise, batch: int) -> None:
    """The published code takes a batch of exactly two for two outputs."""
    x = images(2, 20, 26)
    expected = probabilities(pointwise, x, InferenceSettings(window=12, stride=8, batch=6))
    pointwise.batches.clear()
    settings = InferenceSettings(window=12, stride=8, batch=batch)
    actual = probabilities(pointwise, x, settings)
    torch.testing.assert_close(actual, expected)
    # 2 x 3 windows of two images and their mirror images.
    assert sum(pointwise.batches) == 24
    assert len(pointwise.batches) == -(-24 // batch)


def test_two_labels_are_not_two_outputs() -> None:
    torch.manual_seed(0)
    model = Pointwise(labels=2).eval()
    found = probabilities(model, images(1, 9, 11), InferenceSettings(window=8, stride=8))
    assert found.shape == (1, 2, 9, 11)
    torch.testing.assert_close(found.sum(1), torch.ones(1, 9, 11))


def test_flips_are_undone(contextual: Contextual) -> None:
    x = images(1, 12, 12)
    settings = InferenceSettings(window=12, stride=12, batch=1)
    inputs = ((x.permute(0, 3, 1, 2) / 255) - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(
        STD
    ).view(3, 1, 1)
    straight = contextual.masks(inputs).softmax(1)
    mirrored = contextual.masks(inputs.flip(-1)).flip(-1).softmax(1)
    actual = probabilities(contextual, x, settings)
    torch.testing.assert_close(actual, (straight + mirrored) / 2)
    assert (straight - mirrored).abs().max() > 1e-3


def test_a_batch_is_its_images(pointwise: Pointwise) -> None:
    x = images(3, 15, 21)
    settings = InferenceSettings(window=10, stride=6, scales=(0.75, 1.5))
    together = probabilities(pointwise, x, settings)
    for i in range(3):
        alone = probabilities(pointwise, x[i : i + 1], settings)
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
    labels, confidence = best_labels(all_passes(pointwise, images(1, *shape), settings), shape)
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


@pytest.mark.parametrize(("tile", "columns"), [(4 * 2 * 3 * 31, 1024), (60, 7), (1, 1)])
def test_labels_in_tiles_are_the_argmax(
    pointwise: Pointwise, tile: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = images(2, 23, 31)
    passes = all_passes(
        pointwise, x, InferenceSettings(window=12, stride=9, scales=(0.7, 1.3), early_weight=0.0)
    )
    whole = mean_probabilities(passes, (23, 31))
    monkeypatch.setitem(probabilities_module.TILE, "cpu", tile)
    monkeypatch.setattr(probabilities_module, "COLUMNS", columns)
    torch.testing.assert_close(mean_probabilities(passes, (23, 31)), whole)
    labels, confidence = best_labels(passes, (23, 31))
    torch.testing.assert_close(confidence, whole.amax(1))
    top = whole.topk(2, dim=1).values
    clear = top[:, 0] - top[:, 1] > 1e-5
    assert clear.float().mean() > 0.99
    assert torch.equal(labels[clear], whole.argmax(1)[clear].to(torch.uint8))


@pytest.mark.parametrize("length", [5, 12, 13, 40])
@pytest.mark.parametrize("size", [1, 9, 12, 50])
def test_a_side_spreads_as_torch_resizes(length: int, size: int) -> None:
    side = Side(length=length, window=12, stride=12, grid=3, patch=4)
    x = torch.randn(len(side.starts) * 3)
    pixels = torch.zeros(max(length, 12))
    cover = torch.zeros(max(length, 12))
    for start, patches in zip(side.starts, x.split(3), strict=True):
        window = F.interpolate(patches[None, None], 12, mode="linear")[0, 0]
        pixels[start : start + 12] += window
        cover[start : start + 12] += 1
    expected = F.interpolate((pixels / cover)[None, None, :length], size, mode="linear")[0, 0]
    torch.testing.assert_close(side.spread(size) @ x, expected, rtol=1e-4, atol=1e-5)


def test_allowed_labels_restrict_each_image() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])[:, :, None, None].expand(2, 3, 4, 4)
    allowed = torch.tensor([[True, True, False], [True, False, True]])
    side = Side(length=4, window=4, stride=4, grid=4, patch=1)
    labels, confidence = best_labels([ScaleMasks(logits, side, side, False)], (4, 4), allowed)
    assert (labels[0] == 1).all()
    assert (labels[1] == 2).all()
    expected = logits[:, :, 0, 0].softmax(1)[[0, 1], [1, 2]]
    torch.testing.assert_close(confidence[:, 0, 0], expected)


def test_early_masks_join_with_their_weight() -> None:
    """The published evaluation: 0.8 x mean softmax(early) + mean softmax(final)."""
    model = small_segmenter()
    x = images(1, 24, 30)
    settings = InferenceSettings(window=24, stride=16, scales=(1.0, 1.5), batch=3)
    last = model.decoder.blocks[-1]
    final = probabilities(model, x, settings)
    model.decoder.blocks[-1] = nn.Identity()
    early = probabilities(model, x, settings)
    model.decoder.blocks[-1] = last
    assert (early - final).abs().max() > 1e-3
    both = probabilities(model, x, replace(settings, early_weight=0.8))
    torch.testing.assert_close(both, (0.8 * early + final) / 1.8)
    passes = all_passes(model, x, replace(settings, early_weight=0.8))
    assert len(passes) == replace(settings, early_weight=0.8).passes == 8
    _, confidence = best_labels(passes, (24, 30))
    torch.testing.assert_close(confidence, both.amax(1))


def test_no_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one scale"):
        mean_probabilities([], (3, 3))


@pytest.mark.parametrize("batch", [1, 4, 5, 1000])
def test_windows_of_all_scales_images_and_shapes_fill_forward_passes(
    pointwise: Pointwise, batch: int
) -> None:
    settings = InferenceSettings(window=8, stride=8, scales=(1.0, 1.5), batch=batch)
    read: list[int] = []

    def inputs() -> Iterator[tuple[Tensor, bool]]:
        for index, x in enumerate((images(1, 16, 20), images(2, 9, 8))):
            read.append(index)
            yield from scaled_inputs(x, settings, mean=MEAN, std=STD)

    passes = network_passes(pointwise, inputs(), settings)
    first = next(passes)
    if batch == 1:
        assert read == [0], "images are read as they are needed"
    rest = list(passes)
    windows = 2 * (2 * 3 + 3 * 4) + 2 * 2 * (2 * 1 + 2 * 2)
    assert (
        pointwise.batches
        == [batch] * (windows // batch) + [windows % batch or batch][: windows % batch]
    )
    alone = InferenceSettings(window=8, stride=8, scales=(1.0, 1.5), batch=1)
    expected = all_passes(pointwise, images(1, 16, 20), alone)
    expected += all_passes(pointwise, images(2, 9, 8), alone)
    for one, other in zip((first, *rest), expected, strict=True):
        assert (one.rows, one.columns, one.flipped) == (other.rows, other.columns, other.flipped)
        torch.testing.assert_close(one.masks, other.masks)


def test_pixels_exist_tile_by_tile_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor has as many elements as one window's logits, whatever the size of the image."""
    labels, window = 64, 64
    model = small_segmenter(patch_size=8, crop_size=window, classes=labels - 1)
    settings = InferenceSettings(window=window, stride=32, scales=(1.0, 1.5), batch=2)
    x = images(1, 64, 96)
    monkeypatch.setitem(probabilities_module.TILE, "cpu", 2**15)
    with LargestTensor() as seen:
        passes = all_passes(model, x, settings)
        found, _ = best_labels(passes, (64, 96))
    assert found.shape == (1, 64, 96)
    assert seen.elements < labels * window**2 / 2
    for one in passes:
        assert one.masks.shape[2:] == (8 * len(one.rows.starts), 8 * len(one.columns.starts))


def test_a_pass_has_as_many_windows_as_its_budget_of_pixels() -> None:
    voc = InferenceSettings(window=480, stride=320)
    assert (voc.windows_per_pass("cpu"), voc.windows_per_pass("cuda")) == (4, 72)
    assert InferenceSettings(window=80, stride=80).windows_per_pass("cpu") == 163
    assert InferenceSettings(window=4000, stride=80).windows_per_pass("cpu") == 1


def test_windows_follow_params() -> None:
    params = EvaluationParams(window=96, stride=64, scales=(0.5, 1.0), flip=False, short_side=100)
    expected = InferenceSettings(
        window=96, stride=64, short_side=100, scales=(0.5, 1.0), flip=False
    )
    assert InferenceSettings.of(params) == expected
