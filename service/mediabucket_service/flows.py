"""Work over both domains: a message is sent together with its media, and read together with them.

The references from messages to media are written before the message: a media that a message shows cannot have been
deleted. What a crash in between leaves, references of a message that never came to be, `sweep_references` removes.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.media.models import MediaStatus
from mediabucket_service.media.schemas import MediaView
from mediabucket_service.media.service import MediaService
from mediabucket_service.messages.models import Message
from mediabucket_service.messages.repository import MessageRepository
from mediabucket_service.messages.schemas import MessageView, SendMessage
from mediabucket_service.messages.service import MessageService
from mediabucket_service.problems import ConfirmInProgress, Problem

# Confirms of one message that run at the same time.
PARALLEL_CONFIRMS: Final = 8
# Longer than any request lives, so that a message still being sent keeps its references.
ABANDONED_AFTER: Final = timedelta(hours=1)
SWEEP_BATCH: Final = 1_000


class SentMessage(MessageView):
    """A message with its media, in the order the sender gave."""

    media: list[MediaView]


class MessagePage(BaseModel):
    """Newest first; pass `next` as `before` for the page after."""

    items: list[SentMessage]
    next: str | None = None


class Flows:
    """What takes both media and messages."""

    def __init__(self, media: MediaService, messages: MessageRepository, now: Clock = utc_now) -> None:
        self._media = media
        self._messages = MessageService(messages, now)

    async def send_message(self, user_id: str, request: SendMessage) -> SentMessage:
        """Confirm what is still pending, refer to the media, keep the message.

        A repeated client_message_id is answered with the first message; nothing is confirmed or referred to again.
        Raises MediaNotFound naming all media that are not the sender's, and what `MediaService.confirm` raises, with
        the member `media_id`.
        """
        message = await self._messages.sent_before(user_id, request)
        if message is None:
            if request.media_ids:
                await self._complete(user_id, request.media_ids)
            message = await self._keep_once(self._messages.draft(user_id, request))
        return (await self._with_media([message]))[0]

    async def messages(self, conversation_id: str, *, before: str | None, limit: int) -> MessagePage:
        """A page of a conversation. Raises MalformedRequest unless `before` is the `next` of an earlier page."""
        page = await self._messages.page(conversation_id, before=before, limit=limit)
        return MessagePage(items=await self._with_media(page.messages), next=page.next)

    async def sweep_references(self) -> int:
        """Forget references of messages that never came to be; answers how many."""
        removed = 0
        while named := await self._media.unsettled_message_ids(ABANDONED_AFTER, SWEEP_BATCH):
            existing = await self._messages.existing(named)
            await self._media.settle_references(existing)
            removed += await self._media.remove_references(named - existing)
        return removed

    async def _complete(self, user_id: str, media_ids: Sequence[UUID]) -> None:
        """Confirm every media that is not completed; of several refusals the first in the sender's order is raised."""
        files = await self._media.require_many(user_id, media_ids)
        slots = asyncio.Semaphore(PARALLEL_CONFIRMS)
        late = False

        async def confirm(media_id: UUID) -> None:
            nonlocal late
            async with slots:
                # The sender is told to send again, and would wait for each of these in turn: they begin then.
                if late:
                    return
                try:
                    await self._media.confirm(user_id, media_id)
                except Problem as problem:
                    late = late or isinstance(problem, ConfirmInProgress)
                    problem.extra["media_id"] = str(media_id)
                    raise

        unfinished = [file.media_id for file in files if file.status != MediaStatus.COMPLETED]
        # Every confirm is let finish: a cancelled one would keep its lease until it runs out.
        outcomes = await asyncio.gather(*map(confirm, unfinished), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _keep_once(self, draft: Message) -> Message:
        await self._media.add_references(draft.message_id, draft.media_ids, draft.sender)
        message = await self._messages.keep(draft)
        if message.message_id != draft.message_id:
            await self._media.remove_references({draft.message_id})
        return message

    async def _with_media(self, messages: Sequence[Message]) -> list[SentMessage]:
        media_ids = {media_id for message in messages for media_id in message.media_ids}
        views = await self._media.views(media_ids) if media_ids else {}
        return [
            SentMessage(
                **message.model_dump(),
                media=[views[media_id] for media_id in message.media_ids if media_id in views],
            )
            for message in messages
        ]
