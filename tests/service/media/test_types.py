"""Types, sizes, durations and download headers, through the API and on a real store."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from sample_files import ELF, HTML, PORTABLE_EXECUTABLE, SAMPLES, SCRIPT, SVG, archive, gif, iso_media, jpeg, mp3
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_api.spec import DEFAULT_MIME_TYPES
from mediabucket_cli.demo_story.files import png
from mediabucket_s3.connect import object_client
from mediabucket_s3.errors import StoreUnavailable
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.repository import DuplicatePublished, MediaRepository
from mediabucket_service.media.sniffing import HEAD_BYTES

ZIP = archive(("a.txt", b"a"))
SIGNED = {"integrity": "Signed"}


def real(content: bytes, mime_type: str, name: str = "file") -> File:
    return File(content, name, mime_type, as_is=True)


def allowing(*mime_types: str) -> dict[str, Any]:
    return {"allowedMimeTypes": [*DEFAULT_MIME_TYPES, *mime_types]}


async def headers_at_rest(platform: Platform, media: dict[str, Any]) -> tuple[str, str]:
    """Type and disposition that the store has for a published object, which a CDN or anybody with PublicRead gets."""
    key = (await platform.row(media["media_id"]))["file_path"]
    async with object_client(platform.connection.store) as client:
        answer = await client.head_object(Bucket=platform.connection.bucket, Key=key)
    return answer["ContentType"], answer.get("ContentDisposition", "")


@pytest.mark.parametrize("mime_type", DEFAULT_MIME_TYPES)
async def test_an_honest_file_of_each_default_type_is_published(alice: UploadClient, mime_type: str) -> None:
    media = await alice.upload(real(SAMPLES[mime_type], mime_type))
    assert media["status"] == "completed"
    answer = await alice.download(media["url"])
    assert (answer.content, answer.headers["content-type"]) == (SAMPLES[mime_type], mime_type)


@pytest.mark.parametrize(
    ("content", "announced", "told"),
    [
        (HTML, "image/png", "the file looks like text/html, but image/png was announced"),
        (SVG, "image/gif", "the file looks like image/svg+xml, but image/gif was announced"),
        (SCRIPT, "audio/mpeg", "the file looks like text/x-shellscript, but audio/mpeg was announced"),
        (ELF, "video/mp4", "the file looks like application/x-executable, but video/mp4 was announced"),
        (
            PORTABLE_EXECUTABLE,
            "application/pdf",
            "the file looks like application/vnd.microsoft.portable-executable, but application/pdf was announced",
        ),
        (ZIP, "image/jpeg", "the file looks like application/zip, but image/jpeg was announced"),
        (gif(), "image/png", "the file looks like image/gif, but image/png was announced"),
        (b"\x80\x81", "image/png", "the file does not begin as image/png does, but image/png was announced"),
        (
            gif() + HTML,
            "image/gif",
            "the file begins as image/gif, but contains markup (<!doctype html) as well;"
            " a file must be of one type only",
        ),
    ],
)
@pytest.mark.parametrize("uploads", [{}, SIGNED], ids=["streamed", "ranged"])
async def test_a_lie_about_the_type_is_refused_for_good_and_nothing_is_published(
    make_platform: MakePlatform, uploads: dict[str, Any], content: bytes, announced: str, told: str
) -> None:
    async with make_platform(uploads=uploads) as platform:
        alice = platform.user()
        ticket = await alice.begin(real(content, announced))
        answers = [await alice.confirm(ticket["media_id"]) for _ in range(2)]
        for answer in answers:
            assert answer.status_code == 422
            assert answer.json()["type"] == "urn:mediabucket:problem:upload-mismatch"
            assert answer.json()["detail"] == told
        assert (await alice.get(ticket["media_id"])).json()["failure"] == told
        assert await platform.keys() == []


async def test_many_confirms_at_once_of_a_lie_are_all_refused(alice: UploadClient, platform: Platform) -> None:
    ticket = await alice.begin(real(HTML, "image/png"))
    answers = await asyncio.gather(*(alice.confirm(ticket["media_id"]) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {422}
    assert await platform.keys() == []


async def test_a_message_cannot_carry_a_lie(alice: UploadClient) -> None:
    ticket = await alice.begin(real(HTML, "image/png"))
    assert (await alice.send(media_ids=[ticket["media_id"]])).status_code == 422


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of each head that is fetched from now on."""
    original, seen = BucketObjects.read_head, list[int]()

    async def counted(self: BucketObjects, key: str, *, if_match: str, length: int) -> bytes:
        head = await original(self, key, if_match=if_match, length=length)
        seen.append(len(head))
        return head

    monkeypatch.setattr(BucketObjects, "read_head", counted)
    return seen


async def test_a_head_is_fetched_only_where_the_bytes_do_not_come_by_anyway(
    make_platform: MakePlatform, heads: list[int]
) -> None:
    picture = real(png(40, 30) + bytes(3_000_000), "image/png")
    async with make_platform() as platform:
        assert (await platform.user().upload(picture))["width"] == 40
    assert heads == []
    async with make_platform(uploads=SIGNED) as platform:
        assert (await platform.user("bob").upload(picture))["width"] == 40
    assert heads == [HEAD_BYTES]


async def test_bytes_that_change_before_the_look_at_them_are_looked_at_again(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = BucketObjects.read_head, list[str]()
    async with make_platform(uploads=SIGNED) as platform:
        ticket = await platform.user().begin(real(png(4, 3), "image/png"))

        async def overwritten(self: BucketObjects, key: str, *, if_match: str, length: int) -> bytes:
            calls.append(key)
            if len(calls) == 1:
                await platform.objects.put(key, HTML.ljust(len(png(4, 3))), "image/png")
            return await original(self, key, if_match=if_match, length=length)

        monkeypatch.setattr(BucketObjects, "read_head", overwritten)
        refused = await platform.user().confirm(ticket["media_id"])
        assert refused.status_code == 422
        assert "SHA-256" in refused.json()["detail"]
        assert await platform.keys() == []


async def test_a_store_that_fails_at_the_look_leaves_the_upload_pending(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object, **__: object) -> bytes:
        raise StoreUnavailable("GetObject", "ServiceUnavailable", 503, "try later")

    async with make_platform(uploads=SIGNED) as platform:
        alice = platform.user()
        ticket = await alice.begin(real(png(4, 3), "image/png"))
        with monkeypatch.context() as patched:
            patched.setattr(BucketObjects, "read_head", unavailable)
            assert (await alice.confirm(ticket["media_id"])).status_code == 503
        assert (await alice.get(ticket["media_id"])).json()["status"] == "pending"
        assert (await alice.confirm(ticket["media_id"])).status_code == 200


@pytest.mark.parametrize(
    ("content", "mime_type", "measures"),
    [
        (png(40, 30), "image/png", (40, 30, None)),
        (jpeg(30, 40, orientation=6), "image/jpeg", (40, 30, None)),
        (iso_media(b"isom", b"isom", seconds=12.5), "video/mp4", (None, None, 12.5)),
        (mp3(40), "audio/mpeg", (None, None, 1.045)),
        (iso_media(b"isom", b"isom", moov_first=False) + bytes(HEAD_BYTES), "video/mp4", (None, None, 2.5)),
        (png(1, 1).replace(bytes(3) + b"\1", b"\xff" * 4), "image/png", (None, None, None)),
        (SAMPLES["application/pdf"], "application/pdf", (None, None, None)),
    ],
)
async def test_measures_are_recorded_and_shown(
    alice: UploadClient, platform: Platform, content: bytes, mime_type: str, measures: tuple[Any, ...]
) -> None:
    media = await alice.upload(real(content, mime_type))
    sent = (await alice.send(media_ids=[media["media_id"]])).json()["media"][0]
    row = await platform.row(media["media_id"])
    [listed] = (await alice.call("GET", "/api/media")).json()["items"]
    for shown in (media, (await alice.get(media["media_id"])).json(), sent, listed, row):
        assert (shown["width"], shown["height"], shown["duration_seconds"]) == measures


async def test_a_pending_upload_shows_no_measures(alice: UploadClient) -> None:
    ticket = await alice.begin(real(png(4, 3), "image/png"))
    media = (await alice.get(ticket["media_id"])).json()
    assert [media[name] for name in ("width", "height", "duration_seconds")] == [None, None, None]


async def test_the_second_row_of_the_same_bytes_has_the_measures_too(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = await alice.upload(real(png(40, 30), "image/png"))
    await platform.change(original["media_id"], "status = 'failed'")
    ticket = await alice.begin(real(png(40, 30), "image/png"))
    await platform.change(original["media_id"], "status = 'completed'")

    async def beaten(_: object, file: MediaFile, **__: object) -> None:
        raise DuplicatePublished(file.media_id)

    monkeypatch.setattr(MediaRepository, "complete", beaten)
    media = (await alice.confirm(ticket["media_id"])).json()
    assert (media["status"], media["width"], media["height"]) == ("completed", 40, 30)


INLINE = ("image/png", "image/jpeg", "video/mp4", "audio/mpeg", "application/pdf")
ATTACHED = ("application/zip", "text/plain", "text/csv")
ACTIVE = ("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml", "text/javascript")
PAGES = dict.fromkeys(ACTIVE, HTML) | {"image/svg+xml": SVG}


@pytest.fixture
async def everything(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    async with make_platform(uploads=allowing(*ATTACHED, *ACTIVE)) as platform:
        yield platform


async def test_only_what_a_browser_cannot_run_is_shown_and_all_else_is_downloaded(everything: Platform) -> None:
    """By the signed URL, by the redirect, and by the object's own headers, which are those that a CDN passes on."""
    alice = everything.user()
    for mime_type in (*INLINE, *ATTACHED, *ACTIVE):
        media = await alice.upload(real((SAMPLES | PAGES)[mime_type] + mime_type.encode(), mime_type))
        assert media["mime_type"] == mime_type
        served = "application/octet-stream" if mime_type in ACTIVE else mime_type
        way = "inline" if mime_type in INLINE else "attachment"
        expected = (served, f"{way}; filename*=UTF-8''file")
        redirect = await alice.call("GET", f"/api/media/{media['media_id']}/content")
        for url in (media["url"], redirect.headers["location"]):
            answer = await alice.download(url)
            assert (answer.headers["content-type"], answer.headers["content-disposition"]) == expected
        assert await headers_at_rest(everything, media) == expected


async def test_headers_that_the_uploader_slips_in_are_not_published(alice: UploadClient, platform: Platform) -> None:
    """Not being signed, they are taken by the store; the copy leaves them behind."""
    picture = real(png(4, 3), "image/png")
    ticket = (await alice.initiate(picture)).json()
    slipped = {
        "Content-Disposition": "inline; filename=evil.html",
        "Cache-Control": "max-age=1",
        "Content-Encoding": "gzip",
    }
    stored = await alice.put(ticket, picture.content, ticket["headers"] | slipped)
    media = (await alice.confirm(ticket["media_id"])).json()
    assert (stored.status_code, media["status"]) == (200, "completed")
    assert await headers_at_rest(platform, media) == ("image/png", "inline; filename*=UTF-8''file")
    answer = await alice.download(media["url"])
    assert answer.content == picture.content
    assert not {"cache-control", "content-encoding"} & set(answer.headers)


@pytest.mark.parametrize(
    "name",
    [
        "quo\"te'.png",
        "semi;colon, comma=.png",
        "per%cent%0d%0a.png",
        "Füße 🎉 (1).png",
        "תמונה.png",
        "صورة.png",
        "漢字.png",
        "a" * 251 + ".png",
        "🎉" * 251 + ".png",
    ],
)
async def test_a_download_has_the_name_of_the_file_whatever_it_is(
    alice: UploadClient, platform: Platform, name: str
) -> None:
    media = await alice.upload(real(png(4, 3), "image/png", name))
    assert media["file_name"] == name
    for told in (
        (await alice.download(media["url"])).headers["content-disposition"],
        (await headers_at_rest(platform, media))[1],
    ):
        assert told.isascii()
        way, _, encoded = told.partition("; filename*=UTF-8''")
        assert (way, unquote(encoded, errors="strict")) == ("inline", name)
        assert not set(encoded) & set("\"';, \r\n")


@pytest.mark.parametrize(
    "name", ["a\nb.png", "a\r\nSet-Cookie: x.png", "a\0.png", "exe.\u202egnp", "a\u2066b.png", "a\x85b"]
)
async def test_a_name_that_would_break_a_header_or_mislead_a_reader_is_refused(alice: UploadClient, name: str) -> None:
    answer = await alice.initiate(real(png(4, 3), "image/png", name))
    assert answer.status_code == 400
    assert "file_name must not contain control characters" in answer.json()["detail"]


async def test_every_answer_forbids_guessing_its_type(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = await alice.upload(real(png(4, 3), "image/png"))
    answers = [
        await alice.get(media["media_id"]),
        await alice.call("GET", f"/api/media/{media['media_id']}/content"),
        await alice.call("GET", "/api/media/not-an-id"),
        await platform.http.get("/api/media"),
        await platform.http.get("/nowhere"),
        await platform.http.put("/healthz"),
        await platform.http.get("/"),
        await platform.http.get("/web/page.js"),
        await platform.http.get("/web/nothing"),
        await platform.http.get("/healthz"),
        await platform.http.get("/metrics"),
        await platform.http.get("/openapi.json"),
        await platform.http.post("/api/media/upload/initiate", content=b"x" * 300_000, headers=alice.headers),
        await alice.delete(media["media_id"]),
        await failure(alice, monkeypatch),
    ]
    assert sorted({answer.status_code for answer in answers}) == [200, 204, 307, 400, 401, 404, 405, 413, 500]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.request.url


async def failure(alice: UploadClient, monkeypatch: pytest.MonkeyPatch) -> httpx.Response:
    """The answer to a bug, which is made outside of all middleware."""

    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MediaRepository, "page", fail)
    return await alice.call("GET", "/api/media")
