"""A segmenter that needs no training: it finds the brightest colour."""

import numpy as np
import torch
from torch import Tensor, nn

from weaktr.config.evaluation import EvaluationParams
from weaktr.models.segmenter import Segmenter

CLASSES = ("red", "green", "blue")
PARAMS = EvaluationParams(window=32, stride=20)


class ColourModel(Segmenter):
    """Finds the brightest colour; dark pixels are background."""

    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    num_labels, patch_size = 4, 1

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.anchor = nn.Parameter(torch.zeros(1))  # it tells which device the model is on

    def masks(self, x: Tensor, *, with_early: bool = False) -> Tensor:
        assert not with_early
        background = torch.full_like(x[:, :1], -1.0)
        return 4 * torch.cat((background, x), dim=1)


MODEL = ColourModel().eval()


def striped(width: int, height: int, colours: str) -> np.ndarray:
    """Vertical stripes: k black, r, g, b."""
    values = {"k": (0, 0, 0), "r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255)}
    image = np.zeros((height, width, 3), np.uint8)
    for i, name in enumerate(colours):
        image[:, i * width // len(colours) : (i + 1) * width // len(colours)] = values[name]
    return image
