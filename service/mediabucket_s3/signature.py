"""AWS Signature Version 4 in query parameters, with nothing but HMAC-SHA256 of the standard library.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html

Host, path and query arrive encoded and are never parsed again, which is what botocore spends most of its time on. It
stays the reference: tests compare URLs byte by byte.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
# Instead of a hash of the body, which nobody knows yet.
_UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
_DAY: Final = slice(0, 8)


@dataclass(frozen=True, slots=True)
class UnsignedRequest:
    """`path` and the values of `query` are encoded as they are sent; the names of `headers` are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _DailyKey:
    """A signing key is good for one day, region and service: four of a signature's five HMACs are made once a day."""

    day: str
    scope: str
    credential: str
    key: bytes = field(repr=False)


class QuerySigner:
    """Signs with static credentials. Safe to share between threads and tasks."""

    def __init__(self, access_key_id: str, secret_access_key: str, region: str, session_token: str | None) -> None:
        self._access_key_id = access_key_id
        self._secret = f"AWS4{secret_access_key}".encode()
        self._region = region
        self._token = {} if session_token is None else {"X-Amz-Security-Token": encoded(session_token)}
        self._daily = self._daily_key("19700101")

    def sign(self, request: UnsignedRequest, signed_at: datetime, expires_in: int) -> str:
        """The query string of the signed URL."""
        # 20261123T080000Z; strftime takes longer than the signature.
        timestamp = signed_at.astimezone(UTC).isoformat()[:19].replace("-", "").replace(":", "") + "Z"
        daily = self._key_of(timestamp[_DAY])
        names = sorted(request.headers)
        query = {
            **request.query,
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": daily.credential,
            "X-Amz-Date": timestamp,
            "X-Amz-SignedHeaders": "%3B".join(names),
            "X-Amz-Expires": str(expires_in),
            **self._token,
        }
        canonical = (
            f"{request.method}\n{request.path}\n{_joined(sorted(query.items()))}\n"
            # Blanks around and between words do not count, as a proxy may change them.
            + "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
            + f"\n{';'.join(names)}\n{_UNSIGNED_PAYLOAD}"
        )
        text = f"{_ALGORITHM}\n{timestamp}\n{daily.scope}\n{sha256(canonical.encode()).hexdigest()}"
        return f"{_joined(query.items())}&X-Amz-Signature={hmac.digest(daily.key, text.encode(), 'sha256').hex()}"

    def _key_of(self, day: str) -> _DailyKey:
        daily = self._daily
        if daily.day != day:
            # Replaced as a whole: another thread finds either day with its own key.
            daily = self._daily = self._daily_key(day)
        return daily

    def _daily_key(self, day: str) -> _DailyKey:
        key = self._secret
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        scope = f"{day}/{self._region}/s3/aws4_request"
        return _DailyKey(day, scope, encoded(f"{self._access_key_id}/{scope}"), key)


def encoded(text: str) -> str:
    """A query value as a signature wants it: everything but A-Z a-z 0-9 - . _ ~ as %XX."""
    return quote(text, safe="~")


def _joined(query: Iterable[tuple[str, str]]) -> str:
    return "&".join([f"{name}={value}" for name, value in query])
