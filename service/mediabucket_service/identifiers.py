"""Identifiers that sort by time: RFC 9562 UUID version 7."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7


def new_identifier() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def made_at(identifier: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond (RFC 9562 §5.7)."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)
