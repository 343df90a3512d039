"""Where messages are kept: one interface, an adapter for PostgreSQL and one for MongoDB, one contract test for both."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from mediabucket_service.messages.models import Message


@dataclass(frozen=True)
class Position:
    """A place between messages of a conversation: right before this one."""

    sent_at: datetime
    message_id: UUID


class MessageRepository(Protocol):
    """Messages never change once they are inserted."""

    async def insert(self, message: Message) -> Message:
        """Keep a message. Answers the one kept first when the sender's client_message_id is known already."""
        ...

    async def find(self, sender: str, client_message_id: str) -> Message | None:
        """The message that a sender has given this id."""
        ...

    async def page(self, conversation_id: str, before: Position | None, limit: int) -> list[Message]:
        """Messages of a conversation, newest first, older than `before`."""
        ...

    async def existing(self, message_ids: Collection[UUID]) -> set[UUID]:
        """Those of the ids that are messages."""
        ...
