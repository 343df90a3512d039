"""The running application as tests see it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from upload_client import UploadClient

from mediabucket_api.connection import BucketConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.database import Database
from mediabucket_service.dependencies import Services
from mediabucket_service.media.reaper import Reaper
from mediabucket_service.settings import Settings


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


MakePlatform = Callable[..., AbstractAsyncContextManager[Platform]]


def spec_with(**fields: Any) -> MediaBucketSpec:
    """A spec with the defaults but for these camelCase fields."""
    return MediaBucketSpec.model_validate({"storeRef": {"name": "embedded"}} | fields)
