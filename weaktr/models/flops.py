"""FLOPs of the two networks from their shapes, for estimates: nothing is computed.

A multiplication and an addition are two. Counted are products: linear layers, attention, patch
embedding, convolution; not norms, activations, biases and resizing. Tests hold the sums against
torch's `FlopCounterMode`.
"""

from torch import nn

from weaktr.models.backbone import Backbone
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.segmenter import Segmenter

BACKWARD = 2
"""A backward pass costs as much as so many forward passes."""


def cam_training_flops(network: CAMNetwork, size: tuple[int, int]) -> int:
    """Forward and backward pass of one image; its attention's sums are made once, in the forward.

    Args:
        network: On any device.
        size: Height and width of the input in pixels.
    """
    patches, tokens = _tokens(network.backbone, size)
    rows = network.layout.classes + patches
    sums = 2 * rows * tokens * network.backbone.embed_dim * len(network.backbone.blocks)
    return (1 + BACKWARD) * _cam_flops(network, size) + sums


def cam_flops(network: CAMNetwork, size: tuple[int, int]) -> int:
    """The fine CAM of one image: forward pass, class rows, affinity; arguments as above."""
    patches, tokens = _tokens(network.backbone, size)
    width, layers = network.backbone.embed_dim, len(network.backbone.blocks)
    rows = 2 * network.layout.classes * tokens * width
    affinity = 4 * patches * tokens * width
    return _cam_flops(network, size) + layers * (rows + affinity)


def segmenter_training_flops(network: Segmenter, size: tuple[int, int]) -> int:
    """Forward and backward pass of one image; arguments as for `cam_training_flops`."""
    return (1 + BACKWARD) * segmenter_flops(network, size)


def segmenter_flops(network: Segmenter, size: tuple[int, int]) -> int:
    """Forward pass of one image, final masks only; arguments as for `cam_training_flops`."""
    patches, _ = _tokens(network.encoder, size)
    decoder = network.decoder
    classes, width = decoder.class_embedding.shape[1:]
    blocks = _blocks_flops(decoder.blocks, patches + classes, width)
    projections = patches * width * (decoder.input_projection.in_features + width)
    projections += classes * width * width
    masks = patches * classes * width
    return _backbone_flops(network.encoder, size) + blocks + 2 * (projections + masks)


def _cam_flops(network: CAMNetwork, size: tuple[int, int]) -> int:
    """Backbone and conv head."""
    patches, _ = _tokens(network.backbone, size)
    return _backbone_flops(network.backbone, size) + 2 * patches * network.head.weight.numel()


def _backbone_flops(backbone: Backbone, size: tuple[int, int]) -> int:
    patches, tokens = _tokens(backbone, size)
    embedding = 2 * patches * backbone.patch_embed.proj.weight.numel()
    return embedding + _blocks_flops(backbone.blocks, tokens, backbone.embed_dim)


def _blocks_flops(blocks: nn.Module, tokens: int, width: int) -> int:
    """Linear layers of all blocks on all tokens; queries by keys, and attention by values."""
    linear = sum(m.weight.numel() for m in blocks.modules() if isinstance(m, nn.Linear))
    count = sum(1 for _ in blocks.children())
    return 2 * tokens * linear + count * 4 * tokens * tokens * width


def _tokens(backbone: Backbone, size: tuple[int, int]) -> tuple[int, int]:
    """Patches of an input, and all tokens."""
    height, width = (side // backbone.patch_size for side in size)
    return height * width, height * width + backbone.num_prefix_tokens
