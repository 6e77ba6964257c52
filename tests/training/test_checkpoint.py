from pathlib import Path

import pytest
from torch import nn

from tests.training.noise import checkpoint_in, network, run, same
from weaktr.errors import UserError


def test_a_checkpoint_of_other_settings_is_not_picked_up(tmp_path: Path) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path, "old"), stop_after=2)
    fresh, other = network(), network()
    run(fresh)
    run(other, checkpoint=checkpoint_in(tmp_path, "new"))
    assert same(fresh, other)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, share: float) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path), stop_after=3)
    path = checkpoint_in(tmp_path).path
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="cannot be resumed from; remove it to start afresh"):
        run(network(), checkpoint=checkpoint_in(tmp_path))


def test_a_checkpoint_of_another_network_is_one_sentence(tmp_path: Path) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path), stop_after=3)
    with pytest.raises(UserError, match="cannot be resumed from.*weight"):
        run(nn.Linear(8, 1), checkpoint=checkpoint_in(tmp_path))
