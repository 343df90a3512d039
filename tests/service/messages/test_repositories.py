"""One contract for every place that messages can be kept in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from mediabucket_service.database import Database
from mediabucket_service.documents import Documents
from mediabucket_service.identifiers import new_identifier
from mediabucket_service.messages.models import Message
from mediabucket_service.messages.repository import MessageRepository, Position
from mediabucket_service.messages.repository_mongodb import COLLECTION, MongoMessageRepository
from mediabucket_service.messages.repository_postgresql import PostgresMessageRepository

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def on_postgresql(request: pytest.FixtureRequest) -> AsyncIterator[MessageRepository]:
    url: str = request.getfixturevalue("migrated_database")
    async with Database(url, pool_size=10, timeout_seconds=5) as database:
        # Other tests of the session leave theirs.
        await database.execute("DELETE FROM messages", {})
        yield PostgresMessageRepository(database)


@asynccontextmanager
async def on_mongodb(request: pytest.FixtureRequest) -> AsyncIterator[MessageRepository]:
    url: str = request.getfixturevalue("mongodb_url")
    async with Documents(url, timeout_seconds=5) as documents:
        yield MongoMessageRepository(documents)
        await documents.collection(COLLECTION).drop()


REPOSITORIES = {"postgresql": on_postgresql, "mongodb": on_mongodb}


@pytest.fixture(params=list(REPOSITORIES.values()), ids=list(REPOSITORIES))
async def repository(request: pytest.FixtureRequest) -> AsyncIterator[MessageRepository]:
    opened: AbstractAsyncContextManager[MessageRepository] = request.param(request)
    async with opened as repository:
        yield repository


def message(**changes: Any) -> Message:
    fields: dict[str, Any] = {
        "message_id": new_identifier(),
        "conversation_id": "general",
        "sender": "alice",
        "content": "hello",
        "message_type": "text",
        "media_ids": [],
        "client_message_id": None,
        "sent_at": NOON,
    }
    return Message(**fields | changes)


def ids(messages: list[Message]) -> list[Any]:
    return [found.message_id for found in messages]


async def test_a_kept_message_is_read_as_it_was(repository: MessageRepository) -> None:
    kept = message(
        content="naïve 🎉\n\ttwo lines",
        media_ids=[uuid4(), uuid4(), uuid4()],
        client_message_id="first",
        sent_at=NOON + timedelta(milliseconds=123),
    )
    assert await repository.insert(kept) == kept
    assert await repository.page("general", None, 10) == [kept]
    assert await repository.find("alice", "first") == kept


async def test_the_first_message_with_a_client_id_stays(repository: MessageRepository) -> None:
    first = message(client_message_id="same", content="first")
    await repository.insert(first)
    second = await repository.insert(message(client_message_id="same", content="second", conversation_id="other"))
    assert second == first
    assert await repository.page("other", None, 10) == []


async def test_of_many_at_once_with_a_client_id_one_is_kept(repository: MessageRepository) -> None:
    tries = [message(client_message_id="same", content=str(number)) for number in range(20)]
    kept = await asyncio.gather(*map(repository.insert, tries))
    assert len({found.message_id for found in kept}) == 1
    assert ids(await repository.page("general", None, 50)) == [kept[0].message_id]


async def test_inserting_the_same_message_twice_keeps_one(repository: MessageRepository) -> None:
    kept = message()
    assert await repository.insert(kept) == await repository.insert(kept)
    assert await repository.page("general", None, 10) == [kept]


async def test_client_ids_of_different_senders_have_nothing_to_do_with_each_other(
    repository: MessageRepository,
) -> None:
    for sender, client_message_id in (("alice", "1"), ("bob", "1"), ("alice1", "2"), ("alice", "12")):
        await repository.insert(message(sender=sender, client_message_id=client_message_id))
    assert len(await repository.page("general", None, 10)) == 4
    assert await repository.find("carol", "1") is None


async def test_messages_without_a_client_id_are_all_kept(repository: MessageRepository) -> None:
    for _ in range(3):
        await repository.insert(message())
    assert len(await repository.page("general", None, 10)) == 3


async def test_pages_follow_each_other_newest_first_without_gap_or_repetition(repository: MessageRepository) -> None:
    # Several in one millisecond: their ids decide.
    sent = [message(sent_at=NOON + timedelta(milliseconds=number // 3)) for number in range(10)]
    for one in sent:
        await repository.insert(one)
    newest_first = ids(sorted(sent, key=lambda one: (one.sent_at, one.message_id), reverse=True))
    read: list[Message] = []
    while page := await repository.page(
        "general", Position(read[-1].sent_at, read[-1].message_id) if read else None, 4
    ):
        assert len(page) <= 4
        read += page
    assert ids(read) == newest_first


async def test_conversations_are_apart(repository: MessageRepository) -> None:
    mine, other = message(), message(conversation_id="other")
    for one in (mine, other):
        await repository.insert(one)
    assert await repository.page("general", None, 10) == [mine]


async def test_existing_tells_messages_from_ids_that_are_none(repository: MessageRepository) -> None:
    with_client_id, without = message(client_message_id="one"), message()
    for one in (with_client_id, without):
        await repository.insert(one)
    known = {with_client_id.message_id, without.message_id}
    assert await repository.existing([*known, uuid4()]) == known
    assert await repository.existing([]) == set()
