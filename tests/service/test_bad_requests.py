"""Requests that are wrong, each with the status, the kind of problem and the sentence a person would want."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from bad_request import ABSENT, ANNOUNCEMENT, INITIATE, SEND, BadRequest, asked, initiating, posted, sending, with_token
from service_platform import Platform, running_platform
from upload_client import File, make_token

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.settings import Settings

UNKNOWN = "019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
DELETED = "this media has been deleted"
EXPIRED = "this upload was not finished in time: initiate it again"
NOT_ARRIVED = "the bytes have not arrived: PUT them to upload_url, then confirm again"
OTHER_BYTES = f"the file's SHA-256 is {File(b'FAILED').sha256}, but {File(b'failed').sha256} was announced"
TOO_LONG = "the request body is larger than 262144 bytes; files go to upload_url, not to this API"
ALLOWED = (
    "image/jpeg, image/png, image/gif, image/webp, video/mp4, video/quicktime, audio/mpeg, audio/mp4, application/pdf"
)
KEY = "metadata has a key that must have"
ENTRIES = {str(number): "" for number in range(17)}
IDS = [str(uuid.UUID(int=number)) for number in range(51)]
IN_USE = "a message refers to this media: it can be deleted once no message does"
NOT_CONFIRMED = "this upload is not confirmed yet: upload the bytes, then confirm it"
NO_TOKEN = "send the header: Authorization: Bearer <token>"
SHA256 = "checksum must be the SHA-256 of the file as 64 hexadecimal digits or as base64 of its 32 bytes"
TYPE = "mime_type must be a type and a subtype without parameters, such as image/png"
WHOLE = "file_size must be a whole number"
CONTROL = "must not contain control characters"
SURROGATE = "must not contain half of a surrogate pair"
NOT_JSON = "body must be valid JSON in UTF-8"
NOT_AN_OBJECT = "body must be a JSON object, sent with Content-Type: application/json"
PRINTABLE = "must contain printable characters only"
MESSAGE_TYPE = "message_type must begin with a lower-case letter and contain only a-z, 0-9, - and _"
CURSOR = "before must be the next value of an earlier page"
STATUS = "status must be 'pending', 'completed', 'failed', 'expired' or 'deleted'"

ANNOUNCEMENTS = [
    initiating("no name", "file_name is required", file_name=ABSENT),
    initiating("no size", "file_size is required", file_size=ABSENT),
    initiating("no type", "mime_type is required", mime_type=ABSENT),
    initiating("no checksum", "checksum is required", checksum=ABSENT),
    initiating("name is null", "file_name must be a text", file_name=None),
    initiating("name is a number", "file_name must be a text", file_name=7),
    initiating("name is empty", "file_name must have at least 1 character", file_name=""),
    initiating("name is blank", "file_name must name a file, not a directory", file_name="   "),
    initiating("name is a directory", "file_name must name a file, not a directory", file_name="C:\\pictures\\"),
    initiating("name is ..", "file_name must name a file, not a directory", file_name="../.."),
    initiating("name is too long", "file_name must have at most 255 characters", file_name="é" * 256),
    initiating("name has NUL", f"file_name {CONTROL}", file_name="a\0.png"),
    initiating("name has a line break", f"file_name {CONTROL}", file_name="a.png\r\nX-Evil: 1"),
    initiating("name turns the direction of text", f"file_name {CONTROL}", file_name="a\u202egnp.exe"),
    initiating("name is half a surrogate pair", f"file_name {SURROGATE}", file_name="\ud800.png"),
    initiating("size is null", WHOLE, file_size=None),
    initiating("size is true", WHOLE, file_size=True),
    initiating("size is a text", WHOLE, file_size="900"),
    initiating("size is a fraction", WHOLE, file_size=1.5),
    initiating("size is a whole float", WHOLE, file_size=900.0),
    initiating("size is NaN", WHOLE, file_size=float("nan")),
    initiating("size is infinite", WHOLE, file_size=float("inf")),
    initiating("size is zero", "file_size must be at least 1", file_size=0),
    initiating("size is negative", "file_size must be at least 1", file_size=-1),
    initiating("size is huge", "file_size must be at most 9007199254740992", file_size=10**400),
    initiating(
        "size is over the limit",
        "the file has 104857601 bytes; at most 104857600 are allowed",
        slug="file-too-large",
        file_size=104_857_601,
    ),
    *(
        initiating(f"multipart is {value!r}", "multipart must be true or false", multipart=value)
        for value in ("true", "false", 1, 0, None)
    ),
    initiating("type is a list", "mime_type must be a text", mime_type=["image/png"]),
    initiating("type is empty", TYPE, mime_type=""),
    initiating("type has no subtype", TYPE, mime_type="image/"),
    initiating("type is a pattern", TYPE, mime_type="image/*, */*"),
    initiating("type has a parameter", TYPE, mime_type="image/png; charset=utf-8"),
    initiating("type has a line break", TYPE, mime_type="image/png\n"),
    initiating("type has NUL", TYPE, mime_type="image/\0png"),
    initiating("type is too long", "mime_type must have at most 127 characters", mime_type=f"image/{'x' * 130}"),
    initiating("type is half a surrogate pair", f"mime_type {SURROGATE}", mime_type="image/\udfff"),
    *(
        initiating(
            f"type is {mime_type}",
            f"files of type {mime_type} are not allowed; allowed are {ALLOWED}",
            slug="type-not-allowed",
            mime_type=mime_type,
        )
        for mime_type in ("text/html", "image/svg+xml", "application/octet-stream")
    ),
    initiating("checksum is null", SHA256, checksum=None),
    initiating("checksum is a number", SHA256, checksum=0),
    initiating("checksum is empty", SHA256, checksum=""),
    initiating("checksum is MD5", SHA256, checksum="d41d8cd98f00b204e9800998ecf8427e"),
    initiating("checksum is one digit short", SHA256, checksum="a" * 63),
    initiating("checksum has a wrong digit", SHA256, checksum="g" * 64),
    initiating("checksum has a line break", SHA256, checksum="a" * 64 + "\n"),
    initiating("checksum is base64 of 33 bytes", SHA256, checksum="A" * 44),
    initiating("checksum is URL-safe base64", SHA256, checksum=f"{'-' * 43}="),
    initiating("checksum is half a surrogate pair", SHA256, checksum="\ud800"),
    initiating("metadata is null", "metadata must be an object", metadata=None),
    initiating("metadata is a list", "metadata must be an object", metadata=[["key", "value"]]),
    initiating("metadata has 17 entries", "metadata must have at most 16 items", metadata=ENTRIES),
    initiating("metadata has a number", "metadata.width must be a text", metadata={"width": 5}),
    initiating("metadata is nested", "metadata.a must be a text", metadata={"a": {"b": "c"}}),
    initiating("metadata has an empty key", f"{KEY} at least 1 character", metadata={"": "x"}),
    initiating("metadata has a long key", f"{KEY} at most 64 characters", metadata={"k" * 65: ""}),
    initiating("metadata has NUL in a key", f"metadata has a key that {CONTROL}", metadata={"k\0": "x"}),
    initiating("metadata has a surrogate in a key", f"metadata has a key that {SURROGATE}", metadata={"\ud800": "x"}),
    initiating("metadata has a long value", "metadata.k must have at most 1024 characters", metadata={"k": "x" * 1025}),
    initiating("metadata has NUL in a value", f"metadata.k {CONTROL}", metadata={"k": "x\0"}),
    initiating("metadata has a surrogate in a value", f"metadata.k {SURROGATE}", metadata={"k": "\ud800"}),
    initiating(
        "everything at once",
        f"file_name is required; {WHOLE}; mime_type must be a text; {SHA256}",
        file_name=ABSENT,
        file_size="x",
        mime_type=5,
        checksum="",
    ),
    initiating(
        "another size than the stored file",
        "file_size is 1, but the file with this checksum has 17 bytes",
        file_size=1,
        checksum=File(b"completed").sha256,
    ),
]  # fmt: skip

GOOD_BODY = json.dumps(ANNOUNCEMENT).encode()
BODIES = [
    posted("no body", "body is required", b""),
    posted("not JSON", NOT_JSON, b"hello"),
    posted("cut short", NOT_JSON, GOOD_BODY[:-1]),
    posted("two documents", NOT_JSON, GOOD_BODY * 2),
    posted("not UTF-8", NOT_JSON, GOOD_BODY.replace(b"picture", b"\xe9\xff")),
    posted("compressed", NOT_JSON, b"\x1f\x8b\x08\0\0\0", Content_Encoding="gzip"),
    posted("a list", "body must be a JSON object", b"[" + GOOD_BODY + b"]"),
    posted("a text", "body must be a JSON object", json.dumps(GOOD_BODY.decode()).encode()),
    posted("null", "body must be a JSON object", b"null"),
    posted("lists nested too deep", NOT_JSON, b"[" * 10_000 + b"]" * 10_000),
    posted("objects nested too deep", NOT_JSON, b'{"file_name":' * 10_000),
    posted("a number with 5000 digits", NOT_JSON, b'{"file_size": ' + b"9" * 5_000 + b"}"),
    posted("text/plain", NOT_AN_OBJECT, GOOD_BODY, content_type="text/plain"),
    posted("a form", NOT_AN_OBJECT, b"file_name=a.png&file_size=1", content_type="application/x-www-form-urlencoded"),
    posted("the file itself", NOT_AN_OBJECT, b"--x\r\n\r\n--x--", content_type="multipart/form-data; boundary=x"),
    posted("no content type", NOT_AN_OBJECT, GOOD_BODY, content_type=None),
    posted("300 KiB announced", TOO_LONG, b" " * 300 * 1024, "request-too-large"),
    posted("300 KiB in parts", TOO_LONG, (b" " * 1024,) * 300, "request-too-large"),
    posted("much announced, little sent", TOO_LONG, GOOD_BODY, "request-too-large", Content_Length="99999999"),
    posted("no token, and a body that is wrong", NO_TOKEN, b"{}", "unauthenticated", Authorization=None),
]  # fmt: skip

MESSAGES = [
    sending("no conversation", "conversation_id is required", conversation_id=ABSENT),
    sending("conversation is a number", "conversation_id must be a text", conversation_id=5),
    sending("conversation is empty", "conversation_id must have at least 1 character", conversation_id=""),
    sending("conversation is too long", "conversation_id must have at most 128 characters", conversation_id="x" * 129),
    sending("conversation has NUL", f"conversation_id {PRINTABLE}", conversation_id="a\0"),
    sending("conversation is half a surrogate pair", f"conversation_id {SURROGATE}", conversation_id="\ud800"),
    sending("nothing to say", "body must have content, media_ids or both", content=ABSENT),
    sending("only white space", "body must have content, media_ids or both", content=" \n"),
    sending("content is null", "content must be a text", content=None),
    sending("content is a list", "content must be a text", content=["hello"]),
    sending("content is too long", "content must have at most 10000 characters", content="x" * 10_001),
    sending("content has NUL", "content must not contain NUL characters", content="a\0b"),
    sending("content is half a surrogate pair", f"content {SURROGATE}", content="hello \ud83d"),
    sending("type is null", "message_type must be a text", message_type=None),
    sending("type is empty", "message_type must have at least 1 character", message_type=""),
    sending("type is capitalised", MESSAGE_TYPE, message_type="Text"),
    sending("type has NUL", MESSAGE_TYPE, message_type="text\0"),
    sending("type is too long", "message_type must have at most 32 characters", message_type="x" * 33),
    sending("client id is a number", "client_message_id must be a text", client_message_id=7),
    sending("client id is empty", "client_message_id must have at least 1 character", client_message_id=""),
    sending("client id is too long", "client_message_id must have at most 128 characters", client_message_id="x" * 129),
    sending("client id has a line break", f"client_message_id {PRINTABLE}", client_message_id="a\nb"),
    sending("client id is half a surrogate pair", f"client_message_id {SURROGATE}", client_message_id="\udc00"),
    sending("media is null", "media_ids must be a list", media_ids=None),
    sending("media is one id", "media_ids must be a list", media_ids=UNKNOWN),
    sending("media is no id", "media_ids.1 must be a UUID", media_ids=["<completed>", "picture.png"]),
    sending("media is a number", "media_ids.0 must be a UUID", media_ids=[5]),
    sending("media has NUL", "media_ids.0 must be a UUID", media_ids=["\0"]),
    sending("51 media", "media_ids must have at most 50 items, not 51", media_ids=IDS),
    sending("the same media twice", "media_ids must not name the same media twice", media_ids=["<completed>"] * 2),
    sending("unknown media", f"you have no media {UNKNOWN}", "media-not-found", media_ids=["<completed>", UNKNOWN]),
    sending("media of somebody else", "you have no media <bobs>", "media-not-found", media_ids=["<bobs>"]),
    sending("deleted media", DELETED, "media-deleted", media_ids=["<completed>", "<deleted>"]),
    sending("refused media", OTHER_BYTES, "upload-mismatch", media_ids=["<failed>"]),
    sending("expired media", EXPIRED, "upload-expired", media_ids=["<expired>"]),
    sending("media that has not arrived", NOT_ARRIVED, "upload-missing", media_ids=["<pending>"]),
]  # fmt: skip

BY_ID = [
    *(
        asked(method, path.format(media_id), told.format(media_id), slug)
        for method, path in (
            ("GET", "/api/media/{}"),
            ("GET", "/api/media/{}/content"),
            ("POST", "/api/media/{}/confirm"),
            ("DELETE", "/api/media/{}"),
        )
        for media_id, told, slug in (
            ("picture.png", "media_id must be a UUID", "malformed-request"),
            (UNKNOWN, "you have no media {}", "media-not-found"),
            ("<bobs>", "you have no media {}", "media-not-found"),
        )
    ),
    asked("GET", "/api/media/%00", "media_id must be a UUID"),
    asked("GET", f"/api/media/{'9' * 5_000}", "media_id must be a UUID"),
    asked("GET", "/api/media/<deleted>", DELETED, "media-deleted"),
    asked("GET", "/api/media/<deleted>/content", DELETED, "media-deleted"),
    asked("GET", "/api/media/<expired>/content", EXPIRED, "upload-expired"),
    asked("GET", "/api/media/<failed>/content", OTHER_BYTES, "upload-mismatch"),
    asked("GET", "/api/media/<pending>/content", NOT_CONFIRMED, "upload-missing"),
    asked("POST", "/api/media/<deleted>/confirm", DELETED, "media-deleted"),
    asked("POST", "/api/media/<expired>/confirm", EXPIRED, "upload-expired"),
    asked("POST", "/api/media/<failed>/confirm", OTHER_BYTES, "upload-mismatch"),
    asked("POST", "/api/media/<pending>/confirm", NOT_ARRIVED, "upload-missing"),
    asked("DELETE", "/api/media/<in_use>", IN_USE, "media-in-use"),
]  # fmt: skip

MESSAGES_OF_A = "/api/messages?conversation_id=a"
QUERIES = [
    asked("GET", "/api/media?cursor=x", "cursor must be a UUID"),
    asked("GET", "/api/media?limit=0", "limit must be at least 1"),
    asked("GET", "/api/media?limit=101", "limit must be at most 100"),
    asked("GET", "/api/media?limit=1.5", "limit must be a whole number"),
    asked("GET", "/api/media?limit=", "limit must be a whole number"),
    asked("GET", f"/api/media?limit={'9' * 5_000}", "limit has too many digits"),
    asked("GET", "/api/media?status=done", STATUS),
    asked("GET", "/api/media?status=%00", STATUS),
    asked("GET", "/api/media?status=%ff%fe", STATUS),
    asked("GET", "/api/media?media_type=zip", "media_type must be 'image', 'video', 'audio' or 'document'"),
    asked("GET", f"/api/media?cursor={'x' * 60_000}", "cursor must be a UUID"),
    asked("GET", "/api/messages", "conversation_id is required"),
    asked("GET", "/api/messages?conversation_id=", "conversation_id must have at least 1 character"),
    asked("GET", f"/api/messages?conversation_id={'x' * 129}", "conversation_id must have at most 128 characters"),
    asked("GET", "/api/messages?conversation_id=%00", f"conversation_id {PRINTABLE}"),
    asked("GET", f"{MESSAGES_OF_A}&before=yesterday", CURSOR),
    asked("GET", f"{MESSAGES_OF_A}&before={'-' * 32}", CURSOR),
    asked("GET", f"{MESSAGES_OF_A}&before={'x' * 65}", "before must have at most 64 characters"),
    asked("GET", f"{MESSAGES_OF_A}&limit=-1", "limit must be at least 1"),
]

NOWHERE = [
    asked("GET", path, "there is nothing at this address", "not-found")
    for path in (
        "/api",
        "/API/media",
        "/api/media/%2e%2e/messages",
        "/api/media/..%2f..%2fmetrics",
        "/web/",
        "/web/../problems.py",
        "/web/%2e%2e/problems.py",
        "/web/..%2f..%2fproblems.py",
        "/web//etc/passwd",
        "/web/%00",
        f"/web/{'x' * 5_000}",
    )
]
NO_SUCH_METHOD = [
    asked(method, path, "this address does not answer that method", "method-not-allowed")
    for method, path in (
        ("GET", INITIATE),
        ("PUT", "/api/media"),
        ("PATCH", f"/api/media/{UNKNOWN}"),
        ("GET", f"/api/media/{UNKNOWN}/confirm"),
        ("GET", SEND),
        ("POST", "/api/messages"),
        ("POST", "/healthz"),
        ("POST", "/web/page.js"),
        ("TRACE", "/"),
        ("BREW", "/api/media"),
    )
]
TOKENS = [
    with_token("none", NO_TOKEN, None),
    with_token("empty", NO_TOKEN, ""),
    with_token("no token after Bearer", "the Authorization header must be: Bearer <token>", "Bearer "),
    with_token("a password", "the Authorization header must be: Bearer <token>", "Basic YWxpY2U6cHc="),
    with_token("garbage", "the token is malformed", "Bearer garbage"),
    with_token("not ASCII", "the token is malformed", b"Bearer \xff\xfe"),
    with_token("expired", "the token has expired", f"Bearer {make_token('alice', exp=1_000_000_000)}"),
    with_token("another secret", "the signature of the token is wrong", f"Bearer {make_token('alice', 'x' * 40)}"),
    with_token(
        "alg none",
        "the token is signed with an algorithm that this service does not accept",
        f"Bearer {jwt.encode({'sub': 'alice', 'exp': 9_999_999_999}, '', algorithm='none')}",
    ),
    with_token("too long", "the token is longer than 8192 characters", f"Bearer {'x' * 8193}"),
    with_token(
        "nobody", "the sub claim of the token must be a text of 1 to 255 characters", f"Bearer {make_token('')}"
    ),
]
BAD_REQUESTS = [
    *ANNOUNCEMENTS, *BODIES, *MESSAGES, *BY_ID, *QUERIES, *NOWHERE, *NO_SUCH_METHOD, *TOKENS
]  # fmt: skip
# What only somebody who knows the service's inside would understand.
JARGON = re.compile(
    r"Input|[Ss]hould|pattern|instance|dict|str\b|\bint\b|float|None|NoneType|True|False|Error|Exception|parse|\[|\\|\^",
)


@pytest.fixture(scope="module")
async def platform(seaweedfs: SeaweedFS, settings: Settings) -> AsyncIterator[Platform]:
    """One application for all rows: none of them may change anything."""
    async with running_platform(seaweedfs.connection, settings, f"test-{uuid.uuid4().hex[:20]}") as running:
        yield running


@pytest.fixture(scope="module")
async def ids(platform: Platform) -> dict[str, str]:
    """A media in every state, by the name that rows use."""
    alice, bob = platform.user("alice"), platform.user("bob")
    completed, in_use, deleted = [await alice.upload(File(name)) for name in (b"completed", b"in use", b"deleted")]
    assert (await alice.send(media_ids=[in_use["media_id"]])).status_code == 200
    assert (await alice.delete(deleted["media_id"])).status_code == 204
    failed, expired, pending = [
        (await alice.initiate(File(name))).json() for name in (b"failed", b"expired", b"pending")
    ]
    await alice.put(failed, b"FAILED")
    assert (await alice.confirm(failed["media_id"])).status_code == 422
    await platform.change(expired["media_id"], "expires_at = now() - interval '1 second'")
    await platform.reaper.clean_up()
    media = {"completed": completed, "in_use": in_use, "deleted": deleted, "failed": failed, "expired": expired}
    media |= {"pending": pending, "bobs": await bob.upload(File(b"bob's"))}
    return {name: found["media_id"] for name, found in media.items()}


async def everything_stored(platform: Platform) -> list[Any]:
    """The rows of the bucket, the number of all messages and references, and the keys of the bucket."""
    bucket = {"bucket": platform.connection.bucket}
    media = await platform.database.fetch_all(
        "SELECT * FROM media_files WHERE bucket = %(bucket)s ORDER BY media_id", bucket
    )
    counts = await platform.database.fetch_one(
        "SELECT (SELECT count(*) FROM messages) AS messages, (SELECT count(*) FROM media_references) AS used", {}
    )
    return [media, counts, await platform.keys()]


async def answer_to(platform: Platform, request: BadRequest) -> httpx.Response:
    own = {name: value.encode() for name, value in platform.user().headers.items()}
    headers = {**own, **request.headers}
    sent = {name.encode(): value for name, value in headers.items() if value is not None}
    return await platform.http.request(request.method, request.path, content=request.content(), headers=sent)


def test_the_table_is_long_and_no_row_is_twice() -> None:
    assert len({row.name for row in BAD_REQUESTS}) == len(BAD_REQUESTS) >= 75


@pytest.mark.parametrize("row", BAD_REQUESTS, ids=lambda row: row.name)
async def test_a_bad_request_is_told_what_is_wrong_and_changes_nothing(
    platform: Platform, ids: dict[str, str], row: BadRequest
) -> None:
    request = row.naming(ids)
    before = await everything_stored(platform)
    answer = await answer_to(platform, request)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["detail"] == request.told
    assert problem["error"] == problem["detail"]
    assert problem["type"] == f"urn:mediabucket:problem:{request.slug}"
    assert problem["status"] == answer.status_code == request.status
    assert problem["title"][0].isupper()
    assert len(problem["detail"]) < 400
    assert not JARGON.search(problem["detail"])
    assert await everything_stored(platform) == before
