"""The store says that objects have arrived: uploads complete without their clients."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from notifications import DELETIONS, SHAPES, Shape, encoded, s3, s3_record, trial_event
from pydantic import SecretStr, ValidationError
from service_platform import MakePlatform, Platform, running_platform, spec_with
from upload_client import File

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.app import create_app
from mediabucket_service.events.shapes import MAX_RECORDS
from mediabucket_service.media.service import MediaService
from mediabucket_service.settings import Settings

SECRET = "sixteen bytes!!!"
TRUSTED = {"Authorization": f"Bearer {SECRET}"}
TAKING = {"events_secret": SecretStr(SECRET), "confirm_answer_seconds": 2}
EVENTS = "/api/events/s3"
PICTURE = File(b"a picture" * 100)
UNKNOWN = "019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"


@pytest.fixture
async def taking(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    """An application that takes notifications."""
    async with make_platform(settings_changes=TAKING) as platform:
        yield platform


async def tell(platform: Platform, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else encoded(body)
    return await platform.http.post(EVENTS, content=content, headers=headers or TRUSTED)


async def settled(platform: Platform, body: Any) -> tuple[int, int, int]:
    """The numbers of the answer: confirmed, ignored, failed."""
    answer = await tell(platform, body)
    assert answer.status_code == 200, answer.text
    numbers = answer.json()
    assert set(numbers) == {"confirmed", "ignored", "failed"}
    return numbers["confirmed"], numbers["ignored"], numbers["failed"]


def pending(ticket: dict[str, Any]) -> str:
    return f"pending/{ticket['media_id']}"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_an_upload_is_completed_without_its_client(taking: Platform, shape: Shape) -> None:
    alice = taking.user()
    ticket = await alice.begin(PICTURE)
    body = shape(taking.connection.bucket, pending(ticket))
    assert await settled(taking, body) == (1, 0, 0)
    media = (await alice.get(ticket["media_id"])).json()
    assert media["status"] == "completed"
    assert (await alice.download(media["url"])).content == PICTURE.content
    assert await settled(taking, body) == (1, 0, 0), "again: it is completed"
    assert (await alice.confirm(ticket["media_id"])).json()["confirmed_at"] == media["confirmed_at"]


async def test_a_real_store_tells_by_itself(
    tmp_path: Path, settings: Settings, bucket_name: str, unused_tcp_port: int
) -> None:
    """SeaweedFS' own webhook, over a relay that hands its request to the application unchanged."""
    (tmp_path / "notification.toml").write_text(
        f'[notification.webhook]\nenabled = true\nendpoint = "http://127.0.0.1:{unused_tcp_port}/"\n'
        f'bearer_token = "{SECRET}"\n'
    )
    store = await asyncio.to_thread(lambda: SeaweedFS.start(tmp_path, durable=False).__enter__())
    try:
        async with running_platform(store.connection, settings.model_copy(update=TAKING), bucket_name) as platform:
            statuses: list[int] = []

            async def relay(request: web.Request) -> web.Response:
                headers = {"Authorization": request.headers["Authorization"]}
                answer = await tell(platform, await request.read(), headers)
                statuses.append(answer.status_code)
                return web.Response(status=answer.status_code)

            application = web.Application()
            application.router.add_post("/", relay)
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
            try:
                alice = platform.user()
                tickets = [await alice.begin(File(b"picture %d" % number)) for number in range(3)]
                for ticket in tickets:
                    async with asyncio.timeout(20):
                        while (await alice.get(ticket["media_id"])).json()["status"] != "completed":
                            await asyncio.sleep(0.05)
                # Copies, deletes and the like were told too.
                await asyncio.sleep(0.5)
            finally:
                await runner.cleanup()
            assert len(statuses) > len(tickets)
            assert set(statuses) == {200}
    finally:
        await asyncio.to_thread(store.__exit__, None, None, None)


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_as_many_records_as_are_allowed_fit_into_a_body(taking: Platform) -> None:
    """Of a kilobyte each, which S3's own do not have with the longest name of a bucket."""
    record = s3_record("b" * 63, f"pending/{UNKNOWN}")
    assert len(encoded(record)) < 900
    record["awsRegion"] += "x" * (1024 - len(encoded(record)))
    answers = [await tell(taking, {"Records": [record] * many}) for many in (MAX_RECORDS, MAX_RECORDS + 1, 300)]
    assert [answer.status_code for answer in answers] == [200, 400, 413]
    assert answers[0].json() == {"confirmed": 0, "ignored": MAX_RECORDS, "failed": 0}


async def test_duplicates_disorder_and_strangers_do_no_harm(taking: Platform) -> None:
    alice, bucket = taking.user(), taking.connection.bucket
    arrived = await alice.begin(PICTURE)
    announced = (await alice.initiate(File(b"never put"))).json()
    wrong = (await alice.initiate(File(b"announced"))).json()
    await alice.put(wrong, b"ANNOUNCED")
    deleted = await alice.upload(File(b"not for long"))
    await alice.delete(deleted["media_id"])
    cancelled = await alice.begin(File(b"cancelled"))
    await alice.delete(cancelled["media_id"])
    completed = await alice.upload(File(b"completed before"))
    path = (await taking.row(completed["media_id"]))["file_path"]
    keys = {
        pending(completed): "completed",
        pending(arrived): "completed",
        f"{pending(arrived)}.verified": None,
        pending(arrived).upper(): None,
        f"pending/{{{arrived['media_id']}}}": None,
        arrived["media_id"]: None,
        path: None,
        "pending/": None,
        "": None,
        f"pending/{UNKNOWN}": None,
        pending(announced): "pending",
        pending(wrong): "failed",
        pending(deleted): "deleted",
        pending(cancelled): "expired",
    }
    records = [s3_record(bucket, key) for key in keys]
    strangers = [s3_record("another", pending(arrived)), s3_record(bucket, pending(announced), "ObjectRemoved:Delete")]
    # Twice, and the second time backwards.
    body = {"Records": [*strangers, *records, *records[::-1]]}
    expected = {"confirmed": 2, "ignored": 2 * len(keys) + 1 - 2, "failed": 0}
    answers = await asyncio.gather(*(tell(taking, body) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all(answer.json()["failed"] == 0 for answer in answers)
    assert (await tell(taking, body)).json() == expected
    for key, status in keys.items():
        if status is not None:
            assert (await taking.row(key.removeprefix("pending/")))["status"] == status
    assert await taking.keys("pending/") == []
    assert (await alice.put(announced, b"never put")).status_code == 200
    assert await settled(taking, s3(bucket, pending(announced))) == (1, 0, 0), "an early event was no verdict"


@pytest.mark.parametrize("shape", DELETIONS.values(), ids=DELETIONS)
async def test_other_events_confirm_nothing(taking: Platform, shape: Shape) -> None:
    ticket = await taking.user().begin(PICTURE)
    assert await settled(taking, shape(taking.connection.bucket, pending(ticket))) == (0, 0, 0)
    assert (await taking.row(ticket["media_id"]))["status"] == "pending"


async def test_the_trial_event_of_s3_is_accepted(taking: Platform) -> None:
    assert await settled(taking, trial_event(taking.connection.bucket)) == (0, 0, 0)


async def test_many_at_once_with_clients_that_confirm_too(taking: Platform) -> None:
    alice = taking.user()
    tickets = [await alice.begin(File(b"picture %d" % number)) for number in range(30)]
    body = {"Records": [s3_record(taking.connection.bucket, pending(ticket)) for ticket in tickets]}
    told, *confirmed = await asyncio.gather(
        tell(taking, body), *(alice.confirm(ticket["media_id"]) for ticket in tickets[::2])
    )
    assert told.status_code == 200
    assert told.json()["failed"] == 0
    assert {answer.status_code for answer in confirmed} <= {200, 202, 409}
    assert await settled(taking, body) == (30, 0, 0)


async def test_an_upload_that_another_is_confirming_is_ignored(taking: Platform) -> None:
    ticket = await taking.user().begin(PICTURE)
    await taking.change(
        ticket["media_id"], "lease_until = now() + interval '1 minute', lease_owner = gen_random_uuid()"
    )
    assert await settled(taking, s3(taking.connection.bucket, pending(ticket))) == (0, 1, 0)


async def test_a_bug_costs_its_own_upload_only(
    taking: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice = taking.user()
    tickets = [await alice.begin(File(b"picture %d" % number)) for number in range(3)]
    confirm = MediaService.confirm

    async def stumbling(self: MediaService, user_id: str, media_id: Any, **options: Any) -> Any:
        if str(media_id) == tickets[1]["media_id"]:
            raise ZeroDivisionError
        return await confirm(self, user_id, media_id, **options)

    monkeypatch.setattr(MediaService, "confirm", stumbling)
    body = {"Records": [s3_record(taking.connection.bucket, pending(ticket)) for ticket in tickets]}
    assert await settled(taking, body) == (2, 0, 1)
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert tickets[1]["media_id"] in told.getMessage()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {SECRET}"},
        {"Authorization": f"bearer   {SECRET}"},
        {"Authorization": SECRET},
        {"X-Events-Secret": SECRET},
        {"X-Events-Secret": SECRET, "Authorization": "Bearer of another proxy"},
    ],
)
async def test_who_knows_the_secret_is_heard(taking: Platform, headers: dict[str, str]) -> None:
    assert (await tell(taking, {"Records": []}, headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Nothing": "at all"},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": f"Bearer {SECRET[:-1]}"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": SECRET.upper()},
        {"X-Events-Secret": f"Bearer {SECRET}"},
        {"X-Events-Secret": "ü" * 16},
        {"X-Events-Secret": ""},
    ],
)
async def test_who_does_not_is_refused_before_anything_is_read(taking: Platform, headers: dict[str, str]) -> None:
    raw = [(name, value.encode("latin-1")) for name, value in headers.items()]
    answer = await taking.http.post(EVENTS, content=b"not even JSON", headers=raw)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:mediabucket:problem:unauthenticated"
    assert SECRET not in answer.text


async def test_a_users_token_is_no_secret_of_the_store(taking: Platform) -> None:
    assert (await tell(taking, {"Records": []}, taking.user().headers)).status_code == 401


async def test_a_secret_may_have_any_characters(make_platform: MakePlatform) -> None:
    secret = "größer als sechzehn"
    async with make_platform(settings_changes={"events_secret": SecretStr(secret)}) as platform:
        headers = [("Authorization", f"Bearer {secret}".encode())]
        answer = await platform.http.post(EVENTS, content=b'{"Records":[]}', headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 200


async def test_without_a_secret_there_is_nothing_at_the_address(platform: Platform) -> None:
    for body in (b'{"Records":[]}', b"not JSON"):
        answer = await tell(platform, body)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:mediabucket:problem:not-found"


@pytest.mark.parametrize("secret", ["", "fifteen bytes!!", "ü" * 7])
def test_a_short_secret_stops_the_start_and_is_not_quoted(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIABUCKET_EVENTS_SECRET", secret)
    monkeypatch.setenv("MEDIABUCKET_DATABASE_URL", "postgresql://localhost/media")
    with pytest.raises(ValidationError, match="the secret of store events must have at least 16 bytes") as refused:
        Settings()
    assert not secret or secret not in str(refused.value)


def test_sixteen_bytes_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIABUCKET_EVENTS_SECRET", SECRET)
    monkeypatch.setenv("MEDIABUCKET_DATABASE_URL", "postgresql://localhost/media")
    found = Settings().events_secret
    assert found is not None
    assert found.get_secret_value() == SECRET


@pytest.mark.parametrize("body", [b"", b"hello", b"[" * 100_000, b"null", b"{}", b'{"Records": [5]}'])
async def test_a_bad_body_is_a_bad_request(taking: Platform, body: bytes) -> None:
    answer = await tell(taking, body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:mediabucket:problem:malformed-request"


async def test_a_large_body_is_refused(taking: Platform) -> None:
    assert (await tell(taking, b" " * 300_000)).status_code == 413


KEYS = st.one_of(st.text(), st.sampled_from([f"pending/{UNKNOWN}", "pending/%00", "pending/%FF", "a" * 5_000]))
HOSTILE = st.lists(
    st.builds(lambda bucket, key: (bucket, key), st.one_of(st.none(), st.text()), KEYS), min_size=1, max_size=5
)


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects=HOSTILE, shape=st.sampled_from(sorted(SHAPES)))
async def test_hostile_keys_are_ignored(taking: Platform, objects: list[tuple[str | None, str]], shape: str) -> None:
    for bucket, key in objects:
        answer = await tell(taking, SHAPES[shape](taking.connection.bucket if bucket is None else bucket, key))
        assert answer.status_code in (200, 400), answer.text
        assert answer.status_code == 400 or answer.json()["confirmed"] == answer.json()["failed"] == 0


@asynccontextmanager
async def running_without_store(
    store: StoreConnection, settings: Settings, bucket: str
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, BucketConnection(store=store, bucket=bucket, spec=spec_with()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as http,
    ):
        yield http


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, but on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_without_a_database_the_sender_is_told_to_try_again(
    make_platform: MakePlatform, closed_port: int
) -> None:
    url = SecretStr(f"postgresql://nobody:secret@127.0.0.1:{closed_port}/media")
    changes = TAKING | {"database_url": url, "database_timeout_seconds": 0.5}
    async with make_platform(settings_changes=changes) as platform:
        records = [s3_record(platform.connection.bucket, f"pending/019aa1b2-7c3d-7e4f-8a5b-{i:012}") for i in range(99)]
        async with asyncio.timeout(5):
            answer = await tell(platform, {"Records": records})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_without_a_store_the_sender_is_told_to_try_again(
    taking: Platform, settings: Settings, closed_port: int
) -> None:
    ticket = await taking.user().begin(PICTURE)
    endpoint = f"http://127.0.0.1:{closed_port}"
    store: StoreConnection = taking.connection.store.model_copy(update={"endpoint": endpoint})
    body = s3(taking.connection.bucket, pending(ticket))
    async with running_without_store(store, settings.model_copy(update=TAKING), taking.connection.bucket) as http:
        answer = await http.post(EVENTS, content=encoded(body), headers=TRUSTED)
    assert answer.status_code == 503
    assert answer.json()["dependency"] == "store"
    assert await settled(taking, body) == (1, 0, 0), "nothing is left behind that hinders the next try"
