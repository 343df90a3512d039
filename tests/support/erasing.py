"""What tests of erasures do: call it as an administrator, and look at every version in the store."""

import asyncio
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from service_platform import Platform
from upload_client import File, UploadClient, make_token
from webhook_receiver import SECRET

from mediabucket_api.connection import webhook_secret_variable
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.connect import administration_client
from mediabucket_s3.objects import ObjectVersion

ADMINISTRATOR = "administrator"


async def erase(platform: Platform, user: str, **claims: Any) -> httpx.Response:
    """One call, by default with the scope that it needs."""
    token = make_token(ADMINISTRATOR, **({"scope": "openid media:admin"} | claims))
    path = f"/api/users/{quote(user, safe='')}/media"
    return await platform.http.delete(path, headers={"Authorization": f"Bearer {token}"})


async def erase_to_the_end(platform: Platform, user: str) -> dict[str, Any]:
    """Call as often as needed, as told; answers the report."""
    async with asyncio.timeout(60):
        while True:
            answer = await erase(platform, user)
            assert answer.status_code in (200, 202), answer.text
            report: dict[str, Any] = answer.json()
            assert (report["completed_at"] is None) == (answer.status_code == 202)
            if answer.status_code == 200:
                return report
            await asyncio.sleep(float(answer.headers["retry-after"]) / 10)


async def rows_of(platform: Platform, user: str) -> list[dict[str, Any]]:
    """All rows of a user, oldest first."""
    return await platform.database.fetch_all(
        "SELECT * FROM media_files WHERE bucket = %(bucket)s AND uploaded_by = %(user)s ORDER BY media_id",
        {"bucket": platform.connection.bucket, "user": user},
    )


def unreachable_webhook(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """For `uploads`: every change of a media is to be told to somebody who does not answer."""
    monkeypatch.setenv(webhook_secret_variable("chat"), SECRET)
    return {"webhooks": [{"name": "chat", "url": "http://127.0.0.1:9/", "secretRef": {"name": "chat"}}]}


async def upload_duplicate(platform: Platform, user: UploadClient, file: File, original: dict[str, Any]) -> str:
    """A second upload of the same file, begun before the first was completed: as a race would make it."""
    await platform.change(original["media_id"], "checksum = decode(repeat('00', 32), 'hex')")
    ticket = await user.begin(file)
    await platform.change(original["media_id"], f"checksum = decode('{file.sha256}', 'hex')")
    assert (await user.confirm(ticket["media_id"])).status_code == 200
    row = await platform.row(ticket["media_id"])
    assert str(row["duplicate_of"]) == original["media_id"]
    return str(ticket["media_id"])


class Store:
    """The bucket, by its administrator."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._client = administration_client(platform.connection.store)
        self._bucket = platform.connection.bucket

    def keep_versions(self) -> None:
        BucketAdmin.connect(self._platform.connection.store, self._bucket).put_versioning("Enabled")

    async def all_versions(self) -> list[ObjectVersion]:
        return [version async for version in self._platform.objects.versions("")]

    async def versions_of(self, rows: list[dict[str, Any]]) -> list[ObjectVersion]:
        """Versions and delete markers under any key that names one of these media."""
        names = [str(row["media_id"]) for row in rows]
        return [found for found in await self.all_versions() if any(name in found.key for name in names)]

    async def begin_parts(self, media_id: str) -> str:
        """Begin a multipart upload; answers its id."""
        target: dict[str, Any] = {"Bucket": self._bucket, "Key": f"pending/{media_id}"}
        made = await asyncio.to_thread(self._client.create_multipart_upload, **target)
        upload_id = str(made["UploadId"])
        part = target | {"PartNumber": 1, "UploadId": upload_id, "Body": b"a part"}
        await asyncio.to_thread(partial(self._client.upload_part, **part))
        return upload_id

    async def uploads(self) -> list[str]:
        """The keys of multipart uploads that are neither completed nor aborted."""
        return [upload.key async for upload in self._platform.objects.list_multipart_uploads("pending/")]
