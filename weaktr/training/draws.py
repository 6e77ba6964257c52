"""Single draws from torch's global generator, which a sample's seed sets."""

import torch


def uniform(low: float, high: float) -> float:
    """A number from [low, high)."""
    return torch.empty(()).uniform_(low, high).item()


def coin() -> bool:
    """True in one half of all cases."""
    return bool(torch.rand(()) < 0.5)
