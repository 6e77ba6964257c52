"""A tracking server that goes away under a run: nothing stops, hangs, or is lost in silence."""

import time
from collections.abc import Iterator

import pytest

from tests.mlflow_server import StandIn, mlflow_server
from weaktr.errors import UserError
from weaktr.experiments import tracking
from weaktr.experiments.store import reason_of, shown, tracking_uri
from weaktr.experiments.tracking import start_run

PASSWORD = "s3cret/w%40rd"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with mlflow_server() as server:
        uri = f"http://me:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hang", "fail", "gone"])
def test_it_is_waited_for_once_and_what_it_lacks_is_named(
    server: StandIn, mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with start_run("e", "x", {}) as run:
        run.log_metrics({"loss": 9.0}, 0)
        server.mode = mode
        if mode == "gone":
            server.shutdown()
            server.socket.close()
        begun = time.monotonic()
        for epoch in range(1, 50):
            run.log_metrics({"loss": 1.0}, epoch)
        waited = time.monotonic() - begun
        begun = time.monotonic()
    assert waited < 5
    assert time.monotonic() - begun < 10
    assert server.metrics() == [9.0]
    out, err = capfd.readouterr()
    first, last = err.splitlines()
    assert first.startswith("Warning: the MLflow store at http://***@127.0.0.1")
    assert "is incomplete, it lacks: metrics, its end (" in last
    assert not out
    assert "s3cret" not in err


def test_what_it_missed_is_sent_when_it_is_back(
    server: StandIn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "AGAIN", 0)
    with start_run("e", "x", {}) as run:
        server.mode = "fail"
        run.log_metrics({"loss": 3.0}, 1)
        run.log_metrics({"loss": 2.0}, 2)
        server.mode = "sound"
        run.log_metrics({"loss": 1.0}, 3)
        assert server.metrics() == [3.0, 2.0, 1.0]
    assert server.last_status() == "FINISHED"
    out, err = capfd.readouterr()
    assert len(err.splitlines()) == 1
    assert "s3cret" not in out + err


def test_one_that_is_away_from_the_beginning_is_one_sentence(server: StandIn) -> None:
    server.mode = "fail"
    with pytest.raises(
        UserError, match=r"http://\*\*\*@127.0.0.1.* cannot be used .*start it"
    ) as caught:
        with start_run("e", "x", {}):
            pass
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("http://me:s3cret@host", "API request to http://me:s3cret@host/api failed"),
        ("postgresql://me:s3%2Fcret@host/db", "password s3/cret is wrong for me"),
        ("http://me:s3/cret@host", "Failed to parse: http://me:s3/cret@host/api"),
        ("postgresql://host/db?user=me&password=s3cret", "no postgresql://host/db?password=s3cret"),
        ("sqlite:////a.db", "tried http://me:s3cret@proxy:80"),
        ("http://host", "Authorization: Basic s3cret"),
    ],
)
def test_no_reason_holds_a_secret(monkeypatch: pytest.MonkeyPatch, uri: str, error: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret")
    reason = reason_of(ValueError(error))
    assert "***" in reason
    assert "cret" not in reason + shown(uri)


def test_a_relative_store_lies_in_the_main_repository(
    store: "object", monkeypatch: pytest.MonkeyPatch
) -> None:
    """An experiment's copy of the repository is removed, and the store with it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    assert tracking_uri() == f"sqlite:///{store}/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////tmp/runs.db")
    assert tracking_uri() == "sqlite:////tmp/runs.db"
