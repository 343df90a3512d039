"""The uploader plugin on the real @uppy/core."""

from pathlib import Path
from typing import Any

import pytest
from faulty_store import Hold, Refuse
from js_client import ClientWorld, MakeWorld
from part_client import IN_PARTS, film
from upload_client import File


async def uppy(world: ClientWorld, npm: Path, action: str = "uppy", **told: Any) -> Any:
    """What an Uppy with the plugin makes of files."""
    return await world.run(action, npm=str(npm), **told)


async def test_uppy_uploads_files(world: ClientWorld, npm: Path) -> None:
    files = [File(f"for Uppy {number}".encode() * 500, f"{number}.png") for number in range(4)]
    answer = await uppy(world, npm, files=[world.saved(file) for file in files])
    assert [media["checksum"] for media in answer["media"]] == [file.sha256 for file in files]
    assert {media["status"] for media in answer["media"]} == {"completed"}
    assert [media["file_name"] for media in answer["media"]] == [file.name for file in files]
    assert answer["percentages"] == [100] * 4
    assert answer["failed"] == []
    assert answer["events"] == ["upload-start", *["upload-success"] * 4, "complete"]


async def test_uppy_is_told_of_a_refusal_in_words_for_its_user(world: ClientWorld, npm: Path) -> None:
    good = File(b"a good one")
    bad = world.saved(File(b"notes", "notes.txt", "text/plain", as_is=True))
    answer = await uppy(world, npm, files=[bad, world.saved(good)])
    assert answer["failed"] == ["Files of this type cannot be uploaded here."]
    [error] = answer["errors"]
    assert error["cause"]["name"] == "TypeNotAllowed"
    assert [media["checksum"] for media in answer["media"]] == [good.sha256]


async def test_a_paused_upload_goes_on_with_the_missing_parts(make_world: MakeWorld, npm: Path) -> None:
    file = film(parts=4, salt=b"paused")
    async with make_world(uploads=IN_PARTS) as world:
        told = {"file": world.saved(file), "client": {"parallelParts": 1}}
        answer = await uppy(world, npm, "pausedUppy", **told)
        assert [media["checksum"] for media in answer["media"]] == [file.sha256]
        assert answer["pauses"] == 1
        # One was on its way, and may have arrived or not.
        assert sorted(set(filter(None, world.store.parts()))) == [1, 2, 3, 4]
        assert world.store.parts().count(1) == 1
        assert answer["calls"].count("POST /api/media/upload/initiate") == 2


async def test_a_removed_file_is_no_longer_uploaded(world: ClientWorld, npm: Path) -> None:
    world.store.faults.append(Hold())
    answer = await uppy(world, npm, "removedFromUppy", file=world.saved(File(b"not wanted any more")))
    assert (answer["left"], answer["errors"]) == (0, [])
    assert "upload-success" not in answer["events"]
    assert world.store.statuses() == [None]


@pytest.mark.parametrize("status", [500, 403])
async def test_a_failed_file_can_be_uploaded_again(world: ClientWorld, npm: Path, status: int) -> None:
    file = File(b"again, please")
    world.store.faults.append(Refuse(status))
    answer = await uppy(world, npm, "retriedUppy", file=world.saved(file), retry={"retries": 0})
    assert answer["failed"] == ["The file could not be stored. Please try again later."]
    assert [media["checksum"] for media in answer["again"]] == [file.sha256]
