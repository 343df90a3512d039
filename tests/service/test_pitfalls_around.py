"""The pitfalls of direct uploads, P13 to P26: rows, ids, limits, names, clocks and logs. P1 to P12: test_pitfalls.py.

Four are tested where they belong, under the same kind of name:
P17 (an extra signed header that CORS does not allow): tests/s3/test_presign.py, and in a browser tests/e2e/
test_front_end.py, `test_the_front_ends_code_runs_in_a_page_of_another_origin`.
P18 (bucket configuration overwritten): tests/operator/test_aspects.py; and tests/operator/test_reconcile.py,
`test_what_others_set_up_stays`, `test_applying_twice_writes_once`.
P19 (deleting the resource deletes data, or never ends): tests/kube/test_deletion.py.
P21 (image bombs, parser CVEs): media/test_measuring.py. Nothing is decoded, and a published file is what was uploaded,
byte for byte; but the first bytes of what was proved are parsed for its measures, at confirm.
"""

import ast
import asyncio
import logging
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from erasing import Store, erase_to_the_end
from pydantic import SecretStr
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

GOOD = File(b"good bytes" * 100)
TESTS = Path(__file__).parents[1]


async def test_p13_a_message_never_names_what_its_readers_cannot_see(
    alice: UploadClient, bob: UploadClient, platform: Platform
) -> None:
    bobs = (await bob.upload(GOOD))["media_id"]
    deleted = (await alice.upload(File(b"deleted")))["media_id"]
    await alice.delete(deleted)
    pending = (await alice.initiate(File(b"pending"))).json()["media_id"]
    own = (await alice.upload(File(b"own")))["media_id"]
    for media_id, status in ((bobs, 404), (deleted, 410), (pending, 409), (str(uuid.uuid4()), 404)):
        refused = await alice.send(media_ids=[own, media_id], conversation_id="p13")
        assert refused.status_code == status
    assert (await alice.call("GET", "/api/messages?conversation_id=p13")).json()["items"] == []
    assert (await alice.delete(own)).status_code == 204, "the refused messages refer to nothing"
    assert bobs in str(await platform.keys())


async def test_p14_key_chosen_by_the_client_or_guessable(alice: UploadClient, platform: Platform) -> None:
    wanted = {"key": "uploads/x", "file_path": "uploads/x", "media_id": str(uuid.uuid4()), "upload_id": "x"}
    tickets = [(await alice.initiate(File(b"%d" % number), **wanted)).json() for number in range(20)]
    ids = [uuid.UUID(ticket["media_id"]) for ticket in tickets]
    assert {found.version for found in ids} == {7}
    assert len({found.int & (2**62 - 1) for found in ids}) == len(ids), "62 random bits beside the time"
    for ticket in tickets:
        path = urlsplit(ticket["upload_url"]).path
        assert path == f"/{platform.connection.bucket}/pending/{ticket['media_id']}"
        for other in ("uploads/x", "pending/x", f"pending/{uuid.uuid4()}", f"pending/{ticket['media_id']}.verified"):
            moved = ticket["upload_url"].replace(f"pending/{ticket['media_id']}", other)
            stored = await alice.store.put(moved, content=b"0", headers=ticket["headers"])
            assert stored.status_code == 403
    assert await platform.keys() == []


async def test_p15_not_yours_is_not_there_and_urls_are_for_one_purpose(
    alice: UploadClient, bob: UploadClient, platform: Platform
) -> None:
    """That foreign ids are answered as unknown ones, for every call, is in test_foreign_ids.py."""
    media = await alice.upload(GOOD)
    foreign, unknown = await bob.get(media["media_id"]), await bob.get(str(uuid.uuid4()))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.headers.keys() == unknown.headers.keys()
    assert foreign.json().keys() == unknown.json().keys()
    ticket = await alice.begin(File(b"purpose"))
    for url, methods in ((ticket["upload_url"], ("GET", "HEAD", "DELETE")), (media["url"], ("PUT", "DELETE", "POST"))):
        for method in methods:
            answer = await platform.store.request(method, url, headers=ticket["headers"], content=b"x")
            assert answer.status_code in (400, 403, 405)
    assert (await alice.download(media["url"])).content == GOOD.content


@pytest.mark.parametrize(("limits", "allowed"), [({"pendingPerUser": 2}, 2), ({"bytesPerUser": 2_500}, 2)])
async def test_p16_amplifier(make_platform: MakePlatform, limits: dict[str, int], allowed: int) -> None:
    """Two replicas, asked at once: what is counted is in the database, and what ends is given back."""
    async with make_platform(uploads={"limits": limits}) as one, make_platform(uploads={"limits": limits}) as other:
        files = [File(b"%1000d" % number) for number in range(12)]
        users = [platform.user() for platform in (one, other)]
        answers = await asyncio.gather(*(users[number % 2].initiate(file) for number, file in enumerate(files)))
        taken = [answer.json()["media_id"] for answer in answers if answer.status_code == 200]
        assert len(taken) == allowed
        assert {answer.status_code for answer in answers} == {200, 429}
        assert (await one.user("bob").initiate(GOOD)).status_code == 200, "a limit is one user's"
        await users[0].delete(taken[0])
        assert (await users[1].initiate(files[0])).status_code == 200
        assert (await users[0].initiate(File(b"%1000d" % 99))).status_code == 429


async def test_p20_delete_in_a_versioned_bucket(make_platform: MakePlatform) -> None:
    """Erasing a user removes every version; a marker on top of the bytes would be no erasure."""
    async with make_platform() as platform:
        store = Store(platform)
        store.keep_versions()
        alice = platform.user()
        ticket = await alice.begin(GOOD)
        await alice.put(ticket, GOOD.content)
        assert (await alice.confirm(ticket["media_id"])).status_code == 200
        deleted = await alice.upload(File(b"deleted"))
        assert (await alice.delete(deleted["media_id"])).status_code == 204
        assert len(await store.all_versions()) > len(await platform.keys())
        report = await erase_to_the_end(platform, "alice")
        assert report["media"] == 2
        assert await store.all_versions() == []


EVENTS_SECRET = "a secret that the store knows as well"


async def notified(platform: Platform, *keys: str, bucket: str | None = None) -> int:
    """The store says that these keys were written; the status of the answer."""
    named = bucket or platform.connection.bucket
    records = [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": named}, "object": {"key": key}}} for key in keys
    ]
    secret = {"Authorization": f"Bearer {EVENTS_SECRET}"}
    return (await platform.http.post("/api/events/s3", json={"Records": records}, headers=secret)).status_code


async def test_p22_duplicate_late_reordered_events(make_platform: MakePlatform) -> None:
    """An event is a hint to look, however often and whenever it comes; what it says is never taken for true."""
    async with make_platform(settings_changes={"events_secret": SecretStr(EVENTS_SECRET)}) as platform:
        alice = platform.user()
        ticket = (await alice.initiate(GOOD)).json()
        key = f"pending/{ticket['media_id']}"
        await notified(platform, key, "pending/x", "uploads/x", "../x", "pending/../uploads/x")
        await notified(platform, key, bucket="another")
        assert (await platform.row(ticket["media_id"]))["status"] == "pending", "too early, or of no concern"
        await alice.put(ticket, GOOD.content)
        assert set(await asyncio.gather(*(notified(platform, key, key) for _ in range(5)))) == {200}
        row = await platform.row(ticket["media_id"])
        assert (row["status"], await platform.keys()) == ("completed", [row["file_path"]])
        assert (await alice.delete(ticket["media_id"])).status_code == 204
        await alice.put(ticket, GOOD.content)
        assert await notified(platform, key) == 200
        assert (await platform.row(ticket["media_id"]))["status"] == "deleted", "nothing comes back to life"
        refused = (await alice.initiate(File(b"announced"))).json()
        await alice.put(refused, b"different")
        await notified(platform, f"pending/{refused['media_id']}")
        assert (await platform.row(refused["media_id"]))["status"] == "failed"


NAMES = {
    "a\u0308.png": "\u00e4.png",
    "../../etc/passwd": "passwd",
    "C:\\pictures\\x.png": "x.png",
    'x.png"; filename="y.exe': 'x.png"; filename="y.exe',
    "\u6f22\u5b57 \U0001f600.png": "\u6f22\u5b57 \U0001f600.png",
    "%0d%0aSet-Cookie: a=b": "%0d%0aSet-Cookie: a=b",
    "\U0001f600" * 255: "\U0001f600" * 255,
}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_p23_file_name_as_header_or_path(alice: UploadClient, platform: Platform, name: str) -> None:
    media = await alice.upload(File(GOOD.content, name))
    assert media["file_name"] == NAMES[name]
    download = await alice.download(media["url"])
    _, _, told = download.headers["content-disposition"].partition("filename*=UTF-8''")
    assert unquote(told) == NAMES[name]
    assert "set-cookie" not in download.headers
    [key] = await platform.keys()
    assert key.isascii()
    assert key.rpartition("/")[2].startswith(media["media_id"])


@pytest.mark.parametrize("name", ["\U0001d160" * 86, "\u0958" * 128], ids=["three of one", "two of one"])
async def test_p23_a_name_is_measured_as_it_is_kept(alice: UploadClient, name: str) -> None:
    """Within 255 characters as sent, beyond them in NFC."""
    refused = await alice.initiate(GOOD, file_name=name)
    assert refused.status_code == 400
    assert refused.json()["detail"] == "file_name must have at most 255 characters in Unicode NFC"


async def test_p24_clock_skew(make_platform: MakePlatform) -> None:
    """A client needs no clock of its own, and a URL that has expired is got anew for the same media."""
    async with make_platform(uploads={"urlTTLSeconds": 1}) as platform:
        alice = platform.user()
        ticket = (await alice.initiate(GOOD)).json()
        assert ticket["expires_in"] == 1
        signed_at = datetime.strptime(
            parse_qs(urlsplit(ticket["upload_url"]).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z"
        )
        assert datetime.fromisoformat(ticket["expires_at"]) == signed_at + timedelta(seconds=1)
        assert abs(datetime.now(UTC) - signed_at) < timedelta(seconds=10)
        await asyncio.sleep(2.1)
        assert (await alice.put(ticket, GOOD.content)).status_code == 403
        again = await alice.begin(GOOD)
        assert again["media_id"] == ticket["media_id"]
        assert (await alice.confirm(again["media_id"])).status_code == 200


async def test_p25_urls_in_logs_and_caches(alice: UploadClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        initiated = await alice.initiate(GOOD)
        await alice.put(initiated.json(), GOOD.content)
        confirmed = await alice.confirm(initiated.json()["media_id"])
        content = await alice.call("GET", f"/api/media/{initiated.json()['media_id']}/content")
        await alice.call("GET", f"/api/media/{initiated.json()['upload_url'].partition('?')[2]}")
    for answer in (initiated, confirmed, content):
        assert "X-Amz-Signature" in answer.text + str(answer.headers)
        assert answer.headers["cache-control"] == "no-store"
    # The client's own records are not the service's; nor are the store's server's.
    own = [record for record in caplog.records if record.name.startswith(("mediabucket", "uvicorn", "fastapi"))]
    assert not [record for record in own if "X-Amz-Signature" in f"{record.getMessage()} {vars(record)}"]


def test_p26_no_test_of_the_service_uses_moto() -> None:
    """It enforces nothing of what is proved here: no signature, no length, no checksum, no condition."""
    files = [*(TESTS / "service").rglob("*.py"), *(TESTS / "support").glob("*.py"), TESTS / "conftest.py"]
    assert len(files) > 40
    users = [file.name for file in files if "moto" in imported(file)]
    assert users == []


def imported(file: Path) -> set[str]:
    """The top-level packages that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names
