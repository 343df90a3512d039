"""Kill -9 between any two steps of confirm, then try again: same answer, one object, no leftovers (promise 6)."""

import signal
from pathlib import Path

import httpx
import pytest
from part_client import FILM, IN_PARTS, PART, begun, open_uploads
from real_service import real_service
from service_platform import MakePlatform, Platform
from upload_client import File

pytestmark = pytest.mark.takes_minutes(1)

PICTURE = File(b"a picture" * 100)
SUPPORT = Path(__file__).parents[1] / "support"
# The steps of a confirm by a streamed hash on a store that was found not to hash copies in this very confirm.
STEPS = [
    "lease", "head", "copy", "head", "delete", "stream", "copy", "complete", "delete", "answer",
]  # fmt: skip
# On a store that ignores the condition of a copy: what is hashed and published is a copy that nobody else can change.
UNPINNED = {"CopySourceIfMatch": "Ignored"}
UNPINNED_STEPS = [
    "lease", "head", "copy", "head", "delete", "copy", "head", "stream", "copy", "complete", "delete", "delete",
    "delete", "answer",
]  # fmt: skip
DEATHS = [
    pytest.param(capabilities, steps, crash_at, id=f"{name}{crash_at - 1}-{step}")
    for name, capabilities, steps in (("", None, STEPS), ("unpinned-", UNPINNED, UNPINNED_STEPS))
    for crash_at, step in enumerate(steps, 1)
]
# Of a file that one copy cannot carry: the store is asked once whether it keeps the condition of a part.
LARGE_STEPS = [
    "lease", "list_parts", "complete_multipart_upload", "head", "_copy_part", "_abort", "stream", "copy",
    "_copy_part", "_copy_part", "_copy_part", "_complete", "_etag_of_whole", "complete", "delete", "answer",
]  # fmt: skip
REFUSAL_STEPS = ["lease", "head", "copy", "head", "delete", "stream", "fail", "delete", "delete", "delete", "answer"]


async def confirm_and_die(platform: Platform, media_id: str, crash_at: int, log: Path) -> list[str]:
    """Let a service die while it confirms; answers the steps it reached."""
    changes = {
        "MEDIABUCKET_CONFIRM_LEASE_SECONDS": "1",
        "MEDIABUCKET_LARGEST_COPY_BYTES": str(platform.settings.largest_copy_bytes),
        "CRASH_AT": str(crash_at),
        "CRASH_LOG": str(log),
        "PYTHONPATH": str(SUPPORT),
    }
    program = ["uvicorn", "crashing_service:app", "--log-level", "warning"]
    with real_service(platform, log.parent, changes=changes, program=program) as service:
        async with service.client() as http:
            with pytest.raises(httpx.TransportError):
                await service.user(http).confirm(media_id)
        assert service.process.wait(10) == -signal.SIGKILL
    return log.read_text().split()


@pytest.mark.promise(6)
@pytest.mark.parametrize(("capabilities", "steps", "crash_at"), DEATHS)
async def test_a_confirm_survives_kill_9(
    make_platform: MakePlatform, capabilities: dict[str, str] | None, steps: list[str], crash_at: int, tmp_path: Path
) -> None:
    async with make_platform(capabilities=capabilities) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        reached = await confirm_and_die(platform, ticket["media_id"], crash_at, tmp_path / "steps")
        assert reached == steps[:crash_at]

        answer = await alice.confirm(ticket["media_id"])
        assert answer.status_code == 200
        assert (await alice.download(answer.json()["url"])).content == PICTURE.content
        row = await platform.row(ticket["media_id"])
        assert [key for key in await platform.keys() if key.startswith("uploads/")] == [row["file_path"]]

        await leftovers_removed(platform)
        assert await platform.keys() == [row["file_path"]]
        assert (await alice.initiate(PICTURE)).json()["media_id"] == ticket["media_id"]


@pytest.mark.promise(6)
@pytest.mark.parametrize(
    "crash_at", range(7, len(REFUSAL_STEPS) + 1), ids=[f"{n}-{step}" for n, step in enumerate(REFUSAL_STEPS[6:], 6)]
)
async def test_a_refusal_survives_kill_9(make_platform: MakePlatform, crash_at: int, tmp_path: Path) -> None:
    async with make_platform() as platform:
        alice = platform.user()
        ticket = (await alice.initiate(PICTURE)).json()
        await alice.put(ticket, b"b picture" * 100)
        reached = await confirm_and_die(platform, ticket["media_id"], crash_at, tmp_path / "steps")
        assert reached == REFUSAL_STEPS[:crash_at]

        assert (await alice.confirm(ticket["media_id"])).status_code == 422
        await leftovers_removed(platform)
        assert await platform.keys() == []


@pytest.mark.promise(6)
@pytest.mark.parametrize("crash_at", range(2, 5), ids=["before listing", "before completing", "after completing"])
async def test_putting_parts_together_survives_kill_9(
    make_platform: MakePlatform, crash_at: int, tmp_path: Path
) -> None:
    async with make_platform(uploads=IN_PARTS) as platform:
        alice = platform.user()
        ticket = await begun(alice)
        reached = await confirm_and_die(platform, ticket["media_id"], crash_at, tmp_path / "steps")
        assert reached == ["lease", "list_parts", "complete_multipart_upload", "head"][:crash_at]

        answer = await alice.confirm(ticket["media_id"])
        assert answer.status_code == 200
        assert (await alice.download(answer.json()["url"])).content == FILM.content
        assert await open_uploads(platform) == []
        assert await platform.keys() == [(await platform.row(ticket["media_id"]))["file_path"]]


@pytest.mark.promise(6)
@pytest.mark.parametrize(
    "crash_at", range(5, len(LARGE_STEPS) + 1), ids=[f"{n}-{step}" for n, step in enumerate(LARGE_STEPS[4:], 4)]
)
async def test_a_copy_in_parts_survives_kill_9(make_platform: MakePlatform, crash_at: int, tmp_path: Path) -> None:
    async with make_platform(uploads=IN_PARTS, settings_changes={"largest_copy_bytes": PART}) as platform:
        alice = platform.user()
        ticket = await begun(alice)
        reached = await confirm_and_die(platform, ticket["media_id"], crash_at, tmp_path / "steps")
        assert reached == LARGE_STEPS[:crash_at]

        answer = await alice.confirm(ticket["media_id"])
        assert answer.status_code == 200
        assert (await alice.download(answer.json()["url"])).content == FILM.content
        await leftovers_removed(platform)
        assert await open_uploads(platform) == []
        assert await platform.keys() == [(await platform.row(ticket["media_id"]))["file_path"]]


async def leftovers_removed(platform: Platform) -> None:
    """What the reaper does once the bytes are older than any upload under way."""
    await platform.reaper.clean_up()
    platform.reaper._floor = -platform.reaper._floor
    await platform.sweep()
