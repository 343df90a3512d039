"""`uploads.limits.requestsPerMinute`: calls of one user, over all replicas, by the database's clock."""

import asyncio
import math
import re
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_service.database import Database
from mediabucket_service.problems import TooManyRequests
from mediabucket_service.rate_limit import RateLimiter, burst_of, forget_full

# A tenth of them, three, come at once; then one in two seconds.
THIRTY: dict[str, Any] = {"limits": {"requestsPerMinute": 30}}
PICTURE = File(b"a picture" * 100)


async def statuses(*answers: Any) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*answers))


async def later(platform: Platform, user: str, seconds: float) -> None:
    """Stand for time that has passed."""
    query = "UPDATE rate_limits SET full_at = full_at - %(age)s WHERE bucket = %(bucket)s AND user_id = %(user)s"
    parameters = {"age": timedelta(seconds=seconds), "bucket": platform.connection.bucket, "user": user}
    assert await platform.database.execute(query, parameters) == 1


def ask(user: UploadClient) -> Any:
    return user.call("GET", "/api/media")


async def test_the_burst_is_let_through_and_the_next_call_is_told_when(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=THIRTY) as platform:
        alice = platform.user()
        assert [(await ask(alice)).status_code for _ in range(3)] == [200] * 3
        refused = await ask(alice)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] in ("1", "2")
        body = refused.json()
        assert (body["type"], body["limit"], body["allowed"]) == (
            "urn:mediabucket:problem:rate-limited",
            "requestsPerMinute",
            30,
        )
        seconds = refused.headers["retry-after"]
        assert body["detail"] == (
            f"30 calls a minute are allowed, 3 of them at once: try again in {seconds} seconds, then once in 2 seconds"
        )


async def test_who_waits_as_told_is_let_through_and_who_waits_less_is_not(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=THIRTY) as platform:
        alice = platform.user()
        assert await statuses(*(ask(alice) for _ in range(4))) == {200: 3, 429: 1}
        seconds = int((await ask(alice)).headers["retry-after"])
        # The allowance of three calls is six seconds: this stands at the instant after the burst.
        query = "UPDATE rate_limits SET full_at = now() + interval '6 seconds' WHERE bucket = %(bucket)s"
        await platform.database.execute(query, {"bucket": platform.connection.bucket})
        assert (await ask(alice)).headers["retry-after"] == "2"
        await asyncio.sleep(seconds)
        if seconds < 2:
            assert (await ask(alice)).status_code == 429
            await asyncio.sleep(2 - seconds)
        assert (await ask(alice)).status_code == 200
        assert (await ask(alice)).status_code == 429


async def test_a_call_that_waited_for_others_is_not_refused_for_having_begun_before_them(
    make_platform: MakePlatform,
) -> None:
    """Two others come in while it waits for the row: it is the third of three that may come at once."""
    async with make_platform(uploads=THIRTY) as platform:
        alice = platform.user()
        assert (await ask(alice)).status_code == 200
        names = {"bucket": platform.connection.bucket}
        async with platform.database.transaction() as connection:
            lock = "SELECT 1 FROM rate_limits WHERE bucket = %(bucket)s FOR UPDATE"
            await connection.execute(lock, names)
            waiting = asyncio.create_task(ask(alice))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            two_calls = (
                "UPDATE rate_limits SET full_at = clock_timestamp() + interval '4 seconds' WHERE bucket = %(bucket)s"
            )
            await connection.execute(two_calls, names)
        assert (await waiting).status_code == 200
        assert (await ask(alice)).status_code == 429


async def test_a_refused_call_changes_nothing(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=THIRTY) as platform:
        alice = platform.user()
        assert await statuses(*(ask(alice) for _ in range(3))) == {200: 3}
        query = "SELECT full_at FROM rate_limits WHERE bucket = %(bucket)s"
        before = await platform.database.fetch_all(query, {"bucket": platform.connection.bucket})
        assert await statuses(*(ask(alice) for _ in range(20))) == {429: 20}
        assert await platform.database.fetch_all(query, {"bucket": platform.connection.bucket}) == before


@pytest.mark.parametrize(("seconds", "let_through"), [(2.0, 1), (4.0, 2), (6.0, 3), (3600.0, 3)])
async def test_the_allowance_fills_up_and_not_beyond_the_burst(
    make_platform: MakePlatform, seconds: float, let_through: int
) -> None:
    async with make_platform(uploads=THIRTY) as platform:
        alice = platform.user()
        await statuses(*(ask(alice) for _ in range(3)))
        await later(platform, "alice", seconds)
        assert await statuses(*(ask(alice) for _ in range(6))) == {200: let_through, 429: 6 - let_through}


async def test_fifty_calls_at_once_over_two_replicas_are_let_through_exactly_as_the_burst_says(
    make_platform: MakePlatform,
) -> None:
    async with make_platform(uploads=THIRTY) as first, make_platform(uploads=THIRTY) as second:
        replicas = [first.user(), second.user()]
        begun = time.monotonic()
        answered = await statuses(*(ask(replicas[number % 2]) for number in range(50)))
        refilled = int((time.monotonic() - begun) / 2)
        assert set(answered) == {200, 429}
        assert 3 <= answered[200] <= 3 + refilled


async def test_users_do_not_influence_each_other(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=THIRTY) as platform:
        users = [platform.user(name) for name in ("alice", "bob", "carol")]
        assert await statuses(*(ask(user) for user in users for _ in range(4))) == {200: 9, 429: 3}


async def test_every_call_of_the_api_counts_and_no_other(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=THIRTY) as platform:
        alice = platform.user()
        assert (await alice.initiate(PICTURE)).status_code == 200
        assert (await alice.call("GET", "/api/messages?conversation_id=a")).status_code == 200
        assert (await alice.call("DELETE", "/api/users/bob/media")).status_code == 403
        assert (await alice.send(content="hello")).status_code == 429
        assert {(await platform.http.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics")} == {200}
        unknown = await platform.http.get("/api/media", headers={"Authorization": "Bearer nonsense"})
        assert unknown.status_code == 401


async def test_without_the_setting_no_statement_runs(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for method in ("fetch_one", "fetch_all", "execute"):
        run = getattr(Database, method)

        async def noted(self: Database, query: str, parameters: dict[str, Any], run: Any = run) -> Any:
            asked.append(query)
            return await run(self, query, parameters)

        monkeypatch.setattr(Database, method, noted)
    assert await statuses(*(platform.user().initiate(PICTURE) for _ in range(30))) == {200: 30}
    assert asked
    assert not [query for query in asked if "INTO rate_limits" in query]


@pytest.mark.parametrize("allowed", [1, 7, 15, 35, 99, 1_000, 1_999])
async def test_the_burst_is_exact_for_every_limit(platform: Platform, allowed: int) -> None:
    """Intervals that are no whole microseconds must not cost a call. One transaction: the clock stands still."""
    limiter = RateLimiter(_Frozen(platform.database), platform.connection.bucket, allowed)
    for _ in range(burst_of(allowed)):
        await limiter.admit("alice")
    with pytest.raises(TooManyRequests) as refused:
        await limiter.admit("alice")
    assert refused.value.retry_after == max(1, math.ceil(60 / allowed))


class _Frozen(Database):
    """A database whose clock does not move; in the future, where the reaper finds nothing to forget."""

    def __init__(self, database: Database) -> None:
        vars(self).update(vars(database))

    async def fetch_one(self, query: str, parameters: dict[str, Any]) -> Any:
        return await super().fetch_one(
            re.sub(r"(now|clock_timestamp)\(\)", "timestamptz '2100-01-01'", query), parameters
        )


async def test_rows_that_say_nothing_are_removed(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=THIRTY) as platform:
        await statuses(ask(platform.user("alice")), ask(platform.user("bob")))
        await later(platform, "alice", 3700)
        bucket = platform.connection.bucket
        assert await forget_full(platform.database, bucket) == 1
        query = "SELECT user_id FROM rate_limits WHERE bucket = %(bucket)s"
        assert await platform.database.fetch_all(query, {"bucket": bucket}) == [{"user_id": "bob"}]


async def test_the_reaper_removes_them(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=THIRTY, settings_changes={"reaper_interval_seconds": 0.05}) as platform:
        await statuses(ask(platform.user()))
        await later(platform, "alice", 3700)
        query = "SELECT 1 FROM rate_limits WHERE bucket = %(bucket)s"
        async with asyncio.timeout(10):
            while await platform.database.fetch_one(query, {"bucket": platform.connection.bucket}):
                await asyncio.sleep(0.05)


async def test_every_call_of_the_api_documents_that_it_may_be_refused(platform: Platform) -> None:
    document: dict[str, Any] = (await platform.http.get("/openapi.json")).json()
    operations = {
        f"{method} {path}": operation["responses"]
        for path, item in document["paths"].items()
        # The store's notifications are no user's.
        if path.startswith("/api/") and not path.startswith("/api/events/")
        for method, operation in item.items()
    }
    assert len(operations) >= 9
    assert [call for call, responses in operations.items() if str(httpx.codes.TOO_MANY_REQUESTS) not in responses] == []
