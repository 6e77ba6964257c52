import pytest
import torch

from weaktr.models.mask_transformer import MaskTransformer, decoder_heads


@pytest.mark.parametrize(
    ("width", "heads"), [(384, 6), (192, 3), (768, 12), (48, 1), (64, 1), (200, 2), (130, 2)]
)
def test_decoder_heads(width: int, heads: int) -> None:
    assert decoder_heads(width) == heads
    assert width % heads == 0


def test_spare_embeddings_act_but_predict_nothing() -> None:
    torch.manual_seed(0)
    whole = MaskTransformer(num_labels=7, width=32, heads=2, dropout=0.0).eval()
    part = MaskTransformer(num_labels=5, spare=2, width=32, heads=2, dropout=0.0).eval()
    part.load_state_dict(whole.state_dict())
    x = torch.randn(2, 6, 32)
    torch.testing.assert_close(part(x, (2, 3)), whole(x, (2, 3))[:, :5])
