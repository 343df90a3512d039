"""The store has no room: the upload stays as it is, its uploader is told why; with room again it is completed."""

from pathlib import Path

import pytest
from real_service import real_service
from service_platform import Platform
from tcp_proxy import Refusal, TcpProxy
from upload_client import File
from uploaders import require_no_orphans, require_nothing_lost

PICTURE = File(b"a picture" * 100)
NO_ROOM = [
    Refusal("507 Insufficient Storage", "InsufficientStorage", "There is not enough storage."),
    Refusal("507 Insufficient Storage", "XMinioStorageFull", "Storage backend has reached its minimum free drive."),
    Refusal("403 Forbidden", "QuotaExceeded", "The quota is exceeded."),
]


@pytest.mark.promise(6)
@pytest.mark.parametrize("refusal", NO_ROOM, ids=lambda refusal: refusal.code)
async def test_a_full_store(platform: Platform, refusal: Refusal, tmp_path: Path) -> None:
    store_port = int(platform.connection.store.endpoint.rpartition(":")[2])
    with TcpProxy(store_port) as proxy, real_service(platform, tmp_path, store_port=proxy.port) as service:
        async with service.client() as http:
            alice = service.user(http)
            ticket = await alice.begin(PICTURE)
            proxy.writes_refused = refusal
            refused = await alice.confirm(ticket["media_id"])
            assert proxy.failed > 0
            assert refused.status_code == 503, refused.text
            assert refused.json()["detail"] == "the store has no room for this file; try again in 60 seconds"
            assert refused.json()["dependency"] == "store"
            assert refused.headers["retry-after"] == "60"
            assert (await alice.get(ticket["media_id"])).json()["status"] == "pending"
            assert refusal.code in service.text(), "whoever runs the store finds out"

            proxy.writes_refused = None
            completed = await alice.confirm(ticket["media_id"])
            assert completed.status_code == 200, completed.text
            assert (await alice.download(completed.json()["url"])).content == PICTURE.content
    await require_nothing_lost(platform, {ticket["media_id"]: PICTURE})
    await require_no_orphans(platform)
