"""The Python client's uploads on a served platform: what arrives, what is resumed, what is told."""

import hashlib
import io
import os
import tracemalloc
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from python_client import IN_PARTS, MEBIBYTE, PART, MakeWorld, World, film, picture
from scripted_faults import Refuse

from mediabucket.client import (
    FileChanged,
    FileTooLarge,
    MalformedRequest,
    MediaInUse,
    MediaNotFound,
    Progress,
    StoreRefused,
    TypeNotAllowed,
    Unauthenticated,
    Upload,
    UploadMismatch,
)


async def test_a_file_arrives_and_is_known_the_second_time(world: World, kind: str, tmp_path: Path) -> None:
    file = picture(tmp_path)
    user = world.user(kind)
    media = await user.upload(file, metadata={"album": "2026"})
    assert media.status == "completed"
    assert (media.file_name, media.mime_type, media.metadata) == ("picture.png", "image/png", {"album": "2026"})
    assert media.checksum == hashlib.sha256(file.read_bytes()).hexdigest()

    url = await user.call("download_url", media.media_id)
    assert httpx.get(url).content == file.read_bytes()

    again = await user.upload(file)
    assert again.media_id == media.media_id
    assert len(world.store.asked("PUT")) == 1


async def test_the_store_gets_exactly_the_signed_headers_and_no_token(
    make_world: MakeWorld, kind: str, tmp_path: Path
) -> None:
    async with make_world(uploads={"integrity": "Signed"}) as world:
        await world.user(kind).upload(picture(tmp_path))
        [sent] = world.store.asked("PUT")
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == "1000"
    assert headers["if-none-match"] == "*"
    assert "x-amz-checksum-sha256" in headers
    assert {"authorization", "transfer-encoding"}.isdisjoint(headers)


@pytest.mark.parametrize("integrity", ["Verified", "Signed"])
async def test_a_large_file_goes_in_parts(make_world: MakeWorld, kind: str, tmp_path: Path, integrity: str) -> None:
    async with make_world(uploads=IN_PARTS | {"integrity": integrity}) as world:
        file = film(tmp_path)
        seen: list[Progress] = []
        media = await world.user(kind).upload(file, on_progress=seen.append)
        assert world.store.parts() == [1, 2, 3, 4]
        assert httpx.get(media.url or "").content == file.read_bytes()
    assert [told.phase for told in seen if told.phase != "uploading"][-2:] == ["confirming", "done"]
    for phase in ("hashing", "uploading"):
        told = [progress.done for progress in seen if progress.phase == phase]
        assert told == sorted(told)
        assert told[-1] == file.stat().st_size
    assert {progress.total for progress in seen} == {file.stat().st_size}


async def test_only_missing_parts_are_sent_after_a_broken_run(world: World, kind: str, tmp_path: Path) -> None:
    file = film(tmp_path)
    user = world.user(kind, parallel_parts=1)
    # Two parts arrive; then the store says no, and the program dies of it.
    world.store.faults.extend([None, None, Refuse(400, "EntityTooLarge")])
    with pytest.raises(StoreRefused, match="EntityTooLarge"):
        await user.upload(file)
    assert world.store.parts() == [1, 2, 3]

    world.store.requests.clear()
    seen: list[Progress] = []
    media = await user.upload(file, on_progress=seen.append)
    assert world.store.parts() == [3, 4]
    # What was there counts from the beginning.
    assert [told.done for told in seen if told.phase == "uploading"][1:3] == [PART, 2 * PART]
    assert httpx.get(media.url or "").content == file.read_bytes()


async def test_a_file_object_is_read_from_where_it_stands(world: World, kind: str, tmp_path: Path) -> None:
    content = picture(tmp_path).read_bytes()
    file = io.BytesIO(b"12345" + content)
    file.seek(5)
    media = await world.user(kind).upload(file, file_name="a.png")
    assert (media.file_size, media.file_name) == (1000, "a.png")
    assert not file.closed


@pytest.mark.parametrize(
    ("file", "told"),
    [(io.StringIO("text"), "open it in binary mode"), (os.fdopen(os.pipe()[0], "rb"), "save it to a file")],
)
async def test_file_objects_of_no_use_are_told(world: World, kind: str, file: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        await world.user(kind).upload(file, file_name="a.png")


async def test_many_files_at_once_and_one_that_fails(world: World, kind: str, tmp_path: Path) -> None:
    files: list[Any] = [picture(tmp_path, name=f"{number}.png", salt=b"%d" % number) for number in range(8)]
    files[3] = tmp_path / "missing.png"
    files[5] = Upload(files[5], mime_type="text/x-unheard-of")
    ended: list[int] = []
    outcomes = await world.user(kind).upload_many(files, parallel=3, on_outcome=lambda number, _: ended.append(number))
    assert sorted(ended) == list(range(8))
    assert [number for number, outcome in enumerate(outcomes) if outcome.media is None] == [3, 5]
    assert isinstance(outcomes[3].error, FileNotFoundError)
    assert isinstance(outcomes[5].error, TypeNotAllowed)
    assert len({outcome.media.media_id for outcome in outcomes if outcome.media}) == 6


async def test_at_most_so_many_files_at_a_time(world: World, kind: str, tmp_path: Path) -> None:
    files = [picture(tmp_path, name=f"{number}.png", salt=b"%d" % number) for number in range(6)]
    running: set[int] = set()
    most = 0

    def moved(number: int, progress: Progress) -> None:
        nonlocal most
        running.discard(number) if progress.phase == "done" else running.add(number)
        most = max(most, len(running))

    outcomes = await world.user(kind).upload_many(files, parallel=2, on_progress=moved)
    assert all(outcome.media for outcome in outcomes)
    assert most == 2


async def test_refusals_are_typed_and_told_in_a_sentence(make_world: MakeWorld, kind: str, tmp_path: Path) -> None:
    async with make_world(uploads={"maxBytes": 500}) as world:
        user = world.user(kind)
        with pytest.raises(FileTooLarge, match=r"the file has 1000 bytes; at most 500 are allowed") as caught:
            await user.upload(picture(tmp_path))
        assert caught.value.members["max_bytes"] == 500
        assert caught.value.request_id
        with pytest.raises(TypeNotAllowed):
            await user.upload(picture(tmp_path, 400), mime_type="text/html")
        with pytest.raises(MalformedRequest, match="file_size"):
            await user.upload(io.BytesIO(b""), file_name="a.png")
        with pytest.raises(MediaNotFound):
            await user.call("get", uuid4())
        user.token = "no-token"
        with pytest.raises(Unauthenticated):
            await user.call("list")
        assert len(world.api.asked("POST", "/initiate")) == 3


async def test_a_file_that_lies_about_its_type_is_refused_once(world: World, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"#!/bin/sh\nrm -rf ~\n")
    with pytest.raises(UploadMismatch):
        await world.user(kind).upload(file)
    assert len(world.api.asked("POST", "/confirm")) == 1


async def test_a_file_that_becomes_shorter_is_told(world: World, kind: str, tmp_path: Path) -> None:
    file = picture(tmp_path, 2 * MEBIBYTE)

    def shorten(progress: Progress) -> None:
        if progress.phase == "uploading":
            os.truncate(file, 10)

    with pytest.raises(FileChanged, match="upload it again"):
        await world.user(kind).upload(file, on_progress=shorten)


async def test_list_get_delete_and_messages(world: World, kind: str, tmp_path: Path) -> None:
    user = world.user(kind, "carol")
    uploaded = [await user.upload(picture(tmp_path, salt=salt)) for salt in (b"a", b"b", b"c")]
    page = await user.call("list", limit=2, status="completed", media_type="image")
    assert [media.media_id for media in page.items] == [uploaded[2].media_id, uploaded[1].media_id]
    rest = await user.call("list", limit=2, cursor=page.next_cursor)
    assert [media.media_id for media in rest.items] == [uploaded[0].media_id]

    conversation = uuid4().hex
    told = {"media_ids": [uploaded[0].media_id], "message_type": "image", "client_message_id": uuid4().hex}
    message = await user.call("send_message", conversation, "look", **told)
    again = await user.call("send_message", conversation, "look", **told)
    assert (again.message_id, message.media[0].media_id) == (message.message_id, uploaded[0].media_id)
    assert [found.message_id for found in (await user.call("messages", conversation)).items] == [message.message_id]

    with pytest.raises(MediaInUse):
        await user.call("delete", uploaded[0].media_id)
    await user.call("delete", uploaded[1].media_id)
    assert (await user.call("get", str(uploaded[2].media_id))).status == "completed"
    with pytest.raises(ValueError, match="UUID"):
        await user.call("delete", "../messages")


async def test_a_large_file_is_never_whole_in_memory(world: World, kind: str, tmp_path: Path) -> None:
    file = film(tmp_path, parts=9)
    size = file.stat().st_size
    await world.user(kind).upload(picture(tmp_path))
    tracemalloc.start()
    try:
        await world.user(kind).upload(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Four parts at a time, each with one chunk here; the proxy and the service are in this process, too.
    assert peak < size / 3, f"{peak / MEBIBYTE:.1f} MiB of a file of {size / MEBIBYTE:.0f}"
