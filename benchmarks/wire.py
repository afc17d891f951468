"""What it costs to judge a big csv while it streams to disk: ours beside bare `requests`.

The same made-up csv is sent to both, over TLS as a REDCap is asked, and over plain HTTP. Each run
is a process of its own, the two kinds take turns, and the medians are compared. From the
repository: `python -m benchmarks.wire`. It needs `openssl`.
"""

import argparse
import json
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import requests

from redcap_dagster.api import RedcapClient

TOKEN = "0123456789ABCDEF0123456789ABCDEF"  # noqa: S105 - nobody's
_PIECE_BYTES = 256 * 1024
_MEBIBYTE = 1024 * 1024
_KINDS = ("requests", "redcap_dagster")


def main() -> None:
    """Run the comparison and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=130)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(*options.one)))  # noqa: T201 - read by the parent
        return
    with tempfile.TemporaryDirectory() as folder:
        certificate = _make_certificate(Path(folder))
        for scheme in ("https", "http"):
            for is_chunked in (False, True):
                _compare(options, _Server(scheme, certificate, is_chunked))


@dataclass(frozen=True)
class _Server:
    """How the csv is sent: its length announced, or in chunks of HTTP."""

    scheme: str
    certificate: Path
    is_chunked: bool


def _compare(options: argparse.Namespace, server: _Server) -> None:
    figures: dict[str, list[dict[str, float]]] = {kind: [] for kind in _KINDS}
    with _serve(options.megabytes * 1_000_000, server) as url:
        for _ in range(options.runs):
            for kind in _KINDS:
                figures[kind].append(_run(kind, url, server.certificate))
    how = "in chunks" if server.is_chunked else "its length announced"
    print(f"{options.megabytes} MB of csv over {server.scheme}, {how}:\n")  # noqa: T201
    print("| | CPU s | wall s | memory added, MiB |\n|---|---|---|---|")  # noqa: T201
    medians = {
        kind: {name: statistics.median(run[name] for run in taken) for name in taken[0]}
        for kind, taken in figures.items()
    }
    for kind, median in medians.items():
        cells = f"{median['cpu_s']:.3f} | {median['wall_s']:.3f} | {median['added_mib']:.1f}"
        print(f"| {kind} | {cells} |")  # noqa: T201
    ratio = medians["redcap_dagster"]["cpu_s"] / medians["requests"]["cpu_s"]
    print(f"\nCPU, ours to `requests`: {ratio:.2f}\n")  # noqa: T201


def _run(kind: str, url: str, certificate: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.wire", "--one", kind, url, str(certificate)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


def _measure(kind: str, url: str, certificate: str) -> dict[str, float]:
    """Seconds and memory of one download; what imports cost is left out."""
    before_mib = _resident_mib()
    started = time.perf_counter()
    cpu_started = time.process_time()
    with tempfile.TemporaryFile() as file:
        if kind == "requests":
            _download_bare(url, certificate, file)
        else:
            with RedcapClient(url, TOKEN, ca_bundle=certificate) as redcap:
                redcap.stream_records_csv(file)
    return {
        "cpu_s": time.process_time() - cpu_started,
        "wall_s": time.perf_counter() - started,
        "added_mib": _peak_mib() - before_mib,
    }


def _download_bare(url: str, certificate: str, file: IO[bytes]) -> None:
    fields = {"token": TOKEN, "content": "record", "format": "csv"}
    with requests.post(url, fields, stream=True, timeout=60, verify=certificate) as response:
        response.raise_for_status()
        for piece in response.iter_content(_PIECE_BYTES):
            file.write(piece)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE


def _peak_mib() -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def _make_certificate(folder: Path) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        sys.exit("openssl, which makes the server's certificate, is not installed.")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} "
        f"-out {certificate} -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([openssl, *command.split()], check=True, capture_output=True)  # noqa: S603
    return certificate


@contextmanager
def _serve(size: int, server: _Server) -> Iterator[str]:
    """A server that answers every POST with the same csv."""
    line = b'1001,event_1_arm_1,"a note, with ""quotes""",2024-01-31,7.25,,1,0,0,2\n'
    body = b"record_id,redcap_event_name,note,seen,weight,gap,a___1,a___2,a___3,done\n"
    body += line * ((size - len(body)) // len(line))
    head = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
    if server.is_chunked:
        head += "Transfer-Encoding: chunked\r\n\r\n"
        body = b"".join(
            b"%x\r\n%s\r\n" % (len(piece), piece)
            for piece in (body[at : at + 8192] for at in range(0, len(body), 8192))
        )
        body += b"0\r\n\r\n"
    else:
        head += f"Content-Length: {len(body)}\r\n\r\n"
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.certificate.with_name("key.pem"))

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: the comparison is over
            if server.scheme == "https":
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                _read_request(connection)
                connection.sendall(head.encode())
                connection.sendall(body)

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield f"{server.scheme}://127.0.0.1:{listener.getsockname()[1]}/api/"
    finally:
        listener.close()


def _read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)


if __name__ == "__main__":
    main()
