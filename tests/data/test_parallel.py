import signal
import subprocess
import sys

import psutil
import pytest

from weaktr.data.parallel import parallel_map


@pytest.mark.parametrize("workers", [1, None])
def test_results_come_in_the_order_of_the_items(workers: int | None) -> None:
    assert list(parallel_map(abs, range(-3, 3), "counting", workers=workers)) == [3, 2, 1, 0, 1, 2]


CODES = {
    "parallel_map": "import time\nfrom weaktr.data.parallel import parallel_map\n"
    "for _ in parallel_map(time.sleep, [0.01] * 100000, 'x', workers=2): print(flush=True)",
    "the demo's": "import sys, tempfile\nfrom pathlib import Path\n"
    "from weaktr.config.dataset import ShapesParams\n"
    "from weaktr.data.demo.dataset import write_shapes\nprint(flush=True)\n"
    "write_shapes(Path(sys.argv[1]), ShapesParams(train_images=100000))",
}


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_pool_outlives_the_process_that_was_killed(
    tmp_path_factory: pytest.TempPathFactory, code: str, number: signal.Signals
) -> None:
    folder = tmp_path_factory.mktemp("killed") / "shapes"
    command = [
        sys.executable,
        "-c",
        "if __name__ == '__main__':\n  " + CODES[code].replace("\n", "\n  "),
    ]
    with subprocess.Popen([*command, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        parent = psutil.Process(process.pid)
        while not (children := parent.children(recursive=True)) or len(children) < 2:
            assert process.poll() is None
        process.send_signal(number)
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive
