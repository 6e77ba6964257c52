import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from weaktr.training.clipped_cross_entropy import ClippedCrossEntropy

VOID = 255


def batch(height: int, width: int, *, void_share: float = 0.1, seed: int = 0) -> tuple[Tensor, ...]:
    """Logits that are mostly right, so that the mean loss is low, and labels with void pixels."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 4, (3, height, width), generator=generator)
    logits = torch.randn(3, 4, height, width, generator=generator)
    logits += 4 * F.one_hot(target, 4).permute(0, 3, 1, 2)
    target[torch.rand(target.shape, generator=generator) < void_share] = VOID
    return logits, target


def test_without_start_value_it_is_cross_entropy() -> None:
    logits, target = batch(11, 7)
    loss = ClippedCrossEntropy(start_value=None)(logits, target)
    torch.testing.assert_close(loss, F.cross_entropy(logits, target, ignore_index=VOID))


def test_above_start_value_nothing_is_clipped() -> None:
    logits, target = batch(11, 7)
    plain, clipped = ClippedCrossEntropy(start_value=1e-3, region=4).pixel_losses(logits, target)
    assert torch.equal(plain, clipped)


@pytest.mark.parametrize("region_means", ["batch", "image"])
@pytest.mark.parametrize("void_in_mean", ["zero", "ignore"])
@pytest.mark.parametrize(("height", "width", "region"), [(12, 8, 4), (11, 7, 4), (5, 9, 32)])
def test_regions_of_any_crop_against_a_loop(
    height: int, width: int, region: int, void_in_mean: str, region_means: str
) -> None:
    logits, target = batch(height, width)
    criterion = ClippedCrossEntropy(
        start_value=5.0,
        region=region,
        void_in_mean=void_in_mean,  # type: ignore[arg-type]
        region_means=region_means,  # type: ignore[arg-type]
    )
    loss = F.cross_entropy(logits, target, ignore_index=VOID, reduction="none")
    counts = torch.ones_like(target) if void_in_mean == "zero" else target != VOID
    total_mean = loss.sum() / counts.sum()
    expected = loss.clone()
    for images in [slice(0, 3)] if region_means == "batch" else [slice(i, i + 1) for i in range(3)]:
        for top in range(0, height, region):
            for left in range(0, width, region):
                where = (images, slice(top, top + region), slice(left, left + region))
                mean = loss[where].sum() / counts[where].sum().clamp(min=1)
                expected[where] = loss[where].clamp(max=max(mean, total_mean))
    plain, clipped = criterion.pixel_losses(logits, target)
    torch.testing.assert_close(plain, loss)
    torch.testing.assert_close(clipped, expected)
    assert (clipped < plain).any()
    torch.testing.assert_close(criterion(logits, target), expected.sum() / counts.sum())


def test_clipped_pixels_get_no_gradient_and_others_their_own() -> None:
    logits, target = batch(8, 8, void_share=0)
    logits.requires_grad_()
    criterion = ClippedCrossEntropy(start_value=5.0, region=4)
    plain, clipped = criterion.pixel_losses(logits, target)
    (plain_grad,) = torch.autograd.grad(plain.sum(), logits, retain_graph=True)
    (clipped_grad,) = torch.autograd.grad(clipped.sum(), logits)
    cut = (clipped < plain)[:, None].expand_as(logits)
    assert cut.any()
    assert not cut.all()
    assert (clipped_grad[cut] == 0).all()
    assert torch.equal(clipped_grad[~cut], plain_grad[~cut])


def test_void_choices_differ_and_void_gets_no_gradient() -> None:
    logits, target = batch(8, 8, void_share=0.5)
    logits.requires_grad_()
    zero, ignore = (
        ClippedCrossEntropy(start_value=5.0, region=4, void_in_mean=choice)
        for choice in ("zero", "ignore")
    )
    assert zero(logits, target) < 0.9 * ignore(logits, target)
    for criterion in (zero, ignore):
        (gradient,) = torch.autograd.grad(criterion(logits, target), logits)
        assert (gradient.movedim(1, -1)[target == VOID] == 0).all()


def test_all_void_is_zero_not_nan() -> None:
    logits = torch.randn(2, 4, 6, 6, requires_grad=True)
    loss = ClippedCrossEntropy(region=4)(logits, torch.full((2, 6, 6), VOID))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_byte_labels_and_half_precision_logits() -> None:
    logits, target = batch(8, 8)
    criterion = ClippedCrossEntropy(region=4)
    loss = criterion(logits.bfloat16(), target.to(torch.uint8))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, criterion(logits, target), rtol=0.02, atol=0)


def test_shares_count_the_pixels_without_a_gradient() -> None:
    logits, target = batch(8, 8, void_share=0.2)
    logits.requires_grad_()
    criterion = ClippedCrossEntropy(start_value=5.0, region=4)
    found = criterion.with_shares(logits, target)
    assert torch.equal(found["loss"], criterion(logits, target))
    (gradient,) = torch.autograd.grad(found["loss"], logits)
    still = (gradient == 0).all(dim=1)
    for name, part in {
        "clipped": target != VOID,
        "clipped_objects": (target != VOID) & (target > 0),
    }.items():
        assert 0 < found[name] < 1
        torch.testing.assert_close(found[name], (still & part).sum() / part.sum())


def test_plain_cross_entropy_has_no_shares() -> None:
    assert set(ClippedCrossEntropy(start_value=None).with_shares(*batch(8, 8))) == {"loss"}


def test_shares_of_void_and_background_alone_are_zero() -> None:
    logits = torch.randn(2, 4, 6, 6)
    for label in (0, VOID):
        found = ClippedCrossEntropy(start_value=9.0, region=4).with_shares(
            logits, torch.full((2, 6, 6), label)
        )
        assert found["clipped_objects"] == 0
