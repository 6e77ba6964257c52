import os
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from weaktr.device import (
    choose_device,
    count_processes,
    count_workers,
    own_device,
    set_threads,
    threads_of_process,
)
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


def test_processes_are_counted_by_gpus_or_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert [count_processes(n, "cuda") for n in ("auto", 1, 3)] == [4, 1, 3]
    assert [count_processes(n, "cpu") for n in ("auto", 1, 3)] == [1, 1, 3]
    assert count_processes("auto", "cuda:1") == 1
    with pytest.raises(UserError, match="^runtime.devices: 5 GPUs are wanted and 4 can be seen;"):
        count_processes(5, "cuda")
    with pytest.raises(UserError, match="^runtime.devices: 2 processes cannot share"):
        count_processes(2, "cuda:1")
    with pytest.raises(UserError, match=r"^runtime.devices: 99999 processes on \d+ CPU cores"):
        count_processes(99_999, "cpu")


def test_processes_of_a_machine_share_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert [threads_of_process(n) for n in (8, 9, 2)] == [2, 2, 1]
    assert own_device("cpu") == "cpu"


def test_loader_processes_are_counted_by_cores_and_shared_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("weaktr.device._cores", lambda: 16)
    monkeypatch.setattr("weaktr.device.SHARED_MEMORY", tmp_path)
    free = 2**40
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))

    def counted(wanted: Literal["auto"] | int, device: str) -> int:
        return count_workers(wanted, device, batch_bytes=10 * 2**20)

    assert [counted(3, device) for device in ("cpu", "cuda")] == [3, 3]
    assert [counted("auto", device) for device in ("cpu", "mps", "cuda")] == [0, 0, 15]
    free = 2**26  # a container's
    assert counted("auto", "cuda:1") == 1
    free = 2**40
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert counted("auto", "cuda:1") == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "32")
    assert counted("auto", "cuda:1") == 0
