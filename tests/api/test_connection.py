"""The connection of an application to its bucket: what one program writes is what another reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from mediabucket_api.connection import (
    SPEC_FILE_VARIABLE,
    SPEC_KEY,
    BucketConnection,
    ConnectionIncomplete,
    StoreConnection,
)
from mediabucket_api.object_store import AddressingStyle
from mediabucket_api.spec import MediaBucketSpec

SPEC = MediaBucketSpec.model_validate(
    {"storeRef": {"name": "embedded"}, "uploads": {"maxBytes": 5, "urlTTLSeconds": 60}}
)
# No variable of an environment can hold a null character, nor an empty value that differs from none.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def connection(endpoint: str = "http://127.0.0.1:8333") -> BucketConnection:
    store = StoreConnection(
        endpoint=endpoint,
        public_endpoint="https://s3.example.com",
        access_key_id="AKIDEXAMPLE",
        secret_access_key=SecretStr("very-secret"),
        session_token=SecretStr("very-short-lived"),
    )
    return BucketConnection(store=store, bucket="default-chat", spec=SPEC)


def environment(written: BucketConnection) -> dict[str, str]:
    return written.to_config_map() | written.to_secret()


@given(
    style=st.sampled_from(AddressingStyle),
    access_key_id=TEXT,
    secret_access_key=TEXT,
    session_token=st.none() | TEXT,
    ca_bundle=st.none() | TEXT,
    media_service_url=st.none() | TEXT,
)
def test_what_is_written_is_read_back(
    style: AddressingStyle,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None,
    ca_bundle: str | None,
    media_service_url: str | None,
) -> None:
    store = StoreConnection(
        endpoint="https://s3.example.com:9000",
        public_endpoint="https://media.example.com",
        region="eu-central-1",
        addressing_style=style,
        access_key_id=access_key_id,
        secret_access_key=SecretStr(secret_access_key),
        session_token=None if session_token is None else SecretStr(session_token),
        ca_bundle=ca_bundle,
    )
    written = BucketConnection(store=store, bucket="default-chat", spec=SPEC, media_service_url=media_service_url)
    assert BucketConnection.from_environment(environment(written)) == written


def test_the_spec_may_come_from_a_mounted_file(tmp_path: Path) -> None:
    written = environment(connection())
    path = tmp_path / SPEC_KEY
    path.write_text(written.pop(SPEC_KEY), encoding="utf-8")
    assert BucketConnection.from_environment(written | {SPEC_FILE_VARIABLE: str(path)}) == connection()


def test_every_missing_key_is_named() -> None:
    with pytest.raises(ConnectionIncomplete) as raised:
        BucketConnection.from_environment({"BUCKET_NAME": "", "BUCKET_ENDPOINT": "http://127.0.0.1:8333"})
    assert str(raised.value) == (
        "missing from the environment: BUCKET_NAME, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, MEDIABUCKET_FILE"
    )


def test_an_application_of_another_store_needs_four_keys_and_the_spec() -> None:
    written = environment(connection())
    needed = ("BUCKET_NAME", "BUCKET_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", SPEC_KEY)
    read = BucketConnection.from_environment({key: written[key] for key in needed})
    assert read.store.public_endpoint == read.store.endpoint
    assert (read.store.region, read.store.addressing_style) == ("us-east-1", AddressingStyle.PATH)


def test_secrets_stand_in_the_secret_only() -> None:
    assert "very-" not in "".join(connection().to_config_map().values())
    assert connection().to_secret()["AWS_SESSION_TOKEN"] == "very-short-lived"


def test_secrets_are_never_printed() -> None:
    assert "very-" not in repr(connection()) + str(connection()) + connection().model_dump_json()


@pytest.mark.parametrize(
    ("endpoint", "host", "port", "tls"),
    [
        ("http://127.0.0.1:8333", "127.0.0.1", "8333", "false"),
        ("http://s3.example.com", "s3.example.com", "80", "false"),
        ("https://s3.example.com", "s3.example.com", "443", "true"),
        ("https://[::1]:9000", "::1", "9000", "true"),
    ],
)
def test_keys_of_a_bucket_claim_follow_from_the_endpoint(endpoint: str, host: str, port: str, tls: str) -> None:
    written = connection(endpoint).to_config_map()
    assert (written["BUCKET_HOST"], written["BUCKET_PORT"], written["BUCKET_SSL"]) == (host, port, tls)


def test_keys_of_cosi_stand_beside_those_of_a_bucket_claim() -> None:
    written = environment(connection())
    assert written["COSI_S3_BUCKET_ID"] == written["BUCKET_NAME"] == "default-chat"
    assert written["COSI_S3_ENDPOINT"] == written["BUCKET_ENDPOINT"]
    assert written["COSI_S3_ADDRESSING_STYLE"] == "path"
    assert written["COSI_S3_ACCESS_KEY_ID"] == written["AWS_ACCESS_KEY_ID"]
    assert written["COSI_S3_ACCESS_SECRET_KEY"] == written["AWS_SECRET_ACCESS_KEY"]
