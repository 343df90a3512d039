"""The running application as tests see it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from told_metrics import told
from upload_client import UploadClient

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_api.status import CapabilityVerdict
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.app import build_services, create_app, open_storage, token_verifier
from mediabucket_service.database import Database
from mediabucket_service.dependencies import Services
from mediabucket_service.media.reaper import Reaper
from mediabucket_service.metrics import Metrics
from mediabucket_service.settings import Settings

# Who looks at the bucket right now.
SWEEPING = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
    " AND (classid::bigint << 32) | objid::bigint = hashtextextended('sweep ' || %(bucket)s, 0)"
)


@dataclass(frozen=True)
class Platform:
    """An application, and what a test needs to look behind it."""

    app: FastAPI
    connection: BucketConnection
    settings: Settings
    http: httpx.AsyncClient
    store: httpx.AsyncClient
    database: Database
    objects: BucketObjects
    reaper: Reaper

    def user(self, name: str = "alice") -> UploadClient:
        return UploadClient(self.http, self.store, name)

    @property
    def services(self) -> Services:
        found: Services = self.app.state.services
        return found

    async def sweep(self) -> int:
        """How much a look at the bucket removes: one of its own, after that which the service begins with."""
        await self.first_sweep_is_over()
        return await self.reaper.sweep()

    async def first_sweep_is_over(self) -> None:
        """Wait for the sweep that the service begins with: as long as it lasts, no other one does anything."""
        async with asyncio.timeout(30):
            while not (await told(self.http)).of("mediabucket_reaper_passes_total"):
                await asyncio.sleep(0.01)
            # The server hears later that the lock's connection was closed.
            while await self.database.fetch_all(SWEEPING, {"bucket": self.connection.bucket}):
                await asyncio.sleep(0.01)

    async def keys(self, prefix: str = "") -> list[str]:
        """The keys in the bucket."""
        return [found.key async for found in self.objects.list(prefix)]

    async def row(self, media_id: str) -> dict[str, Any]:
        """The row of a media, as the database has it."""
        row = await self.database.fetch_one("SELECT * FROM media_files WHERE media_id = %(id)s", {"id": media_id})
        assert row is not None
        return row

    async def change(self, media_id: str, assignments: str) -> None:
        """Rewrite a row, to stand for time that has passed or for a process that has died."""
        query = f"UPDATE media_files SET {assignments} WHERE media_id = %(id)s"
        assert await self.database.execute(query, {"id": media_id}) == 1

    async def forget(self, media_id: str) -> None:
        """Remove a row, to stand for a database that lost it."""
        assert await self.database.execute("DELETE FROM media_files WHERE media_id = %(id)s", {"id": media_id}) == 1


TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# Of SeaweedFS.
PROBED = {CapabilityName.COPY_SOURCE_IF_MATCH.value: CapabilityVerdict.ENFORCED.value}

MakePlatform = Callable[..., AbstractAsyncContextManager[Platform]]


def spec_with(**fields: Any) -> MediaBucketSpec:
    """A spec with the defaults but for these camelCase fields."""
    return MediaBucketSpec.model_validate({"storeRef": {"name": "embedded"}} | fields)


@asynccontextmanager
async def running_platform(
    store: StoreConnection,
    settings: Settings,
    bucket: str,
    *,
    capabilities: dict[str, str] | None = None,
    **spec: Any,
) -> AsyncIterator[Platform]:
    """Run the application for a bucket, which is made when it is missing.

    `capabilities`: what a probe has found; by default as much of it as a confirm would find out once by itself.
    """
    admin = BucketAdmin.connect(store, bucket)
    if not admin.exists():
        admin.create(store.region, {})
    connection = BucketConnection(
        store=store,
        bucket=bucket,
        spec=spec_with(**spec),
        capabilities=PROBED if capabilities is None else capabilities,
    )
    app = create_app(settings, connection)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as http,
        # The store speaks plain HTTP; to read the certificates of the world takes 30 ms, for each of a thousand tests.
        httpx.AsyncClient(timeout=60, verify=TRUSTS_NOBODY) as client,
        open_storage(settings, connection) as storage,
    ):
        verifier = token_verifier(settings, connection)
        _, reaper = build_services(settings, connection, storage, Metrics(), verifier)
        yield Platform(app, connection, settings, http, client, storage.database, storage.objects, reaper)
