"""Presigned URLs, compared with botocore's own presigner as the reference."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
import botocore.auth
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.object_store import AddressingStyle
from mediabucket_s3.addressing import NotVirtuallyAddressable, bucket_address
from mediabucket_s3.presign import (
    LONGEST_EXPIRY_SECONDS,
    SIGNED_REQUEST_HEADERS,
    PresignedRequest,
    Presigner,
    RequiredHeaderUnsigned,
    UnsignableKey,
    require_signed,
)
from mediabucket_s3.signature import QuerySigner, UnsignedRequest

BUCKET = "team-chat"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SHA256 = bytes(range(32))

named_endpoints = st.sampled_from(
    [
        "http://localhost",
        "http://localhost:80",
        "http://localhost:443",
        "http://localhost:8333",
        "https://s3.example.com",
        "https://s3.example.com:443",
        "https://s3.example.com:80",
        "https://S3.Example.COM:9000/",
        "https://gateway.example.com/s3/",
    ]
)
addresses = st.one_of(
    st.tuples(named_endpoints, st.sampled_from(AddressingStyle)),
    st.tuples(st.sampled_from(["http://127.0.0.1:8333", "http://[::1]:8333"]), st.just(AddressingStyle.PATH)),
)
connections = st.builds(
    lambda address, region, token: connection_to(*address, region=region, token=token),
    addresses,
    st.sampled_from(["us-east-1", "eu-central-1", "auto"]),
    st.sampled_from([None, "token/with+reserved=&characters"]),
)
reserved_characters = st.sampled_from("/ +%&=?#:;,@!$'()*[]{}<>\"\\|^`~-_.éß漢😀\n\t")
any_characters = st.one_of(reserved_characters, st.characters(exclude_categories=["Cs"]))
keys = st.text(any_characters, min_size=1, max_size=60).filter(lambda key: {".", ".."}.isdisjoint(key.split("/")))
content_types = st.sampled_from(
    ["image/jpeg", "application/vnd.api+json", "text/plain; charset=utf-8", 'text/plain;  name="two  spaces"']
)
checksums = st.one_of(st.none(), st.binary(min_size=32, max_size=32))
lifetimes = st.integers(1, LONGEST_EXPIRY_SECONDS)
clocks = st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))
overrides = st.one_of(st.none(), st.text(any_characters, min_size=1, max_size=60))


def connection_to(
    endpoint: str,
    style: AddressingStyle = AddressingStyle.PATH,
    *,
    region: str = "us-east-1",
    token: str | None = None,
) -> StoreConnection:
    return StoreConnection(
        endpoint="http://internal.invalid",
        public_endpoint=endpoint,
        region=region,
        addressing_style=style,
        access_key_id="AKIDEXAMPLE",
        secret_access_key=SecretStr("secret/with+reserved=characters"),
        session_token=SecretStr(token) if token is not None else None,
    )


@cache
def reference_client(connection_json: str, token: str | None) -> Any:
    connection = StoreConnection.model_validate_json(connection_json)
    style = connection.addressing_style.value.lower()
    return boto3.Session().client(
        "s3",
        endpoint_url=connection.public_endpoint,
        region_name=connection.region,
        aws_access_key_id=connection.access_key_id,
        aws_secret_access_key="secret/with+reserved=characters",
        aws_session_token=token,
        config=Config(
            signature_version="s3v4", s3={"addressing_style": style}, request_checksum_calculation="when_required"
        ),
    )


def reference_url(
    connection: StoreConnection, operation: str, parameters: dict[str, Any], expires_in: int, now: datetime
) -> str:
    token = connection.session_token.get_secret_value() if connection.session_token is not None else None
    client = reference_client(connection.model_dump_json(exclude={"session_token"}), token)
    with botocore_clock(now):
        url: str = client.generate_presigned_url(
            operation, Params={"Bucket": BUCKET} | parameters, ExpiresIn=expires_in
        )
    return url


@contextmanager
def botocore_clock(now: datetime) -> Iterator[None]:
    def clock(remove_tzinfo: bool = True) -> datetime:
        return now.replace(tzinfo=None) if remove_tzinfo else now

    with patch("botocore.auth.get_current_datetime", clock), patch("botocore.crt.auth.get_current_datetime", clock):
        yield


def pure_python_signer() -> Any:
    """botocore takes awscrt where it is installed, for this project's own URLs no independent witness."""
    return patch.dict(botocore.auth.AUTH_TYPE_MAPS, {"s3v4-query": botocore.auth.S3SigV4QueryAuth})


def put_parameters(
    key: str, content_type: str, content_length: int, checksum: bytes | None, if_none_match: bool
) -> dict[str, Any]:
    parameters = {"Key": key, "ContentType": content_type, "ContentLength": content_length}
    if checksum is not None:
        parameters["ChecksumSHA256"] = base64.b64encode(checksum).decode()
    return parameters | ({"IfNoneMatch": "*"} if if_none_match else {})


def assert_same(url: str, connection: StoreConnection, operation: str, parameters: dict[str, Any], *when: Any) -> None:
    assert url == reference_url(connection, operation, parameters, *when)
    with pure_python_signer():
        independent = reference_url(connection, operation, parameters, *when)
    # The pure Python signer lists the same parameters in another order.
    assert url.partition("?")[0] == independent.partition("?")[0]
    assert sorted(url.partition("?")[2].split("&")) == sorted(independent.partition("?")[2].split("&"))


@settings(deadline=None, max_examples=100)
@given(connections, keys, content_types, st.integers(0, 5 * 1024**3), checksums, st.booleans(), lifetimes, clocks)
def test_a_signed_put_is_byte_for_byte_what_botocore_signs(
    connection: StoreConnection,
    key: str,
    content_type: str,
    content_length: int,
    checksum: bytes | None,
    if_none_match: bool,
    expires_in: int,
    now: datetime,
) -> None:
    request = Presigner(connection, BUCKET).put(
        key,
        content_type=content_type,
        content_length=content_length,
        checksum_sha256=checksum,
        if_none_match=if_none_match,
        expires_in=expires_in,
        now=now,
    )
    parameters = put_parameters(key, content_type, content_length, checksum, if_none_match)
    assert_same(request.url, connection, "put_object", parameters, expires_in, now)


@settings(deadline=None, max_examples=100)
@given(connections, keys, overrides, overrides, lifetimes, clocks)
def test_a_signed_get_is_byte_for_byte_what_botocore_signs(
    connection: StoreConnection,
    key: str,
    content_type: str | None,
    content_disposition: str | None,
    expires_in: int,
    now: datetime,
) -> None:
    request = Presigner(connection, BUCKET).get(
        key, expires_in=expires_in, now=now, content_type=content_type, content_disposition=content_disposition
    )
    given_overrides = {"ResponseContentDisposition": content_disposition, "ResponseContentType": content_type}
    parameters = {"Key": key} | {name: value for name, value in given_overrides.items() if value is not None}
    assert_same(request.url, connection, "get_object", parameters, expires_in, now)


def signed_put(presigner: Presigner) -> PresignedRequest:
    return presigner.put(
        "pending/x",
        content_type="image/png",
        content_length=3,
        checksum_sha256=SHA256,
        if_none_match=True,
        expires_in=300,
        now=NOW,
    )


def test_a_put_tells_the_client_what_to_send_and_until_when() -> None:
    request = signed_put(Presigner(connection_to("https://s3.example.com"), BUCKET))
    assert request.method == "PUT"
    assert request.headers == {
        "Content-Type": "image/png",
        "x-amz-checksum-sha256": base64.b64encode(SHA256).decode(),
        "if-none-match": "*",
    }
    assert request.expires_at == NOW + timedelta(seconds=300)


def test_the_expiry_told_is_the_expiry_signed_to_the_second() -> None:
    presigner = Presigner(connection_to("https://s3.example.com"), BUCKET)
    request = presigner.get("x", expires_in=60, now=NOW.replace(microsecond=999_999))
    assert "X-Amz-Date=20261123T080000Z" in request.url
    assert request.expires_at == NOW + timedelta(seconds=60)


def test_p17_every_header_that_a_client_must_send_is_one_a_browser_may_send() -> None:
    request = signed_put(Presigner(connection_to("https://s3.example.com"), BUCKET))
    assert tuple(sorted(name.lower() for name in request.headers)) == SIGNED_REQUEST_HEADERS


def test_without_a_clock_given_the_url_is_signed_for_now() -> None:
    request = Presigner(connection_to("https://s3.example.com"), BUCKET).get("x", expires_in=60)
    assert timedelta(seconds=50) < request.expires_at - datetime.now(UTC) <= timedelta(seconds=60)


@pytest.mark.parametrize("header", ["host", "content-length", "content-type", "if-none-match", "x-amz-checksum-sha256"])
def test_a_url_that_does_not_sign_a_required_header_is_refused(header: str) -> None:
    class ForgetfulSigner(QuerySigner):
        def sign(self, request: UnsignedRequest, signed_at: datetime, expires_in: int) -> str:
            headers = {name: value for name, value in request.headers.items() if name != header}
            return super().sign(replace(request, headers=headers), signed_at, expires_in)

    connection = connection_to("https://s3.example.com")
    presigner = Presigner(connection, BUCKET, signer=ForgetfulSigner("AKIDEXAMPLE", "secret", "us-east-1", None))
    with pytest.raises(RequiredHeaderUnsigned, match=f"does not cover {header}$"):
        signed_put(presigner)


def test_one_presigner_signs_many_days() -> None:
    """The signing key of a day is kept, and neither used nor lost on the next."""
    connection = connection_to("https://s3.example.com")
    presigner = Presigner(connection, BUCKET)
    for days in (0, 1, 0, 400, 400):
        now = NOW + timedelta(days=days)
        assert_same(presigner.get("k", expires_in=60, now=now).url, connection, "get_object", {"Key": "k"}, 60, now)


def test_the_clock_of_another_zone_signs_the_same_moment() -> None:
    presigner = Presigner(connection_to("https://s3.example.com"), BUCKET)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-9)))
    assert presigner.get("k", expires_in=60, now=elsewhere).url == presigner.get("k", expires_in=60, now=NOW).url


def test_a_url_signed_the_old_way_is_refused() -> None:
    with pytest.raises(RequiredHeaderUnsigned, match="content-length, content-type"):
        require_signed(
            "https://s3.example.com/b/k?AWSAccessKeyId=A&Signature=S&Expires=1", ("content-length", "content-type")
        )


@pytest.mark.parametrize("key", ["", ".", "..", "pending/../uploads/x", "./x", "x/.", "pending/./x"])
def test_a_key_that_would_reach_something_else_is_refused(key: str) -> None:
    with pytest.raises(UnsignableKey):
        Presigner(connection_to("https://s3.example.com"), BUCKET).get(key, expires_in=60)


@pytest.mark.parametrize("expires_in", [-1, 0, LONGEST_EXPIRY_SECONDS + 1])
def test_a_lifetime_that_no_store_accepts_is_refused(expires_in: int) -> None:
    with pytest.raises(ValueError, match="1 to 604800 seconds"):
        Presigner(connection_to("https://s3.example.com"), BUCKET).get("x", expires_in=expires_in)


@pytest.mark.parametrize(
    "bucket", ["with.dot", "with_underscore", "Capital", "ab", "-leading", "trailing-", "x" * 64, "1.2.3.4", ""]
)
def test_virtual_addressing_is_refused_for_a_name_that_is_no_host_label(bucket: str) -> None:
    with pytest.raises(NotVirtuallyAddressable, match="addressingStyle Path"):
        Presigner(connection_to("https://s3.example.com", AddressingStyle.VIRTUAL), bucket)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8333", "http://[::1]:8333"])
def test_virtual_addressing_is_refused_for_an_ip_address(endpoint: str) -> None:
    with pytest.raises(NotVirtuallyAddressable, match="IP address"):
        Presigner(connection_to(endpoint, AddressingStyle.VIRTUAL), BUCKET)


@settings(deadline=None, max_examples=100)
@given(st.text(st.sampled_from("ab1-._A"), min_size=1, max_size=8))
def test_virtual_addressing_is_either_refused_or_what_botocore_does(bucket: str) -> None:
    endpoint = "https://s3.example.com"
    client = reference_client(connection_to(endpoint, AddressingStyle.VIRTUAL).model_dump_json(), None)
    host = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})).netloc
    try:
        address = bucket_address(endpoint, bucket, AddressingStyle.VIRTUAL)
    except NotVirtuallyAddressable:
        return
    assert address.host == host == f"{bucket}.s3.example.com"
