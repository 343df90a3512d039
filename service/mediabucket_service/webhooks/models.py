"""The tables of webhooks. Deliveries are written by a trigger on media_files (migration 0002), with its change."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel


class RegisteredWebhook(SQLModel, table=True):
    """Whom the manifest of a bucket wants to be told, kept here by the service for the trigger to read."""

    __tablename__: ClassVar[str] = "webhooks"

    bucket: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    events: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))


class WebhookDelivery(SQLModel, table=True):
    """One event for one webhook, until it is delivered. `delivery_id` is the `webhook-id` of every attempt."""

    __tablename__: ClassVar[str] = "webhook_deliveries"
    __table_args__ = (Index("webhook_deliveries_due", "bucket", "next_attempt_at"),)

    delivery_id: UUID = Field(primary_key=True)
    bucket: str = Field(sa_column=Column(Text, nullable=False))
    webhook: str = Field(sa_column=Column(Text, nullable=False))
    event: str = Field(sa_column=Column(Text, nullable=False))
    media_id: UUID
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    next_attempt_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )
    last_error: str | None = Field(default=None, sa_column=Column(Text))
