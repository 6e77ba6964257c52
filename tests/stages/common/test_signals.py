"""A stage whose starter is gone: it stops, and where it cannot, it is ended."""

import subprocess
import sys

from tests.conftest import REPOSITORY

CODE = """
import signal, subprocess, sys, time
import psutil
from stages.common import signals
from weaktr.stopping import Stop

signals.LONGEST = 0.2
starter = subprocess.Popen([sys.executable, "-c", ""])
process = psutil.Process(starter.pid)
starter.wait()
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
stop = Stop()
with signals.stopped_by_signals(stop), signals.stopped_with(process, "dvc", stop, every=0.05):
    time.sleep(20)
"""


def ended(how: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, how],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stderr


def test_it_stops_as_by_sigterm() -> None:
    code, said = ended("hears")
    assert code == 143
    assert said.count("is gone; stopping.") == 1


def test_one_that_hears_no_signal_is_ended() -> None:
    """As one that waits for another process of a group inside of torch."""
    assert ended("deaf")[0] == 143
