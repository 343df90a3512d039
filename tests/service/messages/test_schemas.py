"""What a message may say."""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from mediabucket_service.messages.schemas import SendMessage

MEDIA_ID = str(uuid4())

ALLOWED: dict[str, dict[str, Any]] = {
    "text only": {"content": "hello"},
    "media only": {"media_ids": [MEDIA_ID]},
    "both": {"content": "look", "media_ids": [MEDIA_ID]},
    "line breaks and emoji": {"content": "one\r\ntwo\t🎉👩‍👩‍👧"},
    "as long as allowed": {"content": "x" * 10_000, "conversation_id": "c" * 128, "client_message_id": "i" * 128},
    "as many media as allowed": {"media_ids": [str(uuid4()) for _ in range(50)]},
    "a type of its own": {"content": "x", "message_type": "voice_note-2"},
    "unknown fields": {"content": "x", "colour": "red"},
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "must have content, media_ids or both"),
    "blank": ({"content": " \n "}, "must have content, media_ids or both"),
    "too long": ({"content": "x" * 10_001}, "at most 10000 characters"),
    "NUL": ({"content": "a\0b"}, "must not contain NUL characters"),
    "half a surrogate pair": ({"content": "a\ud800"}, "unicode"),
    "no conversation": ({"conversation_id": "", "content": "x"}, "at least 1 character"),
    "a conversation too long": ({"conversation_id": "c" * 129, "content": "x"}, "at most 128 characters"),
    "a line break in the conversation": ({"conversation_id": "a\nb", "content": "x"}, "printable characters only"),
    "NUL in the conversation": ({"conversation_id": "a\0", "content": "x"}, "printable characters only"),
    "an empty client id": ({"client_message_id": "", "content": "x"}, "at least 1 character"),
    "a client id with NUL": ({"client_message_id": "\0", "content": "x"}, "printable characters only"),
    "the same media twice": ({"media_ids": [MEDIA_ID, MEDIA_ID.upper()]}, "must not name the same media twice"),
    "too many media": ({"media_ids": [str(uuid4()) for _ in range(51)]}, "at most 50 items"),
    "media that are no UUIDs": ({"media_ids": ["picture"]}, "valid UUID"),
    "media that are no list": ({"media_ids": MEDIA_ID}, "valid list"),
    "media that are null": ({"media_ids": None, "content": "x"}, "valid list"),
    "an upper-case type": ({"message_type": "Text", "content": "x"}, "must begin with a lower-case letter"),
    "a type with a space": ({"message_type": "a b", "content": "x"}, "must begin with a lower-case letter"),
    "a type with a foreign letter": ({"message_type": "été", "content": "x"}, "must begin with a lower-case letter"),
    "an empty type": ({"message_type": "", "content": "x"}, "at least 1 character"),
    "a type too long": ({"message_type": "x" * 33, "content": "x"}, "at most 32 characters"),
    "a type with NUL": ({"message_type": "a\0", "content": "x"}, "must begin with a lower-case letter"),
    "content that is a number": ({"content": 5}, "valid string"),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_a_message_may_say(case: str) -> None:
    fields = {"conversation_id": "general"} | ALLOWED[case]
    sent = SendMessage.model_validate(fields)
    assert sent.content == fields.get("content", "")
    assert [str(media_id) for media_id in sent.media_ids] == fields.get("media_ids", [])


@pytest.mark.parametrize("case", REFUSED)
def test_a_message_may_not_say(case: str) -> None:
    fields, sentence = REFUSED[case]
    with pytest.raises(ValidationError, match=sentence):
        SendMessage.model_validate({"conversation_id": "general"} | fields)
