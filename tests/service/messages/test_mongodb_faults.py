"""A MongoDB that is gone, hangs or comes back: a problem that says so in time, and nothing is lost or doubled."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import document_server
import httpx
import pytest
from ferretdb import AssetsMissing, FerretDB, document_server_url, server_of, with_database, with_server
from pydantic import SecretStr
from pymongo import MongoClient
from service_platform import MakePlatform, Platform
from tcp_proxy import TcpProxy
from upload_client import File, UploadClient

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_service.messages.repository_mongodb import COLLECTION

TIMEOUT_SECONDS = 2.0
OURS = "FerretDB"
SERVERS = [OURS, *(["given"] if os.environ.get(document_server.URL_VARIABLE) else [])]
PICTURE = File(b"a picture" * 100)


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FerretDB]:
    """One that may be stopped, unlike the session's."""
    try:
        program = document_server.find()
    except AssetsMissing as missing:
        pytest.skip(str(missing))
    database = postgres.create_database(f"documents_{uuid4().hex[:8]}")
    started = FerretDB(program, tmp_path_factory.mktemp("ferretdb"), database).start()
    yield started
    started.stop()


@pytest.fixture(params=SERVERS)
def server_url(request: pytest.FixtureRequest) -> str:
    """Of a FerretDB, and of the server that the tests were given, if they were."""
    url: str = (
        request.getfixturevalue("server").url if request.param == OURS else request.getfixturevalue("mongodb_url")
    )
    return url


@pytest.fixture
def between(server_url: str) -> Iterator[TcpProxy]:
    host, port = server_of(server_url)
    with TcpProxy(port, host) as proxy:
        yield proxy


@pytest.fixture
async def platform(make_platform: MakePlatform, between: TcpProxy, server_url: str) -> AsyncIterator[Platform]:
    changes = {
        "mongodb_url": SecretStr(with_server(server_url, between.port)),
        "database_timeout_seconds": TIMEOUT_SECONDS,
    }
    async with make_platform(settings_changes=changes) as running:
        yield running


async def say(user: UploadClient, conversation: str, **message: Any) -> httpx.Response:
    return await user.send(conversation_id=conversation, **message)


async def contents(user: UploadClient, conversation: str) -> list[str]:
    answer = await user.call("GET", "/api/messages", params={"conversation_id": conversation})
    assert answer.status_code == 200, answer.text
    return [message["content"] for message in answer.json()["items"]]


def require_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == "urn:mediabucket:problem:dependency-unavailable"
    assert answer.json()["dependency"] == "documents"
    assert int(answer.headers["Retry-After"]) > 0


def test_a_server_that_is_given_keeps_what_it_holds(
    server: FerretDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = with_database(server.url, f"precious_{uuid4().hex[:8]}")
    monkeypatch.setenv(document_server.URL_VARIABLE, precious)
    with MongoClient[dict[str, Any]](precious) as client:
        theirs = client.get_default_database()
        theirs[COLLECTION].insert_one({"content": "not of a test"})
        with document_server_url(tmp_path, "") as url, MongoClient[dict[str, Any]](url) as ours:
            ours.get_default_database()[COLLECTION].insert_one({"content": "of a test"})
            ours.get_default_database()[COLLECTION].drop()
            ours.get_default_database()["others"].insert_one({})
            left = ours.get_default_database().name
            assert left in client.list_database_names()
        assert theirs[COLLECTION].count_documents({}) == 1
        assert left not in client.list_database_names()
        client.drop_database(theirs.name)


@pytest.mark.parametrize(
    ("url", "moved", "proxied"),
    [
        ("mongodb://h/", "mongodb://h/x", "mongodb://127.0.0.1:1/?directConnection=true"),
        (
            "mongodb://u:p%40@h:2,i:3/d?replicaSet=r&tls=true",
            "mongodb://u:p%40@h:2,i:3/x?replicaSet=r&tls=true&authSource=d",
            "mongodb://u:p%40@127.0.0.1:1/d?tls=true&directConnection=true&tlsAllowInvalidHostnames=true",
        ),
        (
            "mongodb://u@h/d?authSource=admin",
            "mongodb://u@h/x?authSource=admin",
            "mongodb://u@127.0.0.1:1/d?authSource=admin&directConnection=true",
        ),
    ],
)
def test_the_url_of_a_server_that_is_given_is_kept_in_all_else(url: str, moved: str, proxied: str) -> None:
    assert with_database(url, "x") == moved
    assert with_server(url, 1) == proxied
    assert server_of(url) == ("h", 2 if ":2" in url else 27017)


@pytest.mark.parametrize("fault", ["refuse", "freeze"])
async def test_a_server_that_does_not_answer_is_told_in_time_and_the_message_can_be_sent_again(
    alice: UploadClient, between: TcpProxy, fault: str
) -> None:
    conversation = f"conversation-{uuid4()}"
    media_id = (await alice.upload(PICTURE))["media_id"]
    assert (await say(alice, conversation, content="before")).status_code == 200
    getattr(between, fault)()
    started = time.monotonic()
    lost = await say(alice, conversation, content="once", media_ids=[media_id], client_message_id=conversation)
    require_unavailable(lost)
    # Twice: it looks for an earlier message first, and each call has its own time.
    assert time.monotonic() - started < 2 * TIMEOUT_SECONDS + 2
    assert (await alice.call("GET", "/readyz")).status_code == 503
    between.accept() if fault == "refuse" else between.thaw()
    for _ in range(2):
        again = await say(alice, conversation, content="once", media_ids=[media_id], client_message_id=conversation)
        assert again.status_code == 200, again.text
    assert await contents(alice, conversation) == ["once", "before"]


@pytest.mark.parametrize("server_url", [OURS], indirect=True)
async def test_a_server_that_was_killed_comes_back_with_all_messages(alice: UploadClient, server: FerretDB) -> None:
    conversation = f"conversation-{uuid4()}"
    kept = [f"message {number}" for number in range(20)]
    for content in kept:
        assert (await say(alice, conversation, content=content)).status_code == 200
    server.stop()
    require_unavailable(await say(alice, conversation, content="lost"))
    server.start()
    await until_it_answers(alice, conversation)
    assert await contents(alice, conversation) == [*reversed(kept)]


async def until_it_answers(user: UploadClient, conversation: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while (await user.call("GET", "/api/messages", params={"conversation_id": conversation})).status_code != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_an_insert_whose_answer_is_lost_is_one_message(alice: UploadClient, between: TcpProxy) -> None:
    """Frozen in the middle of many sends: each is repeated until it is answered."""
    conversation = f"conversation-{uuid4()}"

    async def insist(number: int) -> None:
        for _ in range(20):
            answer = await say(alice, conversation, content=f"{number}", client_message_id=f"{conversation}-{number}")
            if answer.status_code == 200:
                return
            require_unavailable(answer)
        raise AssertionError(f"message {number} was never taken")

    sending = [asyncio.create_task(insist(number)) for number in range(40)]
    await asyncio.sleep(0.05)
    between.freeze_existing()
    await asyncio.gather(*sending)
    assert sorted(map(int, await contents(alice, conversation))) == list(range(40))


async def test_the_page_stays_where_it_was_while_messages_come_in(alice: UploadClient) -> None:
    conversation = f"conversation-{uuid4()}"
    for number in range(6):
        assert (await say(alice, conversation, content=f"{number}")).status_code == 200
    query: dict[str, Any] = {"conversation_id": conversation, "limit": 3}
    first = (await alice.call("GET", "/api/messages", params=query)).json()
    assert (await say(alice, conversation, content="later")).status_code == 200
    second = (await alice.call("GET", "/api/messages", params=query | {"before": first["next"]})).json()
    assert [message["content"] for message in (*first["items"], *second["items"])] == list("543210")
