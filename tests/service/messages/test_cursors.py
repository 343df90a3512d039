"""Cursors: opaque, exact, and refused with a sentence when somebody made one up."""

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabucket_service.identifiers import new_identifier
from mediabucket_service.messages.models import Message
from mediabucket_service.messages.repository import Position
from mediabucket_service.messages.service import decoded_cursor, encoded_cursor
from mediabucket_service.problems import MalformedRequest


def message_sent_at(sent_at: datetime) -> Message:
    return Message(
        message_id=new_identifier(),
        conversation_id="general",
        sender="alice",
        content="hello",
        message_type="text",
        media_ids=[],
        sent_at=sent_at,
    )


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    )
)
def test_a_cursor_stands_for_the_place_before_its_message(sent_at: datetime) -> None:
    message = message_sent_at(sent_at)
    assert decoded_cursor(encoded_cursor(message)) == Position(sent_at, message.message_id)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "not base64!", "AAAA", base64.urlsafe_b64encode(b"\xff" * 24).decode(), "A" * 33, "\0" * 32],
)
def test_a_cursor_that_nobody_was_given_is_refused(cursor: str) -> None:
    with pytest.raises(MalformedRequest, match="before must be the next value of an earlier page"):
        decoded_cursor(cursor)


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with suppress(MalformedRequest):
        assert isinstance(decoded_cursor(text), Position)
