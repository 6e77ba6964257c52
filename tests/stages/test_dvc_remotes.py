"""Data in a remote behind a real S3 API, by real `dvc`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dvc_repository import Repository
from tests.tiny import contents

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with the project's code and tiny params."""
    return Repository(tmp_path / "repository")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an S3 server on this machine, with the bucket `store`."""
    pytest.importorskip("dvc_s3", reason="needs the extra s3: pip install 'weaktr[s3]'")
    server = pytest.importorskip("moto.server", reason="needs pip install 'moto[server]'")
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="store")
    yield f"http://{host}:{port}"
    running.stop()


def test_a_clone_that_pulled_from_s3_reruns_nothing(
    repository: Repository, s3: str, tmp_path: Path
) -> None:
    """With the first stage; `test_dvc_travels` does all of it with a folder for a remote."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        repository.environment[name] = os.environ[name]
    repository.call("dvc", "repro", "prepare")
    repository.call("dvc", "remote", "add", "--default", "s3", "s3://store/weaktr")
    repository.call("dvc", "remote", "modify", "s3", "endpointurl", s3)
    repository.commit()
    assert "pushed" in repository.call("dvc", "push")
    clone = repository.clone(tmp_path / "clone")
    assert "fetched" in clone.call("dvc", "pull", "prepare")
    assert "Running stage" not in clone.call("dvc", "repro", "prepare")
    pulled, pushed = (contents(str(one.folder / "data/prepared")) for one in (clone, repository))
    assert list(pulled.values()) == list(pushed.values())
