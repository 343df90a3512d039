"""Tokens whose signature was checked a moment ago."""

import pytest
from upload_client import JWT_SECRET, make_token

from mediabucket_service.auth import SharedSecret, TokenVerifier, User, VerifiedTokens
from mediabucket_service.problems import Unauthenticated


async def test_a_good_token_is_remembered_until_it_expires_and_a_minute_at_most() -> None:
    now = 1000.0
    tokens = VerifiedTokens(seconds=60, size=2, now=lambda: now)
    tokens.put("short", User("alice"), expires_at=1030)
    tokens.put("long", User("bob"), expires_at=5000)
    assert tokens.get("short") == User("alice")
    now = 1030
    assert tokens.get("short") is None
    assert tokens.get("long") == User("bob")
    now = 1060
    assert tokens.get("long") is None
    for name in ("a", "b", "c"):
        tokens.put(name, User(name), expires_at=5000)
    assert [tokens.get(name) for name in ("a", "b", "c")] == [None, User("b"), User("c")]


async def test_a_token_that_differs_by_one_letter_is_another() -> None:
    verifier = TokenVerifier(SharedSecret(JWT_SECRET))
    good = make_token("alice")
    assert await verifier.user(f"Bearer {good}") == User("alice")
    for position in (-2, len(good) // 2, 5):
        changed = list(good)
        changed[position] = "A" if changed[position] != "A" else "B"
        with pytest.raises(Unauthenticated):
            await verifier.user(f"Bearer {''.join(changed)}")


def test_nothing_stays_of_tokens_that_are_not_seen_again() -> None:
    now = 0.0
    tokens = VerifiedTokens(seconds=60, now=lambda: now)
    for second in range(1000):
        now = float(second)
        for number in range(3):
            tokens.put(f"{second}-{number}", User("alice", frozenset()), expires_at=10_000)
    assert len(tokens) == 180, "those of the last minute"
