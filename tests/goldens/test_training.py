"""The clipped loss and the learning rates against the published implementation."""

import pytest
import torch

from tests.golden_cases import load_case
from weaktr.training.clipped_cross_entropy import ClippedCrossEntropy
from weaktr.training.schedules import PolynomialSchedule


@pytest.mark.parametrize("name", ["above", "below", "nonsquare", "one_patch"])
def test_clipped_loss_equals_published(name: str) -> None:
    case = load_case(f"grad_clip_{name}")
    criterion = ClippedCrossEntropy(
        start_value=case.hyper["start_value"],
        region=case.hyper["patch_size"],
        void_in_mean="zero",
        void=case.hyper["ignore_index"],
    )
    logits = case.tensors["logits"].clone().requires_grad_()
    target = case.tensors["target"]
    plain, clipped = criterion.pixel_losses(logits, target)
    case.check("ori_loss", plain)
    case.check("loss_map", clipped)
    case.check("ori_mean", plain.mean()[None])
    assert int((clipped < plain).sum()) == case.hyper["pixels_clipped"]
    loss = criterion(logits, target)
    case.check("loss", loss[None])
    loss.backward()
    assert logits.grad is not None
    case.check("grad_logits", logits.grad)


@pytest.mark.parametrize("name", ["poly_lr_plain", "poly_lr_warmup"])
def test_polynomial_schedule_equals_published(name: str) -> None:
    case = load_case(name)

    def schedule(base_lr: float, published: bool) -> PolynomialSchedule:
        return PolynomialSchedule(
            base_lr=base_lr,
            total_steps=case.hyper["iter_max"],
            power=case.hyper["power"],
            min_lr=case.hyper["min_lr"],
            warmup_steps=case.hyper["iter_warmup"],
            published=published,
        )

    steps = case.tensors["iter"].tolist()
    bases, scales = case.hyper["base_lrs"], case.hyper["lr_scales"]
    rates = [[schedule(base, True).lr_at(step) for base in bases] for step in steps]
    case.check("lr", torch.tensor(rates))
    engine = schedule(bases[0], True)
    scaled = [[engine.lr_at(step, scale) for scale in scales] for step in steps]
    case.check("lr_engine", torch.tensor(scaled))
    assert scaled[-1][0] == pytest.approx(case.tensors["lr_engine"][-1, 0].item(), rel=1e-6)

    # The mended schedule differs in the two slips alone.
    right = [1 if case.hyper["iter_warmup"] else 0, case.hyper["iter_max"]]
    for step in range(right[0], right[1] + 1):
        for scale in scales:
            assert schedule(bases[0], False).lr_at(step, scale) == engine.lr_at(step, scale)
    if case.hyper["iter_warmup"]:
        assert schedule(bases[0], False).lr_at(0) == case.hyper["min_lr"]
    after = schedule(bases[0], False).lr_at(case.hyper["iter_max"] + 3, 0.1)
    assert after == pytest.approx(0.1 * case.hyper["min_lr"])
