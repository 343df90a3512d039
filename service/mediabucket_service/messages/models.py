"""The table of messages, and the type both repositories answer with."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Text, text
from sqlalchemy import Uuid as UuidColumn
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


class Message(SQLModel, table=True):
    """One message. `media_ids` are in the order the sender gave; `sent_at` has whole milliseconds."""

    __tablename__: ClassVar[str] = "messages"
    __table_args__ = (
        # Settles which of several tries at the same message was first.
        Index(
            "messages_sent_once",
            "sender",
            "client_message_id",
            unique=True,
            postgresql_where=text("client_message_id IS NOT NULL"),
        ),
        Index("messages_of_conversation", "conversation_id", text("sent_at DESC"), text("message_id DESC")),
    )

    message_id: UUID = Field(primary_key=True)
    conversation_id: str = Field(sa_column=Column(Text, nullable=False))
    sender: str = Field(sa_column=Column(Text, nullable=False))
    content: str = Field(sa_column=Column(Text, nullable=False))
    message_type: str = Field(sa_column=Column(Text, nullable=False))
    media_ids: list[UUID] = Field(sa_column=Column(ARRAY(UuidColumn), nullable=False))
    client_message_id: str | None = Field(default=None, sa_column=Column(Text))
    sent_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
