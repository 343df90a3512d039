"""Identifiers that sort by time: RFC 9562 UUID version 7."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_identifier() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()
