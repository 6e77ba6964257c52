"""Random CAMs for the tests of labels and of the sweep."""

import torch
from torch import Tensor


def random_image(seed: int, count: int) -> tuple[Tensor, list[int], Tensor]:
    """CAMs on a coarse grid of values, so that exact ties are common, and a mask with void."""
    generator = torch.Generator().manual_seed(seed)
    cams = torch.randint(0, 101, (count, 60, 70), generator=generator) / 100
    classes = torch.randperm(6, generator=generator)[:count].tolist()
    truth = torch.randint(0, 8, (60, 70), generator=generator).to(torch.uint8)
    return cams, classes, torch.where(truth == 7, torch.tensor(255, dtype=torch.uint8), truth)
