"""What becomes of connections that fail, and what a request carries."""

import errno
import gzip
import io
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api import RedcapClient, RetryPolicy
from redcap_dagster.api.transport import encode_form
from redcap_dagster.errors import AnswerError, ConfigError, TransportError
from tests.api.conftest import read_request

TOKEN = "0123456789ABCDEF0123456789ABCDEF"
ROWS = "record_id,name\n1,Sentinel-Smith\n"


def _fails(client: RedcapClient) -> TransportError:
    file = io.BytesIO()
    with pytest.raises(TransportError) as caught:
        client.stream_records_csv(file)
    assert file.getvalue() == b""
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_port_where_nothing_listens_is_refused_and_retried(make_client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = _fails(make_client(api_url=f"http://127.0.0.1:{port}/api/"))

    assert (error.reason, error.attempts, error.retryable) == ("connection_refused", 3, True)
    assert str(error) == (
        "REDCap record: nothing listens at this host and port. Is the server running, and is the "
        "API URL right? Sent 3 times."
    )


@pytest.mark.parametrize("partly", [b"", b"HTT"])
def test_a_connection_dropped_before_an_answer_is_lost_and_retried(
    partly: bytes, client: RedcapClient, server: Any
) -> None:
    server.answers(partly or b"<reset>")

    error = _fails(client)

    assert (error.reason, error.attempts) == ("connection_lost", 3)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"<html>Sentinel-Smith</html>\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Flood: Sentinel-Smith\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Flood: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_not_told_as_a_lost_connection(
    answer: bytes, client: RedcapClient, server: Any
) -> None:
    server.answers(answer)

    error = _fails(client)

    assert (error.reason, error.attempts) == ("transport", 3)
    assert "is no HTTP answer" in str(error)
    assert "Sentinel" not in str(error)


def test_the_answer_after_an_interim_one_is_not_taken_for_the_next(make_client: Any) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    late, right = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body for body in (b"15", b"77")
    )

    def serve() -> None:
        for answers in ((interim, late), (right,)):
            connection, _ = listener.accept()
            # Of the first connection the client has left, as it should.
            with connection, suppress(ConnectionError):
                for answer in answers:
                    read_request(connection, connection.recv(65536))
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        client = make_client(api_url=url, retries=0)
        with pytest.raises(AnswerError, match="HTTP 103 came"):
            client.export_version()

        assert client.generate_next_record_name() == "77"


def test_an_answer_cut_within_its_headers_is_not_taken_for_an_empty_one(
    client: RedcapClient, server: Any
) -> None:
    server.answers(b"HTTP/1.1 200 OK\r\nContent-Le")

    with pytest.raises(AnswerError) as caught:
        client.export_records_csv()

    assert (caught.value.reason, caught.value.attempts) == ("empty", 3)


def test_a_chunked_body_that_stops_is_not_taken_for_whole(
    client: RedcapClient, server: Any
) -> None:
    head = server.http(b"", length=None, Transfer_Encoding="chunked")
    server.answers(head + b"1f\r\nrecord_id,name\n1,Sentinel-Smith\r\n")

    error = _fails(client)

    assert (error.reason, error.attempts) == ("connection_lost", 3)


PACKED = gzip.compress(b"%PDF-1.3\n" + bytes(range(256)) * 4000, 6, mtime=0)


@pytest.mark.parametrize("length", [-1, None])
@pytest.mark.parametrize("lost_bytes", [1, 8, 9, 2000])
def test_a_compressed_body_that_ends_early_is_not_taken_for_whole(
    lost_bytes: int, length: int | None, client: RedcapClient, server: Any
) -> None:
    server.answers(server.http(PACKED[:-lost_bytes], length=length, Content_Encoding="gzip"))

    with pytest.raises(AnswerError) as caught:
        client.export_pdf()

    assert (caught.value.reason, caught.value.attempts) == ("unreadable", 3)


@pytest.mark.parametrize("behind", [b"", b"\0\0", b"\x1f", gzip.compress(b"more", mtime=0)])
def test_a_compressed_body_comes_whole(behind: bytes, client: RedcapClient, server: Any) -> None:
    whole = gzip.decompress(PACKED) + (b"more" if len(behind) > 2 else b"")
    server.answers(server.http(PACKED + behind, Content_Encoding="gzip"))

    assert client.export_pdf().content == whole
    assert "accept-encoding: gzip\r\n" in server.heads[0].lower()


def test_no_bytes_are_no_compressed_body(client: RedcapClient, server: Any) -> None:
    server.answers(server.http(b"", Content_Encoding="gzip"))

    client.delete_file("1", "scan")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nrecord_id"])
def test_silence_before_or_within_the_body_is_a_read_timeout(
    sent: bytes, make_client: Any, server: Any
) -> None:
    server.answers(sent + b"<stall>")

    error = _fails(make_client(read_timeout_s=0.05))

    assert (error.reason, error.attempts) == ("read_timeout", 3)


def test_a_name_that_does_not_resolve_says_so(
    make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")

    error = _fails(make_client(api_url="https://redcap.example.org/api/"))

    assert (error.reason, error.attempts) == ("name_not_resolved", 3)


def test_a_server_that_takes_no_connection_in_time_is_a_connect_timeout(
    make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", silent)

    error = _fails(make_client())

    assert (error.reason, error.attempts) == ("connect_timeout", 3)


def test_a_server_without_tls_behind_https_is_not_retried(make_client: Any, server: Any) -> None:
    error = _fails(make_client(api_url=server.url.replace("http://", "https://")))

    assert (error.reason, error.attempts, error.retryable) == ("tls", 1, False)
    assert "speaks no TLS" in str(error)
    assert "certificate" not in str(error)


def test_a_server_that_goes_away_while_tls_begins_is_tried_again(make_client: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.close()

    threading.Thread(target=hang_up, daemon=True).start()
    error = _fails(make_client(api_url=f"https://127.0.0.1:{listener.getsockname()[1]}/api/"))
    listener.close()

    assert (error.reason, error.attempts, error.retryable) == ("connection_lost", 3, True)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate of this test, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} "
        f"-out {certificate} -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    (tmp_path / "both.pem").write_text(key.read_text() + certificate.read_text())
    return tmp_path


NO_TLS_RECORD = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"


@pytest.fixture(params=["15.0.0"])
def tls_url(certificate: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A server with that certificate: of one version number, or whose TLS breaks afterwards."""
    broken = {"before the answer": b"", "within the answer": b"HTTP/1.1 200 OK\r\n\r\n15"}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "both.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # the listener was closed: the test is over
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    read_request(secure, b"")
                    if request.param in broken:
                        secure.sendall(broken[request.param])
                        os.write(secure.fileno(), NO_TLS_RECORD)  # past the TLS
                        continue
                    secure.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n15.0.0"
                    )
            except (ssl.SSLError, ConnectionError):
                connection.close()  # the client did not trust us

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}/api/"
    listener.close()


def test_a_certificate_nobody_signed_is_refused_and_not_retried(
    make_client: Any, tls_url: str
) -> None:
    error = _fails(make_client(api_url=tls_url))

    assert (error.reason, error.attempts) == ("tls", 1)
    assert "ca_bundle" in str(error)


@pytest.mark.parametrize("tls_url", ["before the answer", "within the answer"], indirect=True)
def test_tls_that_breaks_after_the_request_leaves_doubt_of_a_change(
    make_client: Any, tls_url: str, certificate: Path
) -> None:
    client = make_client(api_url=tls_url, ca_bundle=certificate / "certificate.pem")

    error = _fails(client)
    assert (error.reason, error.attempts, error.retryable) == ("connection_lost", 3, True)
    with pytest.raises(TransportError, match="look before sending it again") as caught:
        client.import_records([{"record_id": "1"}])
    assert (caught.value.reason, caught.value.attempts, caught.value.retryable) == (
        "connection_lost",
        1,
        False,
    )


def test_a_certificate_in_the_bundle_is_trusted(
    make_client: Any, tls_url: str, certificate: Path
) -> None:
    client = make_client(api_url=tls_url, ca_bundle=certificate / "certificate.pem")

    assert client.export_version() == "15.0.0"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_goes_off_by_saying_so(
    make_client: Any, tls_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs")

    assert make_client(api_url=tls_url, verify_tls=False).export_version() == "15.0.0"


def test_a_bundle_that_cannot_be_used_is_refused_before_anything_is_sent(
    make_client: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        make_client(ca_bundle=tmp_path / "absent.pem")
    with pytest.raises(ConfigError, match="verify_tls"):
        make_client(ca_bundle=tmp_path, verify_tls=False)
    (tmp_path / "binary.cer").write_bytes(b"\x30\x82\x03\x00")
    with pytest.raises(ConfigError, match="holds no certificates as text"):
        make_client(ca_bundle=tmp_path / "binary.cer")


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_bundle_does_not_turn_verification_off(blank: str, make_client: Any) -> None:
    with pytest.raises(ConfigError, match="`ca_bundle` is blank"):
        make_client(ca_bundle=blank)


def test_nothing_for_this_machine_goes_through_a_proxy_or_takes_a_netrc_password(
    client: RedcapClient, server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.answers(server.http("15.0.0"))

    assert client.export_version() == "15.0.0"
    assert "authorization" not in server.heads[0].lower()
    assert "user-agent: redcap-dagster/" in server.heads[0].lower()


def test_a_session_cookie_is_not_sent_back(client: RedcapClient, server: Any) -> None:
    server.answers(server.http("15.0.0", Set_Cookie="PHPSESSID=1; path=/"))

    client.export_version()
    client.export_version()

    assert "cookie" not in server.heads[1].lower()


def test_a_file_that_cannot_be_written_keeps_its_own_error_and_what_it_held(
    client: RedcapClient, server: Any
) -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: Any) -> int:
            super().write(data)
            raise OSError(errno.ENOSPC, "No space left on device")

    server.answers(server.http(ROWS))
    file = FullDisk()

    with pytest.raises(OSError, match="No space left"):
        client.stream_records_csv(file)

    assert file.getvalue() == b""


def test_the_log_names_the_reason_and_nothing_else(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(server.http("x", 502), server.http(ROWS))
    policy = RetryPolicy(retries=1, sleep=lambda _: None)

    with caplog.at_level(logging.DEBUG), RedcapClient(server.url, TOKEN, retries=policy) as client:
        client.export_records_csv(records=["Sentinel-Smith"])

    ours = [record.getMessage() for record in caplog.records if "redcap" in record.name]
    assert len(ours) == 1
    assert "failed (server_error); sending it again in " in ours[0]
    assert TOKEN not in caplog.text
    assert "Sentinel-Smith" not in caplog.text


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(fields=st.lists(st.tuples(_TEXT, _TEXT)))
def test_a_form_is_encoded_as_the_standard_library_does(fields: list[tuple[str, str]]) -> None:
    assert encode_form(fields) == urlencode(fields)
