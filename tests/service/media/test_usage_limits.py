"""`pendingPerUser` and `bytesPerUser`: reserved at initiate, settled at confirm, released by every other end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from erasing import erase_to_the_end, upload_duplicate
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_service.media.initiate_repository import InitiateRepository
from mediabucket_service.media.user_limits import Usage, lock_free_users

FIRST, SECOND = File(b"1" * 1000), File(b"2" * 1000)
STALE = "expires_at = now() - interval '1 second'"
# Calls that wait for a lock of the test's are not given up before it lets go.
PATIENT = {"database_timeout_seconds": 60}

End = Callable[[Platform, UploadClient, dict[str, Any]], Awaitable[None]]


@asynccontextmanager
async def decided_elsewhere(platform: Platform, *users: str) -> AsyncIterator[None]:
    """Another replica has the locks of these users."""
    async with platform.database.transaction() as connection:
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%(bucket)s || ' ' || user_id, 0))"
            " FROM unnest(%(users)s::text[]) AS users (user_id)",
            {"bucket": platform.connection.bucket, "users": list(users)},
        )
        yield


async def expire(platform: Platform, _: UploadClient, ticket: dict[str, Any]) -> None:
    await platform.change(ticket["media_id"], STALE)
    await platform.reaper.clean_up()


async def fail(_: Platform, user: UploadClient, ticket: dict[str, Any]) -> None:
    await user.put(ticket, b"3" * 1000)
    assert (await user.confirm(ticket["media_id"])).status_code == 422


async def cancel(_: Platform, user: UploadClient, ticket: dict[str, Any]) -> None:
    assert (await user.delete(ticket["media_id"])).status_code == 204


async def confirm_and_delete(platform: Platform, user: UploadClient, ticket: dict[str, Any]) -> None:
    assert (await user.confirm(ticket["media_id"])).status_code == 200
    await cancel(platform, user, ticket)


async def be_erased(platform: Platform, user: UploadClient, _: dict[str, Any]) -> None:
    await erase_to_the_end(platform, user.user)


ENDS = [expire, fail, cancel, confirm_and_delete, be_erased]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize(
    "limits", [{"pendingPerUser": 1}, {"bytesPerUser": 1000}], ids=lambda limits: next(iter(limits))
)
async def test_what_is_reserved_is_released(make_platform: MakePlatform, limits: dict[str, int], end: End) -> None:
    async with make_platform(uploads={"limits": limits}) as platform:
        alice = platform.user()
        ticket = await alice.begin(FIRST)
        [(name, allowed)] = limits.items()
        refused = await alice.initiate(SECOND)
        assert refused.status_code == 429
        body = refused.json()
        assert body["type"] == "urn:mediabucket:problem:rate-limited"
        assert (body["limit"], body["allowed"], body["used"]) == (name, allowed, allowed)
        await end(platform, alice, ticket)
        assert (await alice.initiate(SECOND)).status_code == 200
        assert (await alice.initiate(File(b"4"))).status_code == 429


async def test_a_confirm_gives_the_place_back_and_keeps_the_bytes(make_platform: MakePlatform) -> None:
    limits = {"pendingPerUser": 1, "bytesPerUser": 2500}
    async with make_platform(uploads={"limits": limits}) as platform:
        alice = platform.user()
        await alice.upload(FIRST)
        await alice.upload(SECOND)
        refused = await alice.initiate(File(b"5" * 501))
        assert (refused.status_code, refused.json()["limit"], refused.json()["used"]) == (429, "bytesPerUser", 2000)
        assert (await alice.initiate(File(b"5" * 500))).status_code == 200


async def test_the_same_file_takes_no_second_place(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"limits": {"pendingPerUser": 1, "bytesPerUser": 1000}}) as platform:
        alice = platform.user()
        ticket = await alice.begin(FIRST)
        assert (await alice.initiate(FIRST)).json()["media_id"] == ticket["media_id"]
        await alice.confirm(ticket["media_id"])
        assert (await alice.initiate(FIRST)).json()["exists"] is True


async def test_a_pending_file_cannot_be_announced_larger_than_the_limit(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"limits": {"bytesPerUser": 1500}}) as platform:
        alice = platform.user()
        assert (await alice.initiate(FIRST, file_size=1)).status_code == 200
        refused = await alice.initiate(FIRST, file_size=1501)
        assert (refused.status_code, refused.json()["limit"], refused.json()["used"]) == (429, "bytesPerUser", 1)
        assert (await alice.initiate(FIRST, file_size=1500)).status_code == 200
        assert (await alice.initiate(SECOND)).status_code == 429
        assert (await alice.initiate(FIRST)).status_code == 200, "announced smaller it gives bytes back"
        assert (await alice.initiate(File(b"6" * 500))).status_code == 200


@pytest.mark.parametrize(
    ("limits", "let_through"), [({"pendingPerUser": 10}, 10), ({"bytesPerUser": 7999}, 7), ({"bytesPerUser": 8000}, 8)]
)
async def test_thirty_initiates_at_once_over_two_replicas_cannot_exceed_a_limit(
    make_platform: MakePlatform, limits: dict[str, int], let_through: int
) -> None:
    uploads = {"limits": limits}
    async with make_platform(uploads=uploads) as first, make_platform(uploads=uploads) as second:
        replicas = [first.user(), second.user()]
        files = [File(b"%04d" % number * 250) for number in range(30)]
        answers = await asyncio.gather(*(replicas[n % 2].initiate(file) for n, file in enumerate(files)))
        assert sorted(answer.status_code for answer in answers) == [200] * let_through + [429] * (30 - let_through)
        assert {answer.json()["limit"] for answer in answers if answer.status_code == 429} == set(limits)


async def test_a_user_with_many_calls_leaves_connections_to_the_others(make_platform: MakePlatform) -> None:
    """Calls of one user take their turns, and a turn may be long: another replica is at work for the same user."""
    async with make_platform(uploads={"limits": {"pendingPerUser": 1000}}, settings_changes=PATIENT) as platform:
        alice, bob = platform.user("alice"), platform.user("bob")
        async with decided_elsewhere(platform, "alice"):
            calls = [asyncio.create_task(alice.initiate(File(b"%d" % number))) for number in range(200)]
            await asyncio.sleep(0.5)
            async with asyncio.timeout(20):
                assert (await bob.initiate(FIRST)).status_code == 200
            assert not any(call.done() for call in calls)
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
        assert len(platform.services.initiation._repository._turns) == 0


async def test_users_who_announce_at_once_are_limited_each_by_himself(make_platform: MakePlatform) -> None:
    """Their requests share a transaction: alice has the file, carol has a place and bob has none."""
    async with make_platform(uploads={"limits": {"pendingPerUser": 1}}) as platform:
        alice, bob, carol = platform.user("alice"), platform.user("bob"), platform.user("carol")
        media = await alice.upload(FIRST)
        for user in (alice, bob):
            await user.begin(SECOND)
        answers = await asyncio.gather(*(user.initiate(FIRST) for user in (alice, bob, carol)))
        assert [answer.status_code for answer in answers] == [200, 429, 200]
        assert answers[0].json()["media_id"] == media["media_id"]
        assert answers[2].json()["exists"] is False
        assert await users_of(platform, "pending") == ["alice", "bob", "carol"]


async def test_who_is_decided_for_elsewhere_keeps_nobody_waiting(make_platform: MakePlatform) -> None:
    """Another replica is at work for alice, and bob's request came in the same moment as hers."""
    async with make_platform(uploads={"limits": {"pendingPerUser": 1}}, settings_changes=PATIENT) as platform:
        alice, bob = platform.user("alice"), platform.user("bob")
        async with decided_elsewhere(platform, "alice"):
            hers, his = (asyncio.create_task(user.initiate(FIRST)) for user in (alice, bob))
            async with asyncio.timeout(20):
                assert (await his).status_code == 200
            assert not hers.done()
        assert (await hers).status_code == 200
        assert await users_of(platform, "pending") == ["alice", "bob"]


async def test_who_is_decided_for_elsewhere_leaves_connections_to_the_others(make_platform: MakePlatform) -> None:
    """A replica died without a word, and holds the locks of all whose requests it had put together."""
    settings = PATIENT | {"database_pool_size": 6}
    async with make_platform(uploads={"limits": {"pendingPerUser": 1}}, settings_changes=settings) as platform:
        locked = [platform.user(f"locked-{number}") for number in range(30)]
        async with decided_elsewhere(platform, *(user.user for user in locked)):
            calls = [asyncio.create_task(user.initiate(FIRST)) for user in locked]
            await asyncio.sleep(0.5)
            async with asyncio.timeout(20):
                assert (await platform.user("free").initiate(FIRST)).status_code == 200
            assert not any(call.done() for call in calls)
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}


async def test_who_holds_much_is_counted_alone(make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediabucket_service.media.initiate_repository._MOST_FILES_TOGETHER", 2)
    limits = {"limits": {"pendingPerUser": 4, "bytesPerUser": 4000}}
    async with make_platform(uploads=limits) as platform:
        alice = platform.user()
        for number in range(3):
            assert (await alice.initiate(File(b"%d" % number))).status_code == 200
        counted_alone: list[str] = []
        original = InitiateRepository._initiate_in_turn

        async def counted(self: InitiateRepository, uploads: Any) -> Any:
            counted_alone.append(uploads[0].uploaded_by)
            return await original(self, uploads)

        monkeypatch.setattr(InitiateRepository, "_initiate_in_turn", counted)
        new, known = File(b"new"), File(b"0")
        answers = await asyncio.gather(*(user.initiate(new) for user in (alice, platform.user("bob"))))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert (await alice.initiate(File(b"one more"))).json()["limit"] == "pendingPerUser"
        assert (await alice.initiate(known)).status_code == 200
        assert counted_alone == ["alice"] * 3


@pytest.mark.parametrize(
    "limits", [{"pendingPerUser": 1}, {"bytesPerUser": 1000}], ids=lambda limits: next(iter(limits))
)
async def test_what_was_announced_right_before_the_lock_was_had_is_counted(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    """Another replica has just ended its transaction for alice: it must be seen, so nothing is counted before."""
    async with make_platform(uploads={"limits": limits}) as platform, make_platform() as elsewhere:

        async def announced_meanwhile(*arguments: Any) -> Any:
            assert (await elsewhere.user().initiate(FIRST)).status_code == 200
            return await lock_free_users(*arguments)

        monkeypatch.setattr("mediabucket_service.media.initiate_repository.lock_free_users", announced_meanwhile)
        refused = await platform.user().initiate(SECOND)
        assert (refused.status_code, refused.json()["limit"]) == (429, next(iter(limits)))


async def users_of(platform: Platform, status: str) -> list[str]:
    """To whom the media of this status belong, one each."""
    rows = await platform.database.fetch_all(
        "SELECT uploaded_by FROM media_files WHERE bucket = %(bucket)s AND status = %(status)s ORDER BY uploaded_by",
        {"bucket": platform.connection.bucket, "status": status},
    )
    return [row["uploaded_by"] for row in rows]


async def test_ends_and_beginnings_at_once_leave_nothing_reserved(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"limits": {"pendingPerUser": 5, "bytesPerUser": 5000}}) as platform:
        alice = platform.user()

        async def live_through(number: int) -> int:
            answer = await alice.initiate(File(b"%04d" % number * 250))
            if answer.status_code == 200:
                await cancel(platform, alice, answer.json())
            return answer.status_code

        assert set(await asyncio.gather(*map(live_through, range(30)))) <= {200, 429}
        answers = await asyncio.gather(*(alice.initiate(File(b"%04d" % number * 250)) for number in range(40, 60)))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 15


async def test_bytes_that_a_second_media_is_served_from_go_on_counting(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"limits": {"bytesPerUser": 1500}}) as platform:
        alice = platform.user()
        original = await alice.upload(FIRST)
        # Nothing is limited while the race is staged.
        async with make_platform() as unlimited:
            duplicate = await upload_duplicate(unlimited, unlimited.user(), FIRST, original)
        assert (await alice.initiate(SECOND)).json()["used"] == 1000
        await alice.delete(original["media_id"])
        assert (await alice.initiate(SECOND)).json()["used"] == 1000
        assert (await alice.initiate(FIRST)).json()["media_id"] == duplicate
        assert (await alice.delete(original["media_id"])).status_code == 204
        media = (await alice.get(duplicate)).json()
        assert (await alice.download(media["url"])).content == FIRST.content
        await alice.delete(duplicate)
        assert (await alice.initiate(SECOND)).status_code == 200
        await platform.reaper.clean_up()
        assert await platform.keys("uploads/") == []


async def test_a_file_that_is_deleted_while_it_is_announced_anew_is_held_to_the_limit(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found completed, so nothing was to be reserved; then it was gone, and a place would have been taken."""
    async with make_platform(uploads={"limits": {"pendingPerUser": 1}}) as platform:
        alice = platform.user()
        media = await alice.upload(FIRST)
        assert (await alice.initiate(SECOND)).status_code == 200
        admit = Usage.admit

        def deleted_meanwhile(*arguments: Any) -> Any:
            with psycopg.connect(platform.settings.database_url.get_secret_value()) as connection:
                query = "UPDATE media_files SET status = 'deleted' WHERE media_id = %s"
                connection.execute(query, (media["media_id"],))
            return admit(*arguments)

        monkeypatch.setattr(Usage, "admit", deleted_meanwhile)
        refused = await alice.initiate(FIRST)
        assert (refused.status_code, refused.json()["limit"]) == (429, "pendingPerUser")
        query = "SELECT 1 FROM media_files WHERE bucket = %(bucket)s AND status = 'pending'"
        assert len(await platform.database.fetch_all(query, {"bucket": platform.connection.bucket})) == 1


async def test_a_turn_that_fails_or_is_given_up_leaves_nothing_locked(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"limits": {"pendingPerUser": 1}}
    async with make_platform(uploads=limits, settings_changes={"database_pool_size": 1}) as platform:
        alice = platform.user()

        def broken(*_: object) -> None:
            raise RuntimeError("in the middle of the transaction")

        with monkeypatch.context() as failing:
            failing.setattr(Usage, "admit", broken)
            assert (await alice.initiate(FIRST)).status_code == 500
        async with decided_elsewhere(platform, "alice"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await alice.initiate(FIRST)
        assert (await alice.initiate(FIRST)).status_code == 200
        assert (await alice.initiate(SECOND)).status_code == 429


async def test_a_lock_that_is_held_for_too_long_is_told_in_time(make_platform: MakePlatform) -> None:
    limits = {"limits": {"pendingPerUser": 1}}
    async with make_platform(uploads=limits, settings_changes={"database_timeout_seconds": 1.5}) as platform:
        alice = platform.user()
        url = platform.settings.database_url.get_secret_value()
        async with await psycopg.AsyncConnection.connect(url) as holder:
            await holder.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s || ' alice', 0))", [platform.connection.bucket]
            )
            refused = await alice.initiate(FIRST)
            assert (refused.status_code, refused.json()["dependency"]) == (503, "database")
        assert (await alice.initiate(FIRST)).status_code == 200
