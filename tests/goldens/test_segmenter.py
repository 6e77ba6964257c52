"""Segmenter and inference against the published implementation.

The segmenters come through the import of a checkpoint in the released naming.
"""

from pathlib import Path

import pytest
import torch

from tests.golden_cases import GoldenCase, load_case
from weaktr.config.backbone import BackboneParams
from weaktr.convert.released import import_checkpoint
from weaktr.convert.released_names import convert_state
from weaktr.models.any_network import load_any_model
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.network_passes import ScaleMasks, network_passes
from weaktr.segmentation.probabilities import mean_probabilities
from weaktr.segmentation.sliding_window import InferenceSettings, enlarged_size, window_starts
from weaktr.training.clipped_cross_entropy import ClippedCrossEntropy


def released_segmenter(case: GoldenCase, folder: Path) -> Segmenter:
    """Saves a case's weights as they are released, imports them, and loads the result."""
    checkpoint = folder / "checkpoint.pth"
    torch.save({"model": case.state, "epoch": 3, "n_cls": case.hyper["n_cls"]}, checkpoint)
    import_checkpoint(
        checkpoint,
        folder / "model",
        classes=[f"class {i}" for i in range(1, case.hyper["n_cls"])],
        backbone=BackboneParams(name="vit_small_patch16_384", num_heads=case.hyper["n_heads"]),
        decoder_heads=case.hyper["dec_heads"],
    )
    model = load_any_model(folder / "model").model
    assert isinstance(model, Segmenter)
    return model


@pytest.mark.parametrize("name", ["mask_transformer_native", "mask_transformer_padded"])
def test_segmenter_equals_published(name: str, tmp_path: Path) -> None:
    case = load_case(name)
    model = released_segmenter(case, tmp_path)
    assert model.patch_size == case.hyper["patch_size"]
    images, target = case.tensors["x"], case.tensors["target"]
    padding = [p - n for p, n in zip(case.hyper["padded_hw"], images.shape[-2:], strict=True)]
    padded = torch.nn.functional.pad(images, (0, padding[1], 0, padding[0]))
    tokens = model.encoder(padded)
    case.check("encoder_out", torch.cat((tokens.classes, tokens.patches), dim=1))
    case.check("masks_lowres", model.decoder(tokens.patches, tokens.grid))

    logits = model(images)
    case.check("logits", logits)
    loss = ClippedCrossEntropy(start_value=None, void_in_mean="zero")(logits, target)
    case.check("loss", loss[None])
    loss.backward()
    published = [key for key in case.tensors if key.startswith("grad.")]
    assert published
    parameters = dict(model.named_parameters())
    for key in published:
        name_here = convert_state({key.removeprefix("grad."): loss}, "segmenter")[0]
        (parameter,) = (parameters[name] for name in name_here)
        assert parameter.grad is not None
        case.check(key, parameter.grad)


@pytest.mark.parametrize("window_batch", [1, 2, 7])
def test_sliding_window_inference_equals_published(window_batch: int, tmp_path: Path) -> None:
    """At any window batch; the published code is right at 1 only for two-label models."""
    case = load_case("sliding_inference")
    model = released_segmenter(case, tmp_path)
    side, stride = case.hyper["window_size"], case.hyper["window_stride"]
    settings = InferenceSettings(window=side, stride=stride, batch=window_batch)
    flips = case.tensors["flip"].bool().tolist()
    inputs = [(case.tensors[f"im.{i}"], flip) for i, flip in enumerate(flips)]
    for (image, _), resized, count in zip(
        inputs, case.tensors["resized_hw"].tolist(), case.tensors["n_windows"].tolist(), strict=True
    ):
        height, width = enlarged_size(image.shape[-2:], side)
        assert [height, width] == resized
        starts = [window_starts(length, side, stride) for length in (height, width)]
        assert len(starts[0]) * len(starts[1]) == count

    size = tuple(case.hyper["ori_shape"])
    passes: list[ScaleMasks] = list(network_passes(model, inputs, settings))
    probabilities = mean_probabilities(passes, size)[0]
    case.check("prob", probabilities)
    case.check("prob_single", mean_probabilities(passes[:1], size)[0])
    case.check("prob_flip", mean_probabilities(passes[1:2], size)[0])
    assert torch.equal(probabilities.argmax(0), case.tensors["pred"])
