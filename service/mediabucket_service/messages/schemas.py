"""What clients send and get about messages; the media themselves are added by `flows`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MAX_CONTENT_LENGTH = 10_000
MAX_MEDIA = 50


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("printable", "must contain printable characters only")
    return value


def _without_nul(value: str) -> str:
    # PostgreSQL cannot store it.
    if "\0" in value:
        raise PydanticCustomError("nul", "must not contain NUL characters")
    return value


def _without_repetition(values: Sequence[UUID]) -> Sequence[UUID]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("repeated", "must not name the same media twice")
    return values


def _message_type(value: str) -> str:
    if not value[:1].islower() or not set(value) <= _TYPE_CHARACTERS:
        raise PydanticCustomError(
            "message_type", "must begin with a lower-case letter and contain only a-z, 0-9, - and _"
        )
    return value


_TYPE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")

Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]


class SendMessage(BaseModel):
    """A message to a conversation: text, media that the sender has uploaded, or both.

    Sending the same `client_message_id` again answers with the first message and changes nothing.
    """

    model_config = ConfigDict(
        json_schema_extra={
            # What `_says_something` checks.
            "anyOf": [
                {"required": ["content"], "properties": {"content": {"pattern": "\\S"}}},
                {"required": ["media_ids"], "properties": {"media_ids": {"minItems": 1}}},
            ],
            "example": {
                "conversation_id": "team-lunch",
                "content": "Look at this",
                "media_ids": ["019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"],
                "client_message_id": "a3c8",
            },
        }
    )

    conversation_id: Name
    content: Annotated[str, Field(max_length=MAX_CONTENT_LENGTH), AfterValidator(_without_nul)] = ""
    media_ids: Annotated[list[UUID], Field(max_length=MAX_MEDIA), AfterValidator(_without_repetition)] = Field(
        default_factory=list
    )
    message_type: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_message_type)] = "text"
    client_message_id: Name | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.content.strip() and not self.media_ids:
            raise PydanticCustomError("empty", "must have content, media_ids or both")
        return self


class MessageView(BaseModel):
    """A message as its readers see it, without its media."""

    message_id: UUID
    conversation_id: str
    sender: str
    content: str
    message_type: str
    media_ids: list[UUID]
    client_message_id: str | None = None
    sent_at: datetime
