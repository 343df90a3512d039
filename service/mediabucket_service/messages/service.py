"""The rules of messages: how one is made, sent once, and read in pages."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.identifiers import new_identifier
from mediabucket_service.messages.models import Message
from mediabucket_service.messages.repository import MessageRepository, Position
from mediabucket_service.messages.schemas import SendMessage
from mediabucket_service.problems import MalformedRequest

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_TIME_BYTES: Final = 8
_CURSOR_BYTES: Final = _TIME_BYTES + 16


@dataclass(frozen=True)
class Page:
    """Messages, newest first; `next` is the cursor of the page after, None on the last one."""

    messages: list[Message]
    next: str | None


class MessageService:
    """Messages, whoever keeps them."""

    def __init__(self, repository: MessageRepository, now: Clock = utc_now) -> None:
        self._repository = repository
        self._now = now

    async def sent_before(self, sender: str, request: SendMessage) -> Message | None:
        """The message that an earlier try of the same request became."""
        if request.client_message_id is None:
            return None
        return await self._repository.find(sender, request.client_message_id)

    def draft(self, sender: str, request: SendMessage) -> Message:
        """A message with an id, not yet kept."""
        now = self._now()
        return Message(
            message_id=new_identifier(),
            conversation_id=request.conversation_id,
            sender=sender,
            content=request.content,
            message_type=request.message_type,
            media_ids=request.media_ids,
            client_message_id=request.client_message_id,
            # MongoDB keeps no more than milliseconds.
            sent_at=now - timedelta(microseconds=now.microsecond % 1000),
        )

    async def keep(self, message: Message) -> Message:
        """Keep a draft; answers another message when another try of the same request was faster."""
        return await self._repository.insert(message)

    async def page(self, conversation_id: str, *, before: str | None, limit: int) -> Page:
        """A page of a conversation. Raises MalformedRequest unless `before` is the `next` of an earlier page."""
        position = None if before is None else decoded_cursor(before)
        found = await self._repository.page(conversation_id, position, limit + 1)
        messages = found[:limit]
        return Page(messages, encoded_cursor(messages[-1]) if len(found) > limit else None)

    async def existing(self, message_ids: Collection[UUID]) -> set[UUID]:
        """Those of the ids that are messages."""
        return await self._repository.existing(message_ids)


def encoded_cursor(message: Message) -> str:
    """An opaque text that stands for the place right before a message."""
    milliseconds = (message.sent_at - _EPOCH) // _MILLISECOND
    return base64.urlsafe_b64encode(milliseconds.to_bytes(_TIME_BYTES) + message.message_id.bytes).decode()


def decoded_cursor(cursor: str) -> Position:
    """The place a cursor stands for. Raises MalformedRequest for anything that `encoded_cursor` did not make."""
    try:
        data = base64.b64decode(cursor, altchars=b"-_", validate=True)
        if len(data) != _CURSOR_BYTES:
            raise ValueError(f"{len(data)} bytes")
        sent_at = _EPOCH + int.from_bytes(data[:_TIME_BYTES]) * _MILLISECOND
    except (binascii.Error, ValueError, OverflowError) as error:
        raise MalformedRequest("before must be the next value of an earlier page") from error
    return Position(sent_at, UUID(bytes=data[_TIME_BYTES:]))
