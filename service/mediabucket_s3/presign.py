"""Presigned URLs (AWS Signature Version 4, query parameters), signed in this process without asking the store.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.addressing import bucket_address
from mediabucket_s3.signature import QuerySigner, UnsignedRequest, encoded

# What a browser must be allowed to send across origins; it sets Content-Length and Host itself.
SIGNED_REQUEST_HEADERS: Final[tuple[str, ...]] = ("content-type", "if-none-match", "x-amz-checksum-sha256")

LONGEST_EXPIRY_SECONDS: Final = 604_800
_SIGNED_HEADERS_PARAMETER: Final = "X-Amz-SignedHeaders="


class RequiredHeaderUnsigned(Exception):
    """The signature does not cover a header that must hold: whoever has the URL could send any value for it."""


class UnsignableKey(ValueError):
    """An empty key names the bucket itself; dot segments are rewritten on the way, to another key."""


@dataclass(frozen=True)
class PresignedRequest:
    """What a client must send to use the URL: this method and exactly these headers (Content-Length beside them)."""

    url: str
    method: str
    headers: dict[str, str]
    expires_at: datetime


class Presigner:
    """Signs URLs of one bucket for the public endpoint. Cheap to call, safe to share between threads and tasks."""

    def __init__(self, connection: StoreConnection, bucket: str, *, signer: QuerySigner | None = None) -> None:
        """Raises NotVirtuallyAddressable for a bucket that the connection's addressing style cannot reach."""
        self._address = bucket_address(connection.public_endpoint, bucket, connection.addressing_style)
        self._bucket = bucket
        self._signer = signer or _signer_of(connection)

    def put(
        self,
        key: str,
        *,
        content_type: str,
        content_length: int,
        checksum_sha256: bytes | None = None,
        if_none_match: bool = False,
        expires_in: int,
        now: datetime | None = None,
    ) -> PresignedRequest:
        """A URL for one PUT of exactly this type and length, of these bytes, and only once, as far as asked for.

        `expires_in` is seconds from `now`, `checksum_sha256` the 32 raw bytes.
        Raises RequiredHeaderUnsigned, UnsignableKey, ValueError.
        """
        headers = {"Content-Type": content_type}
        if checksum_sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(checksum_sha256).decode()
        if if_none_match:
            headers["if-none-match"] = "*"
        signed = {"content-length": str(content_length)} | {name.lower(): value for name, value in headers.items()}
        return self._presign("PUT", key, signed, headers, {}, expires_in, now)

    def put_part(
        self,
        key: str,
        *,
        upload_id: str,
        part_number: int,
        content_length: int,
        checksum_sha256: bytes | None = None,
        expires_in: int,
        now: datetime | None = None,
    ) -> PresignedRequest:
        """A URL for one part (UploadPart) of exactly this length, and of these bytes where their SHA-256 is given.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        `expires_in` is seconds from `now`, `checksum_sha256` the 32 raw bytes.
        Raises RequiredHeaderUnsigned, UnsignableKey, ValueError.
        """
        headers = {}
        if checksum_sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(checksum_sha256).decode()
        query = {"partNumber": str(part_number), "uploadId": upload_id}
        signed = {"content-length": str(content_length)} | headers
        return self._presign("PUT", key, signed, headers, query, expires_in, now)

    def get(
        self,
        key: str,
        *,
        expires_in: int,
        now: datetime | None = None,
        content_type: str | None = None,
        content_disposition: str | None = None,
    ) -> PresignedRequest:
        """A URL for GET; the store answers with this Content-Type and Content-Disposition where given.

        Raises UnsignableKey, ValueError.
        """
        overrides = {"response-content-disposition": content_disposition, "response-content-type": content_type}
        query = {name: value for name, value in overrides.items() if value is not None}
        return self._presign("GET", key, {}, {}, query, expires_in, now)

    def delete(self, key: str, *, expires_in: int) -> PresignedRequest:
        """A URL for DELETE. Raises UnsignableKey, ValueError."""
        return self.sign("DELETE", key, expires_in=expires_in)

    def copy(
        self,
        source: str,
        destination: str,
        *,
        expires_in: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> PresignedRequest:
        """A URL for a copy within the bucket; `headers` are signed as well, and a `query` that makes it one of a part.

        Raises UnsignableKey, ValueError.
        """
        told = {"x-amz-copy-source": f"/{self._bucket}/{_encoded_key(source)}", **(headers or {})}
        return self.sign("PUT", destination, headers=told, query=query, expires_in=expires_in)

    def sign(
        self,
        method: str,
        key: str,
        *,
        expires_in: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> PresignedRequest:
        """A URL for any request on a key, with these headers (lower case). Raises UnsignableKey, ValueError."""
        told = dict(headers or {})
        return self._presign(method, key, told, told, query or {}, expires_in, None)

    def _presign(
        self,
        method: str,
        key: str,
        signed_headers: Mapping[str, str],
        headers: dict[str, str],
        query: Mapping[str, str],
        expires_in: int,
        now: datetime | None,
    ) -> PresignedRequest:
        if not 1 <= expires_in <= LONGEST_EXPIRY_SECONDS:
            raise ValueError(f"a URL expires after 1 to {LONGEST_EXPIRY_SECONDS} seconds, not {expires_in}")
        # A signature carries whole seconds.
        signed_at = (now or datetime.now(UTC)).replace(microsecond=0)
        query = {name: encoded(value) for name, value in query.items()}
        path = self._address.path + _encoded_key(key)
        request = UnsignedRequest(method, path, query, {"host": self._address.host, **signed_headers})
        target = f"{path}?{self._signer.sign(request, signed_at, expires_in)}"
        require_signed(target, request.headers)
        expires_at = signed_at + timedelta(seconds=expires_in)
        return PresignedRequest(self._address.origin + target, method, headers, expires_at)


def _signer_of(connection: StoreConnection) -> QuerySigner:
    """What signs with the connection's credentials."""
    token = connection.session_token
    return QuerySigner(
        connection.access_key_id,
        connection.secret_access_key.get_secret_value(),
        connection.region,
        token.get_secret_value() if token is not None else None,
    )


def require_signed(url: str, required: Iterable[str]) -> None:
    """Raise RequiredHeaderUnsigned unless the signature of the URL covers every one of these headers (lower case)."""
    _, _, after = url.partition(_SIGNED_HEADERS_PARAMETER)
    signed = after.partition("&")[0].replace("%3B", ";").split(";")
    missing = [header for header in required if header not in signed]
    if missing:
        raise RequiredHeaderUnsigned(f"the signature does not cover {', '.join(missing)}")


def _encoded_key(key: str) -> str:
    if not key or not {".", ".."}.isdisjoint(key.split("/")):
        raise UnsignableKey(f"no URL can be signed for the key {key!r}")
    return quote(key, safe="/~")
