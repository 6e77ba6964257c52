"""SIGKILL at any moment, also while a checkpoint is written."""

import multiprocessing
import random
import signal
from pathlib import Path

import pytest
import torch

from tests.training.noise import checkpoint_in, network, run

EPOCHS = 150
MOST = 400


def _train(folder: Path, result: Path) -> None:
    model = network()
    run(model, epochs=EPOCHS, checkpoint=checkpoint_in(folder, said=[]))
    torch.save(model.state_dict(), result)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, result, kills = network(), tmp_path / "result.pt", 0
    run(whole, epochs=EPOCHS)
    context = multiprocessing.get_context("fork")
    moments = random.Random(0)
    while not result.is_file() and kills < MOST:
        process = context.Process(target=_train, args=(tmp_path / "checkpoints", result))
        process.start()
        process.join(moments.uniform(0.02, 0.2))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
    print(f"{kills} kills")
    assert 10 < kills < MOST
    state = torch.load(result, weights_only=True)
    assert all(torch.equal(value, state[name]) for name, value in whole.state_dict().items())
    left = {path.suffix for path in (tmp_path / "checkpoints").iterdir()}
    assert left <= {".pt", ".tmp"}
    assert len(checkpoint_in(tmp_path / "checkpoints").files()) == 2
