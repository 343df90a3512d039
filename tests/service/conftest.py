"""A running application on a real store and a real database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from ferretdb import AssetsMissing, document_server_url
from pydantic import SecretStr
from service_platform import MakePlatform, Platform, running_platform
from upload_client import JWT_SECRET, UploadClient

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings


@pytest.fixture(scope="session")
def migrated_database(postgres: Postgres) -> str:
    url = postgres.create_database("service_tests")
    upgrade(url)
    return url


@pytest.fixture(scope="session")
def mongodb_url(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks MongoDB's protocol; see scripts/document_server.py."""
    try:
        with document_server_url(tmp_path_factory.mktemp("ferretdb"), postgres.create_database("documents")) as url:
            yield url
    except AssetsMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def settings(migrated_database: str) -> Settings:
    return Settings(
        database_url=SecretStr(migrated_database),
        jwt_secret=SecretStr(JWT_SECRET),
        confirm_lease_seconds=5,
        # What a busy machine takes longer for is no reason for 202.
        confirm_answer_seconds=30,
        reaper_interval_seconds=3600,
        sweep_interval_seconds=3600,
    )


@pytest.fixture
def make_platform(seaweedfs: SeaweedFS, settings: Settings, bucket_name: str) -> MakePlatform:
    """Runs the application for a bucket of its own: `async with make_platform(uploads={...}) as platform`."""

    def run(*, settings_changes: dict[str, Any] | None = None, **spec: Any) -> AbstractAsyncContextManager[Platform]:
        changed = settings.model_copy(update=settings_changes or {})
        return running_platform(seaweedfs.connection, changed, bucket_name, **spec)

    return run


@pytest.fixture
async def platform(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    """The application with the manifest's defaults."""
    async with make_platform() as running:
        yield running


@pytest.fixture
async def alice(platform: Platform) -> UploadClient:
    return platform.user("alice")


@pytest.fixture
async def bob(platform: Platform) -> UploadClient:
    return platform.user("bob")


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One that may be stopped and killed, unlike the session's. Durable: what was committed must survive that."""
    with Postgres.start(tmp_path_factory.mktemp("own-postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def own_seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with SeaweedFS.start(tmp_path_factory.mktemp("own-seaweedfs")) as server:
        yield server


@pytest.fixture(scope="module")
def own_settings(own_postgres: Postgres) -> Settings:
    url = own_postgres.create_database("own")
    upgrade(url)
    return Settings(database_url=SecretStr(url), jwt_secret=SecretStr(JWT_SECRET), reaper_interval_seconds=3600)


@pytest.fixture
async def own_platform(own_seaweedfs: SeaweedFS, own_settings: Settings, bucket_name: str) -> AsyncIterator[Platform]:
    async with running_platform(own_seaweedfs.connection, own_settings, bucket_name) as platform:
        yield platform
