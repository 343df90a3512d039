"""A running application on a real store and a real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from service_platform import MakePlatform, Platform, spec_with
from upload_client import JWT_SECRET, UploadClient

from mediabucket_api.connection import BucketConnection
from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3.admin import BucketAdmin
from mediabucket_service.app import build_services, create_app, open_storage, token_verifier
from mediabucket_service.metrics import Metrics
from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings


@pytest.fixture(scope="session")
def migrated_database(postgres: Postgres) -> str:
    url = postgres.create_database("service_tests")
    upgrade(url)
    return url


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return Settings(
        database_url=SecretStr(migrated_database),
        jwt_secret=SecretStr(JWT_SECRET),
        confirm_lease_seconds=5,
        reaper_interval_seconds=3600,
        sweep_interval_seconds=3600,
    )


@pytest.fixture
def make_platform(seaweedfs: SeaweedFS, settings: Settings, bucket_name: str) -> MakePlatform:
    """Runs the application for a bucket of its own: `async with make_platform(uploads={...}) as platform`."""

    @asynccontextmanager
    async def run(*, settings_changes: dict[str, Any] | None = None, **spec: Any) -> AsyncIterator[Platform]:
        admin = BucketAdmin.connect(seaweedfs.connection, bucket_name)
        if not admin.exists():
            admin.create(seaweedfs.connection.region, {})
        connection = BucketConnection(store=seaweedfs.connection, bucket=bucket_name, spec=spec_with(**spec))
        changed = settings.model_copy(update=settings_changes or {})
        app = create_app(changed, connection)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as http,
            httpx.AsyncClient(timeout=60) as store,
            open_storage(changed, connection) as storage,
        ):
            verifier = token_verifier(changed, connection)
            _, reaper = build_services(changed, connection, storage, Metrics(), verifier)
            yield Platform(app, connection, changed, http, store, storage.database, storage.objects, reaper)

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
