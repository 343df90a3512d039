"""Messages in MongoDB."""

import asyncio
import uuid
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from mediabucket_service import documents
from mediabucket_service.documents import Document, Documents
from mediabucket_service.messages.models import Message
from mediabucket_service.messages.repository import Position

COLLECTION: Final = "messages"
# Of this service's own: ids made in it mean nothing elsewhere.
_SENT_ONCE: Final = UUID("6f0d7f2e-5d0c-4a58-9d43-0c7c35a1b7de")
_INDEXES: Final = (
    IndexModel(
        [("conversation_id", ASCENDING), ("sent_at", DESCENDING), ("message_id", DESCENDING)],
        name="messages_of_conversation",
    ),
    IndexModel([("message_id", ASCENDING)], name="messages_by_id", unique=True),
)


class MongoMessageRepository:
    """See `MessageRepository`. Raises one of `documents.DOCUMENTS_UNAVAILABLE` when MongoDB does not answer.

    A document's `_id` follows from sender and client_message_id, so that the one index every server has, and cannot
    lose, keeps messages from being kept twice.
    """

    def __init__(self, connected: Documents) -> None:
        self._messages = connected.collection(COLLECTION)
        self._indexed = False
        self._indexing = asyncio.Lock()

    async def insert(self, message: Message) -> Message:
        messages = await self._ready()
        key = _key(message.sender, message.client_message_id) or message.message_id
        try:
            await messages.insert_one({"_id": key, **message.model_dump()})
        except DuplicateKeyError:
            kept = await messages.find_one({"_id": key})
            if kept is not None:
                return _message(kept)
            raise
        return message

    async def find(self, sender: str, client_message_id: str) -> Message | None:
        messages = await self._ready()
        found = await messages.find_one({"_id": _key(sender, client_message_id)})
        return None if found is None else _message(found)

    async def page(self, conversation_id: str, before: Position | None, limit: int) -> list[Message]:
        messages = await self._ready()
        wanted: dict[str, Any] = {"conversation_id": conversation_id}
        if before is not None:
            wanted["$or"] = [
                {"sent_at": {"$lt": before.sent_at}},
                {"sent_at": before.sent_at, "message_id": {"$lt": before.message_id}},
            ]
        newest_first = [("sent_at", DESCENDING), ("message_id", DESCENDING)]
        found = await messages.find(wanted).sort(newest_first).limit(limit).to_list()
        return [_message(document) for document in found]

    async def existing(self, message_ids: Collection[UUID]) -> set[UUID]:
        messages = await self._ready()
        found = await messages.find({"message_id": {"$in": list(message_ids)}}, {"message_id": True}).to_list()
        return {document["message_id"] for document in found}

    async def _ready(self) -> documents.Collection:
        # Before the first use, not at start: the service may start while MongoDB is down.
        if not self._indexed:
            async with self._indexing:
                await self._create_indexes()
        return self._messages

    async def _create_indexes(self) -> None:
        # Whoever waited for the lock finds them there.
        if not self._indexed:
            for index in _INDEXES:
                # One by one: FerretDB drops the connection when two of a list exist already.
                await self._messages.create_indexes([index])
            self._indexed = True


def _key(sender: str, client_message_id: str | None) -> UUID | None:
    # Neither contains NUL, so no two pairs read alike.
    return None if client_message_id is None else uuid.uuid5(_SENT_ONCE, f"{sender}\0{client_message_id}")


def _message(document: Document) -> Message:
    return Message(**{name: value for name, value in document.items() if name != "_id"})
