"""`weaktr ui`: MLflow's page, opened where the results are."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Annotated

import typer

from weaktr.errors import UserError

PATIENCE = 60
"""Seconds that the server may take to start."""


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    experiment: Annotated[
        str, typer.Option(help="MLflow experiment: runtime.experiment.")
    ] = "weaktr",
) -> None:
    """Serve the MLflow page and print the address of the results.

    The address opens the table of results with the metrics of every step and the params in which
    they differ, best first. Stop with Ctrl-C.

    \b
    weaktr ui
    weaktr ui --port 5001
    """
    from weaktr.experiments.shared_view import address
    from weaktr.experiments.store import existing_store, shown, tracking_uri

    client = existing_store("weaktr ui")
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise UserError(
            f"the store has no experiment {experiment!r}; run `dvc repro`, or name another with "
            "--experiment."
        )
    place = address(found.experiment_id)
    if tracking_uri().startswith("http"):
        typer.echo(f"{shown(tracking_uri()).rstrip('/')}/{place}")
        return
    server = f"http://127.0.0.1:{port}"
    _refuse_taken(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", tracking_uri()]
    # Jobs are for evaluating language models; without them the page is up in a quarter of the time.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        _wait_for(process, server)
        typer.echo(f"{server}/{place}\n\nStop with Ctrl-C.")
        process.communicate()
    except KeyboardInterrupt:
        typer.echo("")
    finally:
        process.terminate()
        process.wait()


def _refuse_taken(port: int) -> None:
    import socket

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UserError(f"port {port} is taken; choose another with --port.")


def _wait_for(process: "subprocess.Popen[str]", server: str) -> None:
    """Waits until the server answers."""
    for _ in range(4 * PATIENCE):
        if process.poll() is not None:
            assert process.stderr is not None
            reason = " ".join(process.stderr.read().split())[-300:]
            raise UserError(f"MLflow's server did not start: {reason}")
        try:
            urllib.request.urlopen(f"{server}/health", timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
        else:
            return
    raise UserError(f"MLflow's server did not answer at {server} within {PATIENCE} s.")
