from typing import Any

import pytest
import torch

from tests.backbones import BACKBONES, cam_network, image
from weaktr.models.attention import run_attention, run_block


@pytest.mark.parametrize("name", BACKBONES)
def test_blocks_equal_timm(name: str) -> None:
    backbone = cam_network(name).backbone
    tokens, ropes, _ = backbone.embed(image(backbone))
    rope = {} if ropes[0] is None else {"rope": ropes[0]}
    block: Any = backbone.blocks[0]
    torch.testing.assert_close(run_block(block, tokens, ropes[0])[0], block(tokens, **rope))
    record = run_attention(block.attn, tokens, ropes[0])
    torch.testing.assert_close(record.output, block.attn(tokens, **rope))
    channels = backbone.embed_dim // backbone.num_heads
    shape = (2, backbone.num_heads, tokens.shape[1], channels)
    assert record.query.shape == record.key.shape == shape
