"""Uploads in any order of calls and deaths keep promises 1, 4 and 6; and a service that breaks one is found out.

Files are PUT in one piece or in parts; messages are kept in PostgreSQL, and for some lives in MongoDB.
CI runs the same lives every time. By hand: MEDIABUCKET_TEST_LIVES=1000 for that many others.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from part_client import IN_PARTS
from pydantic import SecretStr
from service_platform import MakePlatform
from upload_machine import UploadMachine

from mediabucket_service.media import confirm
from mediabucket_service.media.reaper import BytesRemover
from mediabucket_service.media.removal_repository import Removable
from mediabucket_service.media.repository import MediaRepository

pytestmark = pytest.mark.takes_minutes(1)

LIVES = os.environ.get("MEDIABUCKET_TEST_LIVES")
IN_CI = {"PostgreSQL": 40, "MongoDB": 15}
UNTIL_FOUND = 300
# Lives from other seeds find the same, after up to a hundred times as many.
FINDS_SOON = {"accepts_any_bytes": 6, "forgets_published_bytes": 6, "deletes_what_messages_show": 2}

MakeMachine = Callable[[], type[UploadMachine]]


def lives(number: int, *phases: Phase) -> settings:
    return settings(
        max_examples=number,
        stateful_step_count=30,
        derandomize=LIVES is None,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        report_multiple_bugs=False,
    )


@pytest.fixture
def changes() -> dict[str, Any]:
    return {"confirm_lease_seconds": 60, "confirm_answer_seconds": 2}


@pytest.fixture
def on_mongodb(changes: dict[str, Any], mongodb_url: str) -> None:
    changes["mongodb_url"] = SecretStr(mongodb_url)


@pytest.fixture
def machine(make_platform: MakePlatform, changes: dict[str, Any]) -> Iterator[type[UploadMachine]]:
    """The machine on a platform of its own; Hypothesis is synchronous, and so drives the event loop itself."""
    with asyncio.Runner() as runner:
        platform = make_platform(settings_changes=changes, uploads=IN_PARTS)
        opened = runner.run(platform.__aenter__())
        try:
            yield type("Machine", (UploadMachine,), {"platform": opened, "runner": runner})
        finally:
            runner.run(platform.__aexit__(None, None, None))


@pytest.mark.promise(1)
@pytest.mark.promise(4)
@pytest.mark.promise(6)
def test_every_life_of_uploads_keeps_the_promises(machine: type[UploadMachine]) -> None:
    number = int(LIVES or IN_CI["PostgreSQL"])
    run_state_machine_as_test(machine, settings=lives(number, Phase.generate, Phase.shrink))


@pytest.mark.promise(1)
@pytest.mark.promise(4)
@pytest.mark.promise(6)
@pytest.mark.usefixtures("on_mongodb")
def test_every_life_with_messages_in_mongodb_keeps_the_promises(machine: type[UploadMachine]) -> None:
    number = int(LIVES or IN_CI["MongoDB"])
    run_state_machine_as_test(machine, settings=lives(number, Phase.generate, Phase.shrink))


def accepts_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirm, "_check_checksum", lambda *_: None)


def forgets_published_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def remove(self: BytesRemover, row: Removable) -> bool:
        await self._repository.bytes_removed(row.media_id)
        return True

    monkeypatch.setattr(BytesRemover, "_remove", remove)


def deletes_what_messages_show(monkeypatch: pytest.MonkeyPatch) -> None:
    async def add_references(*_: Any) -> bool:
        return True

    monkeypatch.setattr(MediaRepository, "add_references", add_references)


@pytest.mark.parametrize(
    "break_it",
    [accepts_any_bytes, forgets_published_bytes, deletes_what_messages_show],
    ids=lambda broken: broken.__name__,
)
def test_a_broken_service_is_found_out(
    machine: type[UploadMachine],
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[pytest.MonkeyPatch], None],
) -> None:
    break_it(monkeypatch)
    # Many lives may be needed, and parts do not matter here.
    machine.with_film = False
    seed(FINDS_SOON[break_it.__name__])(machine)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=lives(UNTIL_FOUND, Phase.generate))
