"""Messages in PostgreSQL."""

from collections.abc import Collection
from uuid import UUID

from psycopg.rows import DictRow

from mediabucket_service.database import Database
from mediabucket_service.messages.models import Message
from mediabucket_service.messages.repository import Position

_COLUMNS = "message_id, conversation_id, sender, content, message_type, media_ids, client_message_id, sent_at"

_INSERT = f"""
INSERT INTO messages ({_COLUMNS})
VALUES (%(message_id)s, %(conversation_id)s, %(sender)s, %(content)s, %(message_type)s, %(media_ids)s::uuid[],
        %(client_message_id)s, %(sent_at)s)
ON CONFLICT DO NOTHING
RETURNING {_COLUMNS}
"""

_KEPT_FIRST = f"""
SELECT {_COLUMNS} FROM messages
WHERE message_id = %(message_id)s OR (sender = %(sender)s AND client_message_id = %(client_message_id)s)
"""

_PAGE = f"""
SELECT {_COLUMNS} FROM messages
WHERE conversation_id = %(conversation_id)s
  AND (%(sent_at)s::timestamptz IS NULL OR (sent_at, message_id) < (%(sent_at)s, %(message_id)s::uuid))
ORDER BY sent_at DESC, message_id DESC
LIMIT %(limit)s
"""


class PostgresMessageRepository:
    """See `MessageRepository`. Raises what psycopg raises when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, message: Message) -> Message:
        parameters = message.model_dump()
        row = await self._database.fetch_one(_INSERT, parameters)
        # A conflicting row is committed by the time the insert gives way to it, so the next statement sees it.
        kept = row or await self._database.fetch_one(_KEPT_FIRST, parameters)
        return message if kept is None else _message(kept)

    async def find(self, sender: str, client_message_id: str) -> Message | None:
        row = await self._database.fetch_one(
            f"SELECT {_COLUMNS} FROM messages WHERE sender = %(sender)s AND client_message_id = %(client_message_id)s",
            {"sender": sender, "client_message_id": client_message_id},
        )
        return None if row is None else _message(row)

    async def page(self, conversation_id: str, before: Position | None, limit: int) -> list[Message]:
        rows = await self._database.fetch_all(
            _PAGE,
            {
                "conversation_id": conversation_id,
                "sent_at": None if before is None else before.sent_at,
                "message_id": None if before is None else before.message_id,
                "limit": limit,
            },
        )
        return [_message(row) for row in rows]

    async def existing(self, message_ids: Collection[UUID]) -> set[UUID]:
        rows = await self._database.fetch_all(
            "SELECT message_id FROM messages WHERE message_id = ANY(%(message_ids)s)",
            {"message_ids": list(message_ids)},
        )
        return {row["message_id"] for row in rows}


def _message(row: DictRow) -> Message:
    return Message(**row)
