"""What runs on a GPU equals what runs on a CPU. Skipped where there is none."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tiny import run_stages, tiny_params, write_params
from tests.training.tiny_trainings import Training, cam_training, decoder_training, take_steps
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.crf import CrfParams
from weaktr.config.values import Precision
from weaktr.crf.dense_crf import dense_crf
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.models.attention_maps import TokenLayout, attention_marginals, fuse_attention
from weaktr.models.cam_network import CAMNetwork
from weaktr.precision import autocast, float32_products

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]


@pytest.fixture(autouse=True)
def _exact_float32() -> Iterator[None]:
    """No TF32 in convolutions, which is torch's default: its rounding would hide errors."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def small_network() -> CAMNetwork:
    torch.manual_seed(0)
    backbone = BackboneParams(
        name="vit_tiny_patch16_224", weights="none", embed_dim=48, depth=3, num_heads=3
    )
    params = CamParams(backbone=backbone, input_size=64, reduction=3, feat_reduction=4)
    return CAMNetwork.from_params(params, num_classes=5)


def test_fusion_and_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    layout = TokenLayout(classes=4, prefix=6)
    weights = torch.rand(2, 3, 2, generator=generator)
    queries, keys = ([torch.randn(2, 2, 70, 16, generator=generator)] * 3 for _ in range(2))

    def fused(device: str) -> list[Tensor]:
        own = weights.to(device).requires_grad_()
        q, k = ([x.to(device) for x in group] for group in (queries, keys))
        cross, affinity = fuse_attention(own, q, k, layout)
        (gradient,) = torch.autograd.grad((affinity @ affinity).sum() + cross.sin().sum(), own)
        return [cross, affinity, gradient, attention_marginals(q[0], k[0], layout)]

    for there, here in zip(fused("cuda"), fused("cpu"), strict=True):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-5)


def test_cam_network() -> None:
    network = small_network().eval()
    x = torch.randn(2, 3, 64, 48)
    with torch.inference_mode():
        here = network(x), network.maps(x)
        network.cuda()
        there = network(x.cuda()), network.maps(x.cuda())
        for a, b in zip(there[0], here[0], strict=True):
            torch.testing.assert_close(a.cpu(), b, rtol=1e-3, atol=1e-4)
        for name in ("coarse", "cross", "affinity", "head_weights", "fine"):
            mine, other = (getattr(maps, name) for maps in (there[1], here[1]))
            torch.testing.assert_close(mine.cpu(), other, rtol=1e-3, atol=1e-4)


def test_patch_embedding_puts_out_tokens_without_a_copy() -> None:
    backbone = small_network().backbone.cuda()
    patches = []
    backbone.patch_embed.proj.register_forward_hook(lambda *args: patches.append(args[-1]))
    backbone.embed(torch.randn(2, 3, 64, 48, device="cuda"))
    assert patches[0].flatten(2).mT.is_contiguous()


def test_bfloat16_step_gives_finite_gradients() -> None:
    network = small_network().cuda()
    with torch.autocast("cuda", torch.bfloat16):
        logits = network(torch.randn(2, 3, 64, 64, device="cuda"))
    sum(x.float().square().sum() for x in logits).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
@pytest.mark.parametrize("training", [cam_training, decoder_training])
def test_no_step_of_a_training_waits_for_the_gpu(
    training: Callable[[str], Training], precision: Precision
) -> None:
    """CUDA itself raises where the host would wait."""
    take_steps(training("cuda"), precision, 3, lambda step: None)  # what later steps keep
    trained = training("cuda")

    def from_second_on(step: int) -> None:
        torch.cuda.set_sync_debug_mode("error" if step > 1 else "default")

    try:
        take_steps(trained, precision, 5, from_second_on)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(p.isfinite().all() for p in trained[0].parameters())


@pytest.mark.parametrize("precision", ["tf32", "bfloat16", "float16"])
def test_precisions_agree_with_float32(precision: Precision) -> None:
    def loss_of(precision: Precision) -> float:
        torch.manual_seed(0)
        model, _, _, loss, batch = decoder_training("cuda")
        with torch.no_grad(), float32_products(precision, "cuda"), autocast(precision, "cuda"):
            return loss(model.eval()(batch[0]), batch[1])["loss"].item()

    assert loss_of(precision) == pytest.approx(loss_of("float32"), rel=2e-2)


@pytest.mark.parametrize("count", [3, 21])
def test_dense_crf(count: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, count, (6, 8), dtype=np.uint8), 10, 0), 10, 1)
    colours = rng.integers(20, 236, (count, 3))
    image = np.clip(colours[labels] + rng.normal(0, 20, (60, 80, 3)), 0, 255).astype(np.uint8)
    here, there = (
        dense_crf(image, labels=labels, params=CrfParams(), num_labels=count, device=device)
        for device in ("cpu", "cuda")
    )
    assert np.abs(here - there).max() <= 5e-3
    assert (here.argmax(0) == there.argmax(0)).mean() >= 0.999


def test_confusion_is_counted_there() -> None:
    prediction, target = torch.randint(0, 21, (2, 3, 50, 40), dtype=torch.uint8)
    here, there = (ConfusionMatrix(21, device=device) for device in ("cpu", "cuda"))
    here.update(prediction, target)
    there.update(prediction.cuda(), target.cuda())
    np.testing.assert_array_equal(here.matrix(), there.matrix())


@pytest.mark.parametrize("precision", ["auto", "tf32", "bfloat16", "float16"])
def test_the_pipeline_runs_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.chdir(tmp_path)
    params = tiny_params(cam__precision=precision, decoder__precision=precision)
    write_params(tmp_path, params)
    run_stages(params, device="cuda")
    metrics = json.loads(Path("reports/evaluate/details.json").read_text())
    assert 0 < metrics["mean_iou"] <= 100
