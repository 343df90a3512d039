"""What the two runners share: requests and answers as httpx has them, and how its errors are told."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from mediabucket.client.errors import ConnectionFailed
from mediabucket.client.steps import Answer, ApiCall, StorePut

_CONNECT_SECONDS: Final = 10.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True)
class Api:
    """Where the API is; `url` without a slash at the end."""

    url: str

    @classmethod
    def at(cls, url: str) -> "Api":
        """Raises ValueError for what is no HTTP URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the address of the API must be a URL such as https://media.example.com, not {url!r}")
        return cls(url.rstrip("/"))

    def arguments(self, call: ApiCall, token: str) -> dict[str, Any]:
        """Of httpx's `request`. Raises ValueError for what is no bearer token (RFC 6750 section 2.1): httpx would tell
        it in its error.
        """
        if not _TOKEN.fullmatch(token):
            raise ValueError("the token is empty or has characters that no bearer token has")
        return {
            "method": call.method,
            "url": self.url + call.path,
            "params": dict(call.query) or None,
            "json": call.body,
            "headers": {"Authorization": f"Bearer {token}"},
            "follow_redirects": False,
        }


def put_arguments(put: StorePut) -> dict[str, Any]:
    """Of httpx's `request`. The length is signed: without it httpx would send chunks, which S3 refuses."""
    headers = {**put.headers, "Content-Length": str(put.piece.size)}
    return {"method": "PUT", "url": put.url, "headers": headers, "follow_redirects": False}


def timeout(seconds: float) -> httpx.Timeout:
    """`seconds` without a byte in either direction end a request."""
    return httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS), pool=None)


def answer_of(response: httpx.Response) -> Answer:
    headers: Mapping[str, str] = response.headers
    return Answer(response.status_code, headers, response.content)


@contextmanager
def told_connection_failures(who: str) -> Iterator[None]:
    """httpx's errors as ConnectionFailed, without the URL, which may be signed."""
    try:
        yield
    except httpx.RequestError as error:
        said = str(error) or type(error).__name__
        raise ConnectionFailed(f"{who} cannot be reached: {said}") from error
