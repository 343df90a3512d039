"""Clients depend on nothing but their connection, and trust exactly the certificates it names."""

import ipaddress
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mediabucket_s3 import connect
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import StoreUnavailable, Throttled
from mediabucket_s3.objects import BucketObjects


@pytest.fixture(scope="module")
def certificate() -> tuple[str, str]:
    """PEM of a certificate for localhost that signs itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key_pem.decode()


@pytest.fixture
def server_tls(certificate: tuple[str, str], tmp_path: Path) -> ssl.SSLContext:
    path = tmp_path / "server.pem"
    path.write_text("".join(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.fixture
def single_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "ATTEMPTS", 1)


async def test_a_certificate_of_the_connections_own_authority_is_trusted(
    canned_store: Callable[..., Any],
    answer: Callable[..., Any],
    certificate: tuple[str, str],
    server_tls: ssl.SSLContext,
) -> None:
    store = canned_store(answer(status=200), server_tls)
    trusting = store.connection.model_copy(update={"ca_bundle": certificate[0]})
    assert BucketAdmin.connect(trusting, "some-bucket").exists()
    async with BucketObjects.connect(trusting, "some-bucket") as objects:
        await objects.check()


@pytest.mark.usefixtures("single_attempt")
async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    canned_store: Callable[..., Any], answer: Callable[..., Any], server_tls: ssl.SSLContext
) -> None:
    store = canned_store(answer(status=200), server_tls)
    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        BucketAdmin.connect(store.connection, "some-bucket").exists()
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(StoreUnavailable):
            await objects.check()
    assert store.requests == []


async def test_profiles_proxies_and_endpoints_of_the_environment_change_nothing(
    canned_store: Callable[..., Any], answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = canned_store(answer(status=200))
    for name, value in {
        "AWS_PROFILE": "of-somebody-else",
        "AWS_ENDPOINT_URL_S3": "http://elsewhere.invalid",
        "AWS_ACCESS_KEY_ID": "somebody-else",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    assert BucketAdmin.connect(store.connection, "some-bucket").exists()
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        await objects.check()
    assert store.requests == ["HEAD /some-bucket", "HEAD /some-bucket"]


async def test_a_failing_call_is_tried_a_bounded_number_of_times(
    canned_store: Callable[..., Any], answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "ATTEMPTS", 2)
    store = canned_store(answer(status=503, body=b"<Error><Code>SlowDown</Code></Error>"))
    with pytest.raises(Throttled):
        BucketAdmin.connect(store.connection, "some-bucket").get_cors()
    assert len(store.requests) == 2
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(Throttled):
            await objects.delete("some/key")
    assert len(store.requests) == 2 + 2


def test_clients_made_by_many_threads_at_once_all_work(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer(status=200))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: BucketAdmin.connect(store.connection, f"b-{number}").exists(), range(24)))
    assert found == [True] * 24
    assert sorted(store.requests) == sorted(f"HEAD /b-{number}" for number in range(24))
