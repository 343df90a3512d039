"""Clients for a store: one for administration, one for objects."""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import botocore.session
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.config import Config

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.addressing import is_loopback
from mediabucket_s3.answers import AnswerListener, tell_answers
from mediabucket_s3.calls import CallWatcher, bound_calls, unwatched
from mediabucket_s3.identity_answers import read_answer

if TYPE_CHECKING:
    import boto3

CONNECT_TIMEOUT_SECONDS: Final = 3.0
ADMINISTRATION_READ_TIMEOUT_SECONDS: Final = 10.0
# A server-side copy of 5 GiB answers only when it is done.
OBJECT_READ_TIMEOUT_SECONDS: Final = 120.0
ATTEMPTS: Final = 3
USER_AGENT: Final = "mediabucket"
OBJECT_CONNECTIONS: Final = 64
ADMINISTRATION_CONNECTIONS: Final = 32
_KEPT_CLIENTS: Final = 64

# AWS has one IAM for all regions, and signatures for it name this one:
# https://docs.aws.amazon.com/general/latest/gr/iam-service.html
_REGION_OF_IAM: Final = {
    "iam.amazonaws.com": "us-east-1",
    "iam.global.api.aws": "us-east-1",
    "iam.amazonaws.com.cn": "cn-north-1",
    "iam.cn-north-1.amazonaws.com.cn": "cn-north-1",
    "iam.us-gov.amazonaws.com": "us-gov-west-1",
}

# A connection says it all: profiles and files of whoever runs the program must not change or break it.
_NO_PROFILE: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}

# Clients are thread-safe, the session that makes them is not.
_CLIENT_CREATION: Final = Lock()


def administration_client(
    connection: StoreConnection,
    *,
    read_timeout: float = ADMINISTRATION_READ_TIMEOUT_SECONDS,
    on_answer: AnswerListener | None = None,
    attempts: int | None = None,
) -> Any:
    """A boto3 S3 client for the internal endpoint; thread-safe, and the same for the same arguments.

    `read_timeout` is seconds of one attempt. `on_answer` is called after each attempt of a call, answered or not.
    """
    # Making one takes as long as several calls, and each has connections of its own.
    with _CLIENT_CREATION:
        return _administration_client(connection, "s3", read_timeout, on_answer, attempts)


def identity_client(connection: StoreConnection, endpoint: str, on_answer: AnswerListener | None = None) -> Any:
    """A boto3 IAM client for this endpoint; thread-safe, and the same for the same arguments.

    `on_answer` is called after each attempt of a call, answered or not.
    """
    region = _REGION_OF_IAM.get(urlsplit(endpoint).hostname or "", connection.region)
    target = connection.model_copy(update={"endpoint": endpoint, "region": region})
    with _CLIENT_CREATION:
        logging.getLogger("botocore.parsers").addFilter(_tells_no_new_key)
        return _administration_client(target, "iam", ADMINISTRATION_READ_TIMEOUT_SECONDS, on_answer, None)


def _tells_no_new_key(record: logging.LogRecord) -> bool:
    """At the level DEBUG botocore tells each answer as it is; that of CreateAccessKey is a secret."""
    return "SecretAccessKey" not in record.getMessage()


@asynccontextmanager
async def object_client(
    connection: StoreConnection,
    *,
    read_timeout: float = OBJECT_READ_TIMEOUT_SECONDS,
    connections: int = OBJECT_CONNECTIONS,
    watch: CallWatcher = unwatched,
) -> AsyncIterator[Any]:
    """An aiobotocore S3 client for the internal endpoint, open while its context is; every call is inside `watch`."""
    config = AioConfig(max_pool_connections=connections, **_options(connection, read_timeout))
    async with _object_session().create_client("s3", config=config, **_identity(connection)) as client:
        bound_calls(client, watch)
        yield client


@lru_cache(maxsize=_KEPT_CLIENTS)
def _administration_client(
    connection: StoreConnection,
    service: str,
    read_timeout: float,
    on_answer: AnswerListener | None,
    attempts: int | None,
) -> Any:
    config = Config(max_pool_connections=ADMINISTRATION_CONNECTIONS, **_options(connection, read_timeout, attempts))
    client = _administration_session().client(service, config=config, **_identity(connection))
    if on_answer is not None:
        tell_answers(client, on_answer)
    # No client of S3 ever emits it.
    client.meta.events.register("before-parse.iam", read_answer)
    return client


# A session of its own for every client would read the description of S3 anew: 60 ms instead of 9 ms a client.
@cache
def _administration_session() -> "boto3.Session":
    # Only here: a tenth of the start of a process, and the upload service never administers anything.
    import boto3

    return boto3.Session(botocore_session=botocore.session.Session(session_vars=_NO_PROFILE))


@cache
def _object_session() -> AioSession:
    return AioSession(session_vars=_NO_PROFILE)


def _options(connection: StoreConnection, read_timeout: float, attempts: int | None = None) -> dict[str, Any]:
    return {
        # The usual one names every part of the machine, and is put together anew for each call, a sixth of its time.
        "user_agent": USER_AGENT,
        # Never the SigV2 that some endpoints and defaults still lead to.
        "signature_version": "s3v4",
        "s3": {"addressing_style": connection.addressing_style.value.lower()},
        # The default adds CRC32 to every upload, in a framing that several stores refuse.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "read_timeout": read_timeout,
        "retries": {"mode": "standard", "total_max_attempts": attempts or ATTEMPTS},
        # None: as the environment says. A proxy cannot reach this machine's own loopback.
        "proxies": {} if is_loopback(connection.endpoint) else None,
    }


def _identity(connection: StoreConnection) -> dict[str, Any]:
    token = connection.session_token
    return {
        "endpoint_url": connection.endpoint,
        "region_name": connection.region,
        "aws_access_key_id": connection.access_key_id,
        "aws_secret_access_key": connection.secret_access_key.get_secret_value(),
        "aws_session_token": token.get_secret_value() if token is not None else None,
        "verify": _certificate_file(connection.ca_bundle) if connection.ca_bundle is not None else None,
    }


@cache
def _certificate_file(pem: str) -> str:
    # The libraries take a path only and read it at the first connection, so the file lives as long as the process.
    directory = Path(tempfile.mkdtemp(prefix="mediabucket-ca-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "ca.pem"
    path.write_text(pem)
    return str(path)
