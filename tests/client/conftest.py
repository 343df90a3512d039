"""The client in Node, against the application on a port and a store behind a proxy that fails on command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from faulty_store import faulty_store
from js_client import ClientWorld, MakeWorld, Unavailable, node_program, npm_folder
from pydantic import SecretStr
from served_api import served
from service_platform import running_platform
from upload_client import JWT_SECRET

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings


@pytest.fixture(scope="session")
def node() -> str:
    try:
        return node_program()
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def npm() -> Path:
    """A folder whose node_modules has what the tests' lockfile pins."""
    try:
        node_program()
        return npm_folder()
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def settings(postgres: Postgres) -> Settings:
    url = postgres.create_database("client_tests")
    upgrade(url)
    return Settings(
        database_url=SecretStr(url),
        jwt_secret=SecretStr(JWT_SECRET),
        confirm_lease_seconds=5,
        reaper_interval_seconds=3600,
        sweep_interval_seconds=3600,
    )


@pytest.fixture
def make_world(seaweedfs: SeaweedFS, settings: Settings, bucket_name: str, node: str, tmp_path: Path) -> MakeWorld:
    """`async with make_world(uploads={...}) as world`: the fields are those of the manifest's spec."""

    @asynccontextmanager
    async def run(*, settings_changes: dict[str, Any] | None = None, **spec: Any) -> AsyncIterator[ClientWorld]:
        async with faulty_store(seaweedfs.connection.endpoint) as store:
            connection = seaweedfs.connection.model_copy(update={"public_endpoint": store.endpoint})
            changed = settings.model_copy(update=settings_changes or {})
            async with (
                running_platform(connection, changed, bucket_name, **spec) as platform,
                served(platform) as (host, port),
            ):
                yield ClientWorld(platform, store, f"http://{host}:{port}", node, tmp_path)

    return run


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[ClientWorld]:
    """With the manifest's defaults."""
    async with make_world() as running:
        yield running


@pytest.fixture
async def world_in_parts(make_world: MakeWorld) -> AsyncIterator[ClientWorld]:
    """Files from 5 MiB on are uploaded in parts of 5 MiB."""
    async with make_world(uploads={"multipart": {"minBytes": 5 * 1024**2, "partBytes": 5 * 1024**2}}) as running:
        yield running
