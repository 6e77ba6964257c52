"""How to train, whatever the network."""

from dataclasses import dataclass

from weaktr.config.values import Precision


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train, whatever the network.

    Args:
        epochs: Passes over the data set.
        batch_size: Samples per forward pass, of all processes together.
        accumulate: Forward passes per optimiser step; their mean loss is minimised.
        seed: The run's seed.
        precision: As `weaktr.precision.choose_precision` gives it: never `auto`.
        compile: Whether to use `torch.compile`.
        workers: Loader processes, none of which changes a result; 0 loads in this one.
    """

    epochs: int
    batch_size: int
    accumulate: int = 1
    seed: int = 0
    precision: Precision = "float32"
    compile: bool = False
    workers: int = 0
