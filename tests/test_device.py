import os

import pytest

from weaktr.device import choose_device, set_threads
from weaktr.errors import UserError


def test_devices_that_are_not_there_are_refused() -> None:
    assert choose_device("cpu", given_as="--device") == "cpu"
    assert choose_device("auto", given_as="--device") in ("cpu", "cuda")
    for name in ("cuda:99", "quantum", "", "meta", "hpu"):
        with pytest.raises(UserError, match="^--device: .* is not available"):
            choose_device(name, given_as="--device")


@pytest.mark.parametrize(("text", "threads"), [("1,4", 1), ("", None), ("all", None), ("0", None)])
def test_any_omp_num_threads_goes(
    monkeypatch: pytest.MonkeyPatch, text: str, threads: int | None
) -> None:
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    set_threads(0)
    chosen = torch.get_num_threads()
    torch.set_num_threads(before)
    assert chosen == (threads or len(os.sched_getaffinity(0)))


def test_threads_can_be_set() -> None:
    import torch

    before = torch.get_num_threads()
    set_threads(1)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
