import errno
import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.noise import checkpoint_in, network, run, same
from weaktr.errors import UserError


def test_a_checkpoint_of_other_settings_is_not_picked_up(tmp_path: Path) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path, "old"), killed_in_step=7)
    fresh, other = network(), network()
    run(fresh)
    run(other, checkpoint=checkpoint_in(tmp_path, "new"))
    assert same(fresh, other)


def test_the_last_two_are_kept_and_said_when_they_serve(tmp_path: Path) -> None:
    run(network(), checkpoint=checkpoint_in(tmp_path), killed_in_step=7)
    names = [path.name[:20] for path in checkpoint_in(tmp_path).files()]
    assert names == ["t-f-e00002-s00000001", "t-f-e00001-s00000003"]
    assert len(list(tmp_path.iterdir())) == 2
    said: list[str] = []
    run(network(), checkpoint=checkpoint_in(tmp_path, said=said))
    assert said == ["t goes on after epoch 2 of 5 and step 1 of 3"]


@pytest.mark.parametrize("damage", ["a flipped bit", "cut", "empty"])
def test_a_damaged_one_is_passed_over_and_the_one_before_serves(
    tmp_path: Path, damage: str
) -> None:
    whole = network()
    run(whole)
    run(network(), checkpoint=checkpoint_in(tmp_path), killed_in_step=7)
    newest = checkpoint_in(tmp_path).files()[0]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    cut = {"a flipped bit": len(content), "cut": len(content) // 2, "empty": 0}[damage]
    newest.write_bytes(content[:cut])
    said: list[str] = []
    resumed = network()
    run(resumed, checkpoint=checkpoint_in(tmp_path, said=said))
    assert same(resumed, whole)
    assert said[0].startswith(f"Warning: the checkpoint {newest} is passed over: it is damaged")
    assert said[1] == "t goes on after epoch 1 of 5 and step 3 of 3"


def test_damaged_ones_do_not_push_out_those_that_are_written_after_them(tmp_path: Path) -> None:
    """They are of later steps, and would stay while the training is behind them."""
    whole, resumed = network(), network()
    run(whole)
    run(network(), checkpoint=checkpoint_in(tmp_path), killed_in_step=7)
    damaged = checkpoint_in(tmp_path).files()
    for path in damaged:
        path.write_bytes(b"")
    run(network(), checkpoint=checkpoint_in(tmp_path), killed_in_step=2)
    assert not any(path.exists() for path in damaged)
    said: list[str] = []
    run(resumed, checkpoint=checkpoint_in(tmp_path, said=said))
    assert said == ["t goes on after epoch 0 of 5 and step 2 of 3"]
    assert same(resumed, whole)


def test_one_of_another_training_under_its_name_is_passed_over(tmp_path: Path) -> None:
    """Sound in itself, so that its digest fits: copied, or of another network."""
    whole = network()
    run(whole)
    run(network(), checkpoint=checkpoint_in(tmp_path, "foreign"), killed_in_step=7)
    for path in tmp_path.iterdir():
        path.rename(tmp_path / path.name.replace("foreign", "f"))
    said: list[str] = []
    model = network()
    run(model, checkpoint=checkpoint_in(tmp_path, said=said))
    assert same(model, whole)
    assert len(said) == 2
    assert all("it was made by another training" in line for line in said)
    said.clear()
    run(nn.Linear(8, 1), checkpoint=checkpoint_in(tmp_path, said=said))
    assert all("it was made by another training" in line for line in said)


def test_a_finished_training_is_there_in_no_time(tmp_path: Path) -> None:
    whole, again = network(), network()
    history = run(whole, checkpoint=checkpoint_in(tmp_path))
    assert run(again, checkpoint=checkpoint_in(tmp_path), killed_in_step=0) == history
    assert same(whole, again)


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file cannot hold checkpoints .*a folder"):
        run(network(), checkpoint=checkpoint_in(tmp_path / "file"), killed_in_step=0)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("zip")])
def test_a_disk_that_fills_up_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    whole, model = network(), network()
    run(whole)
    saves = itertools.count()
    save = torch.save

    def failing(*arguments: object) -> None:
        if next(saves) >= 4:
            raise error
        save(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "save", failing)
    said: list[str] = []
    run(model, checkpoint=checkpoint_in(tmp_path, said=said))
    assert same(model, whole)
    (line,) = said
    assert line.startswith(f"Warning: no checkpoint could be written to {tmp_path} (")
    assert len(list(tmp_path.iterdir())) == 2, "the last that could be written, nothing half"


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = network()
    with torch.no_grad():
        model.get_parameter("3.bias").fill_(float("inf"))
    optimizer = torch.optim.SGD(model.parameters())
    checkpoint = checkpoint_in(tmp_path)
    with pytest.raises(
        UserError, match=r"no finite numbers any more \(3.bias\), and were not saved"
    ):
        checkpoint.save(model, optimizer, checkpoint.resume(model, optimizer))
    assert not list(tmp_path.iterdir())
