"""Where a bucket is found: in the path of a URL or in its host name."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mediabucket_api.object_store import AddressingStyle

_HOST_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NotVirtuallyAddressable(ValueError):
    """Virtual-host addressing was asked for, and bucket or endpoint cannot have it.

    botocore would silently use the path instead, and a store that only knows virtual hosts would refuse that.
    """


@dataclass(frozen=True)
class BucketAddress:
    """`origin` and `path` are the text in front of a key; `host` is what clients send as Host, so what is signed."""

    origin: str
    host: str
    path: str


def bucket_address(endpoint: str, bucket: str, style: AddressingStyle) -> BucketAddress:
    """Where the bucket is at this endpoint. Raises NotVirtuallyAddressable."""
    require_addressable(endpoint, bucket, style)
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/")
    if style is AddressingStyle.VIRTUAL:
        prefix, path = f"{bucket}.", f"{base}/"
    else:
        prefix, path = "", f"{base}/{bucket}/"
    return BucketAddress(origin=f"{parts.scheme}://{prefix}{parts.netloc}", host=prefix + _host(parts), path=path)


def require_addressable(endpoint: str, bucket: str, style: AddressingStyle) -> None:
    """Raise NotVirtuallyAddressable where botocore would leave virtual-host addressing without a word."""
    if style is not AddressingStyle.VIRTUAL:
        return
    if not _HOST_LABEL.fullmatch(bucket):
        raise NotVirtuallyAddressable(f"bucket name {bucket!r} cannot be part of a host name: use addressingStyle Path")
    if _ip_address(urlsplit(endpoint).hostname or "") is not None:
        raise NotVirtuallyAddressable(
            f"{endpoint} is an IP address, which has no virtual hosts: use addressingStyle Path"
        )


def is_loopback(endpoint: str) -> bool:
    """Whether the endpoint is on this machine's loopback interface, by its text alone."""
    host = urlsplit(endpoint).hostname or ""
    address = _ip_address(host)
    return address.is_loopback if address is not None else host == "localhost" or host.endswith(".localhost")


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _host(parts: SplitResult) -> str:
    """The Host header that HTTP clients send: lower case, without the scheme's own port (RFC 9110, 4.2.3 and 7.2)."""
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    if parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme):
        return host
    return f"{host}:{parts.port}"
