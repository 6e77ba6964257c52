import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.console import CLASSES, make_segmenter
from weaktr.config.backbone import BackboneParams
from weaktr.convert.onnx import NormalizedSegmenter, compare, export_onnx
from weaktr.errors import UserError
from weaktr.models.segmenter import Segmenter

SIZES = {"patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}


def segmenter(name: str, **changes: Any) -> Segmenter:
    return make_segmenter(BackboneParams(name=name, weights="none", **(SIZES | changes)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [("deit_tiny_patch16_224", {}), ("eva02_tiny_patch14_224", {"mlp_ratio": 2.0})],
    ids=["learned positions", "rotary positions"],
)
def test_onnx_gives_the_torch_models_logits(
    name: str, changes: dict[str, object], tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = segmenter(name, **changes)
    path = tmp_path / "model.onnx"
    check = export_onnx(model, CLASSES, path)
    assert check.largest_difference < 1e-4
    assert len({shape[0] for shape in check.shapes}) > 1

    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["weaktr.labels"]) == ["background", *CLASSES]
    for shape in ((2, 3, 37, 50), (1, 3, 5, 90)):  # sizes that the patch does not divide
        images = np.random.default_rng(0).random(shape, np.float32)
        (logits,) = session.run(["logits"], {"images": images})
        wrapped = NormalizedSegmenter(model).eval()
        with torch.inference_mode():
            expected = wrapped(torch.from_numpy(images)).numpy()
        assert logits.shape == (shape[0], 4, *shape[2:])
        np.testing.assert_allclose(logits, expected, atol=1e-4)


class Wrong:
    """A session whose model is another."""

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        B, _, H, W = inputs["images"].shape
        return [np.zeros((B, 4, H, W), np.float32)]


def test_comparison_sees_a_difference() -> None:
    model = NormalizedSegmenter(segmenter("deit_tiny_patch16_224")).eval()
    assert compare(model, Wrong()).largest_difference > 0.1


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_onnx(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "onnx":
            raise ImportError("No module named 'onnx'", name="onnx")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(UserError, match="pip install"):
        export_onnx(segmenter("deit_tiny_patch16_224"), CLASSES, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
