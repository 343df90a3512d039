"""Sends presigned requests as a client without credentials would: what the store answers to them is the truth."""

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import urllib3

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.answers import Answer, AnswerListener, unheard
from mediabucket_s3.errors import StoreUnavailable
from mediabucket_s3.failure_codes import ANSWERED, known_code
from mediabucket_s3.presign import PresignedRequest

CONNECT_TIMEOUT_SECONDS: Final = 3.0
READ_TIMEOUT_SECONDS: Final = 20.0
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9]+)</Code>")
_POOLS: Final = 16
# To one host; more at the same time are made and thrown away.
_CONNECTIONS: Final = 32


@dataclass(frozen=True)
class RawResponse:
    """What came back. Header names are lower case; `code` is S3's error code, if the body has one."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def code(self) -> str:
        found = _CODE.search(self.body[:4096]) if self.status >= 300 else None
        return found.group(1).decode() if found else ""

    @property
    def ok(self) -> bool:
        """Whether the store did it."""
        return self.status < 300

    @property
    def summary(self) -> str:
        """The status and the code: never a URL, which would be a signature."""
        return f"{self.status} {self.code}".rstrip()


class RawSender:
    """Sends what was signed, and never follows a redirect. Safe to share between threads.

    `on_answer` is called after each request, answered or not.
    """

    def __init__(self, connection: StoreConnection, on_answer: AnswerListener | None = None) -> None:
        self._on_answer = unheard if on_answer is None else on_answer
        context = ssl.create_default_context(cadata=connection.ca_bundle) if connection.ca_bundle else None
        self._pool = urllib3.PoolManager(num_pools=_POOLS, maxsize=_CONNECTIONS, retries=False, ssl_context=context)

    def __call__(
        self, request: PresignedRequest, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> RawResponse:
        """`headers` replace those that the request says to send. Raises StoreUnavailable without an answer."""
        sent = dict(request.headers if headers is None else headers)
        return self._send(request.method, request.url, body if request.method == "PUT" else None, sent)

    def preflight(self, request: PresignedRequest, origin: str) -> RawResponse:
        """Ask as a browser would whether a page of this origin may send the request.

        https://fetch.spec.whatwg.org/#cors-preflight-fetch
        """
        names = sorted(name.lower() for name in request.headers)
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": request.method,
            "Access-Control-Request-Headers": ",".join(names),
        }
        return self._send("OPTIONS", request.url, None, headers)

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> RawResponse:
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS)
        operation, sent_at = f"presigned {method}", time.perf_counter()
        try:
            answer = self._pool.request(method, url, body=body, headers=headers, timeout=timeout, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            code = type(error).__name__
            self._on_answer(Answer(operation, code, time.perf_counter() - sent_at))
            # Not the error's own text: it holds the URL.
            raise StoreUnavailable(operation, code) from None
        names = {name.lower(): value for name, value in answer.headers.items()}
        response = RawResponse(answer.status, names, answer.data)
        code = ANSWERED if response.ok else known_code(response.code or str(response.status))
        self._on_answer(Answer(operation, code, time.perf_counter() - sent_at))
        return response
