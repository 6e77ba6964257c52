"""The MLflow store: where it lies, and what becomes of one that cannot be used."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.mlflow_store import client
from weaktr.errors import UserError
from weaktr.experiments.store import project_root, sqlite_file, tracking_uri
from weaktr.experiments.tracking import start_run


def test_the_default_store_is_the_main_repositorys(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queued experiment works in a copy of the repository; DVC_ROOT names the real one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert project_root() == store
    assert tracking_uri() == f"sqlite:///{store / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert tracking_uri() == "http://127.0.0.1:9"


def test_a_store_that_cannot_be_used_is_one_sentence(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "not-a-database.db").write_text("x" * 5000)
    uri = f"sqlite:///{store / 'not-a-database.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match="cannot be used .*MLFLOW_TRACKING_URI") as caught:
        with start_run("e", "x", {}):
            pass
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_two_processes_may_make_a_store_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own migrations break each other."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    code = "from weaktr.experiments.tracking import start_run\nwith start_run('e', 'x', {}): pass"
    commands = [[sys.executable, "-c", code]] * 2
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    errors = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    (experiment,) = client(tmp_path).search_experiments(filter_string="name = 'e'")
    assert len(client(tmp_path).search_runs([experiment.experiment_id])) == 2


@pytest.mark.parametrize("name", ["a b#c", "50%25 ä?x"])
def test_the_store_lies_in_a_folder_of_any_name(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / name))
    (tmp_path / name).mkdir()
    database = Path(shutil.copy(empty_store, tmp_path / name / "mlflow.db"))
    before = database.read_bytes()
    with start_run("e", "x", {}):
        pass
    assert database.read_bytes() != before
    assert sqlite_file(tracking_uri()) == database


def test_a_deleted_experiment_is_named(store: Path) -> None:
    with start_run("e", "x", {}) as run:
        pass
    client(store).delete_experiment(run.experiment_id)
    with pytest.raises(UserError, match=f"'e' was deleted.* --experiment-id {run.experiment_id}`"):
        with start_run("e", "x", {}):
            pass


@pytest.fixture
def failing_server() -> Iterator[HTTPServer]:
    """A server that can do nothing, and counts in `asked`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked += 1  # type: ignore[attr-defined]
            self.send_error(503)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = 0  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_server_that_fails_is_not_asked_for_minutes(
    failing_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{failing_server.server_port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with pytest.raises(UserError, match="cannot be used"):
        with start_run("e", "x", {}):
            pass
    assert failing_server.asked == 3  # type: ignore[attr-defined]
