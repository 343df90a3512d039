"""The client for React Native, among such globals as React Native has: see react_native.mjs."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from faulty_store import Hold, Refuse, Stall
from js_client import LIBRARY, ClientWorld
from part_client import MEBIBYTE, PART, film
from upload_client import File

ENTRY = LIBRARY / "mediabucket.native.js"
NATIVE: dict[str, Any] = {"native": True, "library": ENTRY.as_uri()}
INITIATE = "POST /api/media/upload/initiate"
PICTURE = File(b"a picture from a phone" * 40_000)
# More than a connection takes when nobody reads at its other end.
BIG = File(b"a large picture from a phone".ljust(16 * MEBIBYTE, b"."))
FOUND = re.compile(r' from "\./(.+?)"')


def modules_of(entry: Path) -> set[Path]:
    """All that a bundler finds from here."""
    found: set[Path] = set()
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [module.with_name(name) for name in FOUND.findall(module.read_text())]
    return found


def test_nothing_in_it_is_beyond_a_phone() -> None:
    """Hermes refuses a bundle that has import.meta anywhere, and there are no workers."""
    modules = modules_of(ENTRY)
    assert LIBRARY / "transport.js" in modules
    code = {module.name: re.sub(r"^\s*//.*$", "", module.read_text(), flags=re.MULTILINE) for module in modules}
    assert [name for name, text in code.items() if "import.meta" in text or "new Worker" in text] == []


async def test_a_blob_is_uploaded(world: ClientWorld) -> None:
    options = {"fileName": "IMG_0001.png", "conversation": "phones", "content": "look!"}
    answer = await world.upload(PICTURE, options=options, **NATIVE)
    media = answer["media"]
    assert (media["status"], media["file_name"], media["checksum"]) == ("completed", "IMG_0001.png", PICTURE.sha256)
    assert media["message"]["content"] == "look!"
    assert await world.bytes_of(media) == PICTURE.content
    loaded = [state["loaded"] for state in answer["progress"] if state["phase"] == "uploading"]
    assert len(loaded) > 5, "told as the bytes leave"
    assert loaded == sorted(loaded)


async def test_a_large_blob_is_sent_in_parts(world_in_parts: ClientWorld) -> None:
    world, file = world_in_parts, film(parts=4)
    world.store.faults.extend([Refuse(503), Refuse(503)])
    answer = await world.upload(file, **NATIVE)
    assert await world.bytes_of(answer["media"]) == file.content
    assert sorted(filter(None, world.store.parts())) == [1, 2, 3, 4]
    loaded = [state["loaded"] for state in answer["progress"] if state["phase"] == "uploading"]
    assert any(count % PART for count in loaded), "not by whole parts only"


async def test_a_part_that_is_refused_stops_the_others(world_in_parts: ClientWorld) -> None:
    """By signals that know no reason: the error is the store's own."""
    world_in_parts.store.faults.extend([Hold(), Hold(), Refuse(400, "BadDigest")])
    answer = await world_in_parts.upload(film(parts=4), **NATIVE)
    assert (answer["error"]["name"], answer["error"]["code"]) == ("StoreRefused", "BadDigest")


async def test_an_upload_is_aborted_amid_the_bytes(world: ClientWorld) -> None:
    world.store.faults.append(Hold())
    answer = await world.run("abort", file=world.saved(PICTURE), phase="uploading", after=200, **NATIVE)
    ended = time.monotonic()
    assert (answer["error"]["name"], answer["isReason"], answer["callsAfter"]) == ("AbortError", False, 0)
    hung_up_at = world.store.requests[0].hung_up_at
    assert hung_up_at is not None
    assert hung_up_at < ended - 0.4
    assert answer["calls"] == [INITIATE]


@pytest.mark.parametrize(("phase", "calls"), [("hashing", []), ("uploading", [INITIATE])])
async def test_an_upload_is_aborted_before_and_between_tries(world: ClientWorld, phase: str, calls: list[str]) -> None:
    world.store.faults.append(Refuse(503, retry_after=60))
    answer = await world.run("abort", file=world.saved(film(parts=2)), phase=phase, after=0, **NATIVE)
    assert (answer["error"]["name"], answer["calls"]) == ("AbortError", calls)
    assert answer["error"]["message"] == "the operation was aborted"


async def test_a_store_that_says_when_to_come_back_is_obeyed(world: ClientWorld) -> None:
    world.store.faults.append(Refuse(429, "TooManyRequests", retry_after=1))
    started = time.monotonic()
    answer = await world.upload(PICTURE, **NATIVE)
    assert answer["media"]["status"] == "completed"
    assert world.store.statuses() == [429, 200]
    assert time.monotonic() - started > 1


async def test_a_store_that_takes_no_bytes_is_not_waited_for(world: ClientWorld) -> None:
    """The connection lives: nothing but a clock can tell."""
    world.store.faults.append(Stall())
    answer = await world.upload(BIG, client={"stallMilliseconds": 2000}, **NATIVE)
    assert await world.bytes_of(answer["media"]) == BIG.content
    assert world.store.statuses() == [None, 200]
    assert answer["calls"].count(INITIATE) == 1


async def test_a_store_that_never_takes_a_byte_is_told(world: ClientWorld) -> None:
    world.store.faults.extend([Stall(), Stall()])
    answer = await world.upload(BIG, client={"stallMilliseconds": 500}, retry={"retries": 1}, **NATIVE)
    assert (answer["error"]["name"], answer["error"]["message"]) == ("NetworkFailure", "the upload stalled")
    assert world.store.statuses() == [None, None]
