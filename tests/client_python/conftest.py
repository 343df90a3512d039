"""A platform over HTTP for the Python client."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from pydantic import SecretStr
from python_client import IN_PARTS, MakeWorld, World, running_world
from upload_client import JWT_SECRET

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings


@pytest.fixture(scope="session")
def settings(postgres: Postgres) -> Settings:
    url = postgres.create_database("python_client_tests")
    upgrade(url)
    return Settings(
        database_url=SecretStr(url),
        jwt_secret=SecretStr(JWT_SECRET),
        confirm_lease_seconds=5,
        reaper_interval_seconds=3600,
        sweep_interval_seconds=3600,
    )


@pytest.fixture
def make_world(seaweedfs: SeaweedFS, settings: Settings, bucket_name: str) -> MakeWorld:
    """`async with make_world(uploads={...}) as world`: the fields are those of the manifest's spec."""

    def run(
        *, settings_changes: dict[str, Any] | None = None, store_port: int | None = None, **spec: Any
    ) -> AbstractAsyncContextManager[World]:
        changed = settings.model_copy(update=settings_changes or {})
        return running_world(seaweedfs.connection, changed, bucket_name, store_port=store_port, **spec)

    return run


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    """Files from 5 MiB on are uploaded in parts of 5 MiB."""
    async with make_world(uploads=IN_PARTS) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of client."""
    return str(request.param)
