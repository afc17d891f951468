"""The client of REDCap's API: one study, one token."""

import hmac
import json
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NoReturn

import pandas as pd
from typing_extensions import Self, Unpack

from redcap_dagster.api.address import origin, parse_api_url
from redcap_dagster.api.api_token import parse_api_token
from redcap_dagster.api.attributes import ProjectAttributes, read_attributes
from redcap_dagster.api.budget import (
    DEFAULT_REQUESTS_PER_MINUTE,
    RequestBudget,
    machine_budget,
)
from redcap_dagster.api.connection_settings import parse_timeout, parse_verify
from redcap_dagster.api.files import Files
from redcap_dagster.api.imports import StudyWrites
from redcap_dagster.api.readers import DictReader, FrameReader, Row, TextReader
from redcap_dagster.api.record_exports import Exports
from redcap_dagster.api.record_writes import RecordWrites
from redcap_dagster.api.records import RecordOptions, record_call
from redcap_dagster.api.retry import RetryPolicy
from redcap_dagster.api.secret import SecretSource, secret_source
from redcap_dagster.api.sender import Sender
from redcap_dagster.api.stats import RequestStats, StatsCounter
from redcap_dagster.api.study import StudyMethods
from redcap_dagster.api.surveys import Surveys
from redcap_dagster.api.transport import Transport
from redcap_dagster.api.version import VERSION_CALL, read_version
from redcap_dagster.errors import ConfigError


class FrameExports(Exports[pd.DataFrame]):
    """The list methods, as pandas frames. Every column is text (`string`), blanks are ""."""

    def __init__(self, sender: Sender, reader: FrameReader | None = None) -> None:
        super().__init__(sender, reader or FrameReader())

    def with_read_csv(self, **options: Any) -> "FrameExports":
        """The same methods, with frames as `pandas.read_csv` makes them with your options.

        Without options it guesses types and makes blanks NaN: `00001` becomes 1.

        Args:
            **options: Keywords of `pandas.read_csv`, such as `index_col="record_id"`.
        """
        return FrameExports(self._sender, FrameReader(options))

    def export_project_info(self) -> pd.DataFrame:
        """The project's settings: one row."""
        return self._list("project", ends_with_newline=True)


class TextExports(Exports[str]):
    """The list methods, as the text REDCap sent in one format."""

    def __init__(self, sender: Sender, reader: TextReader) -> None:
        super().__init__(sender, reader)

    def export_project_info(self) -> str:
        """The project's settings."""
        return self._list("project", ends_with_newline=True)


class RedcapClient(Exports[list[Row]], RecordWrites, StudyWrites, Files, Surveys, StudyMethods):
    """The API of one REDCap project, as the token's user sees it.

    List methods return a list of dicts with REDCap's column names and JSON types; the same methods
    stand behind `frames` (pandas), `csv`, `json` and `xml` (text)::

        with RedcapClient("https://redcap.example.org/api/", token) as redcap:
            redcap.export_arms()           # [{"arm_num": 1, "name": "Drug A"}, …]
            redcap.frames.export_records(forms=["baseline"])

    Safe to use from several threads, which share its connections and its request budget, and after
    a fork, where each process has connections of its own. It does not pickle, as it holds a token.

    Args:
        api_url: Ends in `/api/`; https, or http to this machine.
        api_token: 32 hexadecimal digits, or a super token of 64 characters for `create_project`
            and `export_version`; or where it is to be read from. The environment variable
            REDCAP_API_TOKEN when left out.
        verify_tls: Whether the server's certificate must be valid.
        ca_bundle: File of the certificates to trust instead of the usual ones.
        connect_timeout_s: Seconds to wait for a connection; above 0, and a day at most.
        read_timeout_s: Longest silence of the server, in seconds, before a request counts as
            failed; above 0, and a day at most.
        retries: Further tries of a request that failed in a way that may pass, or a `RetryPolicy`.
        requests_per_minute: At most so many in any 60 seconds, those of every client of this
            server on this machine together. A REDCap server bans at 600.
        share: This machine's part of them, above 0 and at most 1, where several machines ask.
        budget: Takes the place of `requests_per_minute` and `share`.

    Raises:
        ConfigError: The URL, the token or an option cannot work. Nothing was sent.
    """

    api_url = ""  # until one was given that can work

    def __init__(
        self,
        api_url: str,
        api_token: str | SecretSource | None = None,
        *,
        verify_tls: bool = True,
        ca_bundle: str | Path | None = None,
        connect_timeout_s: float = 10,
        read_timeout_s: float = 300,
        retries: int | RetryPolicy = 4,
        requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
        share: float = 1.0,
        budget: RequestBudget | None = None,
    ) -> None:
        # From here on no variable holds the token, which a traceback could show.
        secret, api_token = secret_source(api_token), None
        if secret is None:
            raise ConfigError(
                "`api_token` must be a text (not bytes), or something with a method `read` that "
                "returns it."
            )
        self.api_url = parse_api_url(api_url)
        transport = Transport(
            self.api_url,
            verify=parse_verify(verify_tls=verify_tls, ca_bundle=ca_bundle),
            connect_timeout_s=parse_timeout("connect_timeout_s", connect_timeout_s),
            read_timeout_s=parse_timeout("read_timeout_s", read_timeout_s),
        )
        sender = Sender(
            transport=transport,
            api_token=parse_api_token(secret.read()),
            budget=budget or machine_budget(origin(self.api_url), requests_per_minute, share),
            policy=retries if isinstance(retries, RetryPolicy) else RetryPolicy(retries),
            counter=StatsCounter(),
        )
        self._use(sender)

    def _use(self, sender: Sender) -> Self:
        super().__init__(sender, DictReader())
        self.frames = FrameExports(sender)
        self.csv = TextExports(sender, TextReader("csv"))
        self.json = TextExports(sender, TextReader("json"))
        self.xml = TextExports(sender, TextReader("xml"))
        return self

    def with_concurrency(self, requests: int) -> "RedcapClient":
        """The same client with at most so many requests on their way: other threads wait.

        It shares the connections, the request budget and the counts of this one. A lower limit
        that this one has stays.

        Args:
            requests: At least 1; of all threads that use what is returned.

        Raises:
            ConfigError: Less than one.
        """
        if requests < 1:
            raise ConfigError("concurrency must be at least 1.")
        return self._with_sender(self._sender.with_concurrency(requests))

    def until(self, stopped: threading.Event) -> "RedcapClient":
        """The same client until an event is set: then nothing is sent any more.

        Who waits to send something again gives up at once, and who waits for the request budget
        when it is their turn: what was not sent at all has the reason `stopped`. It shares what
        `with_concurrency` says.
        """
        return self._with_sender(replace(self._sender, stopped=stopped))

    def _with_sender(self, sender: Sender) -> "RedcapClient":
        other = RedcapClient.__new__(RedcapClient)
        other.api_url = self.api_url
        return other._use(sender)  # noqa: SLF001 - another self

    @property
    def stats(self) -> RequestStats:
        """What this client sent and received so far."""
        return self._sender.counter.stats

    def export_version(self) -> str:
        """Version of the REDCap server, such as `14.7.3`."""
        return self._sender.send(VERSION_CALL, read_version)

    def export_project_info(self) -> Row:
        """The project's settings: title, whether it is longitudinal and has surveys.

        It names neither the record id field (the first of the data dictionary) nor the version.
        """
        return self._lookup.project_info()

    def read_attributes(self) -> ProjectAttributes:
        """First field, forms, events, arms, names, labels and types of fields: four requests."""
        return read_attributes(
            self._lookup.metadata(),
            self._lookup.rows("instrument", ["instrument_name"]),
            self.export_events(),
            self.export_arms(),
        )

    def export_records_csv(self, **options: Unpack[RecordOptions]) -> bytes:
        r"""Records as the whole csv that REDCap sent, judged; `b""` when there are no rows.

        A byte-order mark is taken off; nothing else is changed. See `RecordOptions`.

        Raises:
            ApiError: REDCap refused, or no answer could be believed.
            ConfigError: An option that REDCap has not, or would read as something else.
        """
        return self._sender.send(
            record_call(options, "csv"), lambda body: b"" if body.isspace() else body
        )

    def stream_records_csv(self, file: BinaryIO, **options: Unpack[RecordOptions]) -> int:
        """Write the csv of records to a file while it comes, in bounded memory.

        Nothing of an answer that was not believed stays in the file. An answer without rows is
        one line break, as REDCap sends it.

        Args:
            file: Open for binary writing, and able to seek; written from where it stands.
            **options: See `RecordOptions`.

        Returns:
            Bytes written.

        Raises:
            ApiError: REDCap refused, or no answer could be believed.
            ConfigError: The file cannot seek, or an option cannot be sent.
        """
        return self._sender.stream(record_call(options, "csv"), file).size

    def export_records_odm(self, **options: Unpack[RecordOptions]) -> str:
        """Records as CDISC ODM, without the study's design. See `RecordOptions`.

        REDCap reads neither the record type nor label options for it.

        Raises:
            ApiError: REDCap refused, or no answer could be believed.
            ConfigError: An option that REDCap has not, or would read as something else.
        """
        call = replace(record_call(options, "xml"), format_word="odm")
        return self._sender.send(call, lambda body: body.decode("utf-8", "replace"))

    def keyed_digest(self, *texts: str) -> str:
        """A digest by which texts can be told apart, and not guessed without the API token.

        For what must be remembered where patient data must not be. 24 hex digits; the same texts
        have another digest with another token.
        """
        key = f"redcap-dagster digest {self._sender.api_token.reveal()}".encode()
        message = json.dumps(texts).encode()
        return hmac.new(key, message, "sha256").hexdigest()[:24]

    def close(self) -> None:
        """Close the connections. A later call opens them again."""
        self._sender.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RedcapClient({self.api_url!r})"

    def __reduce__(self) -> NoReturn:
        message = "A RedcapClient holds an API token and does not pickle: make one in each process."
        raise TypeError(message)
