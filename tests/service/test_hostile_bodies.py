"""Bodies that two readers would read differently, or that claim what is not the caller's to say."""

import gzip
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from service_platform import Platform, running_platform
from upload_client import File, UploadClient

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.body_limit import MAX_BODY_BYTES
from mediabucket_service.settings import Settings

INITIATE = "/api/media/upload/initiate"
SEND = "/api/messages/send"
NOT_JSON = "body must be valid JSON in UTF-8"
GOOD = {
    INITIATE: File(b"a hostile body").announcement(),
    f"{INITIATE}/batch": {"files": [File(b"a hostile body").announcement()]},
    SEND: {"conversation_id": "hostile", "content": "hello"},
}


@pytest.fixture(scope="module")
async def platform(seaweedfs: SeaweedFS, settings: Settings) -> AsyncIterator[Platform]:
    async with running_platform(seaweedfs.connection, settings, f"test-{uuid.uuid4().hex[:20]}") as running:
        yield running


async def posted(user: UploadClient, path: str, body: bytes, **headers: str) -> httpx.Response:
    sent = {**user.headers, "Content-Type": "application/json", **headers}
    return await user.http.post(path, content=body, headers=sent)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-7"])
@pytest.mark.parametrize("path", GOOD)
async def test_json_in_another_encoding_is_refused(alice: UploadClient, path: str, encoding: str) -> None:
    """RFC 8259 section 8.1; Python's reader guesses, a firewall's may not."""
    text = json.dumps(GOOD[path])
    body = text.encode(encoding) if encoding != "utf-7" else text.replace('"', "+ACI-").encode()
    answer = await posted(alice, path, body)
    assert answer.status_code == 400
    assert answer.json()["detail"] == NOT_JSON


@pytest.mark.parametrize("path", GOOD)
async def test_a_charset_named_beside_the_body_changes_nothing(alice: UploadClient, path: str) -> None:
    body = json.dumps(GOOD[path]).encode()
    for charset in ("utf-16", "latin-1", "utf-7", "x"):
        answer = await posted(alice, path, body, **{"Content-Type": f"application/json; charset={charset}"})
        assert answer.status_code == 200


@pytest.mark.parametrize("path", GOOD)
async def test_a_byte_order_mark_is_refused_or_no_part_of_the_body(alice: UploadClient, path: str) -> None:
    answer = await posted(alice, path, b"\xef\xbb\xbf" + json.dumps(GOOD[path]).encode())
    assert answer.status_code in (200, 400)
    twice = await posted(alice, path, b"\xef\xbb\xbf" * 2 + json.dumps(GOOD[path]).encode())
    assert twice.status_code == 400


@pytest.mark.parametrize(
    "hidden",
    [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xc3\x28"],
    ids=["no start", "overlong slash", "surrogate", "beyond Unicode", "cut", "wrong continuation"],
)
async def test_text_that_is_not_utf_8_is_refused(alice: UploadClient, hidden: bytes) -> None:
    for path, body in GOOD.items():
        text = json.dumps(body).replace("hello", "*").replace("picture", "*").encode()
        answer = await posted(alice, path, text.replace(b"*", hidden, 1))
        assert answer.status_code == 400
        told = answer.json()["detail"]
        assert told == NOT_JSON or told.endswith("must not contain half of a surrogate pair")


async def test_of_a_repeated_member_the_checked_one_is_kept(alice: UploadClient, platform: Platform) -> None:
    """The last counts, for the check and for the row alike: no member slips past the check under another's name."""
    last = b', "file_size": 7, "mime_type": "image/gif", "file_name": "last.gif"}'
    answer = await posted(alice, INITIATE, json.dumps(GOOD[INITIATE]).encode()[:-1] + last)
    row = await platform.row(answer.json()["media_id"])
    assert (row["file_size"], row["mime_type"], row["file_name"]) == (7, "image/gif", "last.gif")
    for member in (b'"file_size": 999999999999', b'"mime_type": "text/html"', b'"file_name": "../"'):
        refused = await posted(alice, INITIATE, json.dumps(GOOD[INITIATE]).encode()[:-1] + b", " + member + b"}")
        assert refused.status_code == 400


FOREIGN_MEMBERS = {
    "media_id": "019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
    "uploaded_by": "bob",
    "bucket": "another",
    "status": "completed",
    "file_path": "uploads/2026/01/bob/x.png",
    "duplicate_of": "019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
    "upload_id": "x",
    "etag": "x",
    "expires_at": "2999-01-01T00:00:00Z",
    "checksum_bytes": "x",
    "__class__": "x",
}


async def test_members_that_nobody_asked_for_change_nothing(alice: UploadClient, platform: Platform) -> None:
    answer = await alice.call("POST", INITIATE, GOOD[INITIATE] | FOREIGN_MEMBERS)
    row = await platform.row(answer.json()["media_id"])
    assert (row["uploaded_by"], row["bucket"], row["status"]) == ("alice", platform.connection.bucket, "pending")
    assert row["media_id"] != uuid.UUID(FOREIGN_MEMBERS["media_id"])
    assert row["file_path"].split("/")[3] == "alice"
    assert (row["duplicate_of"], row["upload_id"], row["etag"], row["expires_at"].year < 2900) == (
        None,
        None,
        None,
        True,
    )


async def test_a_message_has_the_callers_name_whatever_it_says(alice: UploadClient) -> None:
    claimed = {"sender": "bob", "message_id": FOREIGN_MEMBERS["media_id"], "sent_at": "1999-01-01T00:00:00Z"}
    sent = (await alice.send(content="hello", **claimed)).json()
    assert sent["sender"] == "alice"
    assert sent["message_id"] != claimed["message_id"]
    assert not sent["sent_at"].startswith("1999")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e5", "900.0", "9" * 4_000, "NaN", "Infinity", "0x384", "٩٠٠"])
async def test_a_size_is_written_as_a_whole_number(alice: UploadClient, number: str) -> None:
    body = json.dumps(GOOD[INITIATE] | {"file_size": "<size>"}).replace('"<size>"', number).encode()
    answer = await posted(alice, INITIATE, body)
    assert answer.status_code == 400
    assert answer.json()["detail"] in (
        "file_size must be a whole number",
        "file_size must be at most 9007199254740992",
        NOT_JSON,
    )


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("field", ["metadata", "file_name", "unknown"])
async def test_deep_nesting_ends_in_400(alice: UploadClient, field: str, opening: str) -> None:
    for depth in (100, 1_000, 40_000):
        closing = "".join({"[": "]", "{": "}"}[character] for character in reversed(opening) if character in "[{")
        deep = f"{opening * depth}1{closing * depth}"
        body = json.dumps(GOOD[INITIATE] | {field: "<deep>"}).replace('"<deep>"', deep).encode()
        answer = await posted(alice, INITIATE, body[:MAX_BODY_BYTES])
        # What nobody asked for is not looked into, unless it cannot be read.
        assert answer.status_code == 400 or (field == "unknown" and answer.status_code == 200)


@pytest.mark.parametrize("path", GOOD)
async def test_compressed_bodies_are_not_unpacked(alice: UploadClient, path: str) -> None:
    small = json.dumps(GOOD[path]).encode()
    bomb = gzip.compress(small + b" " * 16 * 1024**2, compresslevel=1)[:MAX_BODY_BYTES]
    for body in (gzip.compress(small), bomb):
        for coding in ("gzip", "deflate", "gzip, gzip", "identity"):
            answer = await posted(alice, path, body, **{"Content-Encoding": coding})
            assert answer.status_code == 400
            assert answer.json()["detail"] == NOT_JSON


WRONG_TYPES: list[dict[str, Any]] = [
    {"Content-Type": value}
    for value in (
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "*/*",
        "json",
        "",
    )
]


@pytest.mark.parametrize("headers", WRONG_TYPES, ids=str)
@pytest.mark.parametrize("path", GOOD)
async def test_what_a_form_of_another_site_could_send_is_refused(
    alice: UploadClient, path: str, headers: dict[str, str]
) -> None:
    answer = await posted(alice, path, json.dumps(GOOD[path]).encode(), **headers)
    assert answer.status_code == 400
    assert "Content-Type: application/json" in answer.json()["detail"]
