import pytest
import torch
import torch.nn.functional as F

from weaktr.models.attention_fusion import AdaptiveAttentionFusion, MeanAttentionFusion
from weaktr.training.fusion_watch import FusionWatch

LAYERS, HEADS = 3, 2


def fusion() -> AdaptiveAttentionFusion:
    torch.manual_seed(0)
    return AdaptiveAttentionFusion(
        layers=LAYERS, heads=HEADS, embed_dim=8, reduction=1, feat_reduction=2
    )


def head_weights(module: AdaptiveAttentionFusion, batch: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    pooled = [torch.rand(batch, 8, generator=generator) for _ in range(LAYERS)]
    weights: torch.Tensor = module(pooled)
    return weights


def test_weights_are_measured_over_the_heads_of_an_image() -> None:
    module = fusion()
    watch = FusionWatch(module)
    assert watch.weights() == {}
    weights = head_weights(module).detach()
    spreads = [image.std(correction=0).item() for image in weights]
    found = watch.weights()
    assert found["head_weight"].item() == pytest.approx(weights.mean().item())
    assert found["head_weight_spread"].item() == pytest.approx(sum(spreads) / len(spreads))


def test_the_gradient_is_the_mean_over_elements() -> None:
    module = fusion()
    watch = FusionWatch(module)
    assert watch.gradient() == {}
    F.mse_loss(head_weights(module), torch.ones(4, LAYERS * HEADS)).backward()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    elements = [x for gradient in gradients for x in gradient.flatten().tolist()]
    expected = sum(abs(x) for x in elements) / len(elements)
    assert watch.gradient()["fusion_gradient"].item() == pytest.approx(expected)


def test_raised_heads_are_those_whose_weight_a_step_raises() -> None:
    module = fusion()
    before = head_weights(module).detach()
    wanted = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])  # heads one and two up, the third down
    (head_weights(module) * (1 - 2 * wanted)).sum().backward()
    share = FusionWatch(module).gradient()["fusion_raises"].item()
    last = dict(module.named_parameters())["head_ffn.2.weight"]
    assert last.grad is not None
    with torch.no_grad():
        last.sub_(0.1 * last.grad)
    raised = (head_weights(module) > before).all(dim=0)
    assert raised.tolist() == (wanted > 0).tolist()
    assert share == pytest.approx(raised.float().mean().item())


def test_a_step_that_overflows_leaves_the_curves_finite() -> None:
    module = fusion()
    head_weights(module).sum().backward()
    first = next(iter(module.parameters()))
    assert first.grad is not None
    first.grad.view(-1)[0] = torch.inf
    found = FusionWatch(module).gradient()
    assert {name: value.item() for name, value in found.items()} == {
        "fusion_gradient": 0,
        "fusion_raises": 0,
    }


@pytest.mark.slow
def test_a_compiled_network_is_watched_too() -> None:
    module = fusion()
    watch = FusionWatch(module)
    compiled = torch.compile(module, backend="aot_eager")
    pooled = [torch.rand(4, 8) for _ in range(LAYERS)]
    weights = compiled(pooled)
    assert watch.heads is not None
    torch.testing.assert_close(watch.heads, weights)
    assert not watch.heads.requires_grad


def test_nothing_is_measured_of_a_mean() -> None:
    watch = FusionWatch(MeanAttentionFusion(layers=LAYERS, heads=HEADS))
    assert watch.weights() == {}
    assert watch.gradient() == {}
