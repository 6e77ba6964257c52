from typing import Any

import pytest
import torch
import torch.nn.functional as F

from weaktr.config.backbone import BackboneParams
from weaktr.config.decoder import DecoderParams
from weaktr.errors import UserError
from weaktr.models.segmenter import Segmenter


def tiny(name: str = "deit_tiny_patch16_224", labels: int = 4, **changes: Any) -> Segmenter:
    torch.manual_seed(0)
    sizes = {"embed_dim": 48, "depth": 2, "num_heads": 2} if "eva" not in name else {"depth": 2}
    backbone = BackboneParams(name=name, weights="none", patch_size=8, **sizes)
    values = {"crop_size": 32, "region": 8, "drop_path": 0.0, **changes}
    return Segmenter.from_params(DecoderParams(backbone=backbone, **values), labels - 1)


@pytest.mark.parametrize("size", [(32, 32), (41, 54), (5, 70), (8, 8)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    model = tiny().eval()
    logits = model(torch.randn(2, 3, *size))
    assert logits.shape == (2, 4, *size)
    assert logits.isfinite().all()


def test_padding_is_zeros_to_whole_patches_right_and_below() -> None:
    model = tiny().eval()
    x = torch.randn(1, 3, 30, 21)
    padded = F.pad(x, (0, 3, 0, 2))
    torch.testing.assert_close(model(x), model(padded)[..., :30, :21])


def test_every_parameter_learns_but_nothing_else() -> None:
    model = tiny().train()
    loss = model(torch.randn(2, 3, 32, 32)).square().mean()
    loss.backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None]
    assert idle == []


def test_masks_are_normalised_over_classes() -> None:
    """At first the LayerNorm over classes has no scale or shift to learn from."""
    model = tiny(labels=6).eval()
    tokens = model.encoder(torch.randn(1, 3, 32, 32))
    masks = model.decoder(tokens.patches, tokens.grid)
    torch.testing.assert_close(masks.mean(1), torch.zeros_like(masks.mean(1)), atol=1e-5, rtol=0)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(UserError, match=r"decoder.heads must divide .* 48. Got: 5"):
        tiny(heads=5)


def test_positions_live_on_the_crop_grid() -> None:
    model = tiny(crop_size=36)
    assert model.encoder.pos_embed is not None
    assert model.encoder.pos_embed.shape[1] == 1 + 5 * 5
    assert model.encoder.position_grid == (5, 5)


def test_every_layer_norm_has_the_published_eps() -> None:
    model = tiny()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert len(norms) == 2 * 2 + 1 + 2 * 2 + 2  # encoder blocks and norm, decoder blocks and norms
    assert {norm.eps for norm in norms} == {1e-5}


def test_gradient_checkpointing_changes_nothing() -> None:
    model = tiny(dropout=0.0).train()
    x = torch.randn(1, 3, 32, 32)

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model(x).square().mean().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    plain = gradients()
    model.set_gradient_checkpointing()
    for one, other in zip(plain, gradients(), strict=True):
        torch.testing.assert_close(one, other)


def test_bfloat16_autocast_gives_float32_logits() -> None:
    model = tiny().eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(x)
    assert logits.dtype == torch.float32
    assert (logits - model(x)).abs().max() < 0.2


def test_same_seed_same_weights() -> None:
    first, second = tiny().state_dict(), tiny().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
