"""Tokens that must not pass, and what their bearer is told. The identity provider is a real HTTP server."""

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from identity_provider import IdentityProvider, encoded, forged, public_jwk, public_pem
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from upload_client import JWT_SECRET

from mediabucket_service.auth import PublishedKeys, SharedSecret, TokensUncheckable, TokenVerifier, User
from mediabucket_service.problems import DependencyUnavailable, Unauthenticated

SECRET = JWT_SECRET
ISSUER = "https://login.example"
AUDIENCE = "media"

RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
FOREIGN_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; None removes one."""
    now = int(time.time())
    # Those made when tests are collected must not expire before they run.
    good = {"sub": "alice", "exp": now + 86_400, "iat": now, "iss": ISSUER, "aud": AUDIENCE}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(algorithm: str = "HS256", key: Any = SECRET, kid: str | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=None if kid is None else {"kid": kid})


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(SharedSecret(SECRET), issuer=ISSUER, audience=AUDIENCE)


async def test_a_good_token_names_its_user(verifier: TokenVerifier) -> None:
    assert await verifier.user(f"Bearer {token()}") == User("alice")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
async def test_the_scheme_may_be_written_in_any_case(verifier: TokenVerifier, scheme: str) -> None:
    assert await verifier.user(f"{scheme} {token()}") == User("alice")


async def test_clocks_may_differ_by_half_a_minute(verifier: TokenVerifier) -> None:
    now = int(time.time())
    assert await verifier.user(f"Bearer {token(exp=now - 20, nbf=now + 20, iat=now + 20)}") == User("alice")


async def test_one_of_several_audiences_is_enough(verifier: TokenVerifier) -> None:
    assert await verifier.user(f"Bearer {token(aud=['chat', AUDIENCE])}") == User("alice")


async def test_issuer_and_audience_do_not_matter_unless_configured() -> None:
    lenient = TokenVerifier(SharedSecret(SECRET))
    assert await lenient.user(f"Bearer {token(iss='anybody', aud='anything')}") == User("alice")


@pytest.mark.parametrize("subject", ["a", "é", "user@example.org", "x" * 255, "auth0|5f7c 8e"])
async def test_any_printable_user_id_passes(verifier: TokenVerifier, subject: str) -> None:
    assert await verifier.user(f"Bearer {token(sub=subject)}") == User(subject)


MALFORMED = "the token is malformed"
LONG_AGO = 1_000_000_000
# Tests may be collected long before they run.
TOMORROW = int(time.time()) + 86_400
SUBJECT = "the sub claim of the token must be a text of 1 to 255 characters"

ATTACKS: dict[str, tuple[str, str]] = {
    "expired": (token(exp=int(time.time()) - 60), "the token has expired"),
    "expired long ago": (token(exp=LONG_AGO, iat=LONG_AGO - 60), "the token has expired"),
    "never expires": (token(exp=None), "the token has no exp claim"),
    "expiry is not a number": (forged({"alg": "HS256"}, claims(exp="soon")), MALFORMED),
    "expiry is infinite": (forged({"alg": "HS256"}, claims(exp=float("inf"))), MALFORMED),
    "not valid yet": (token(nbf=TOMORROW, exp=TOMORROW + 3600), "the token is not valid yet"),
    "issued in the future": (token(iat=TOMORROW, exp=TOMORROW + 3600), "the token is not valid yet"),
    "wrong issuer": (token(iss="https://evil.example"), "the token was issued by somebody else"),
    "no issuer": (token(iss=None), "the token has no iss claim"),
    "wrong audience": (token(aud="other"), "the token was issued for another audience"),
    "no audience": (token(aud=None), "the token has no aud claim"),
    "wrong secret": (token(key="another secret that is long enough too"), "the signature of the token is wrong"),
    "alg none": (jwt.encode(claims(), "", algorithm="none"), "an algorithm that this service does not accept"),
    "alg None with the old signature": (forged({"alg": "None"}, claims()), "an algorithm that this service"),
    "alg HS512": (token("HS512", SECRET * 2), "an algorithm that this service does not accept"),
    "alg RS256": (token("RS256", RSA_KEY), "an algorithm that this service does not accept"),
    "alg is a list": (forged({"alg": ["HS256"]}, claims()), "an algorithm that this service does not accept"),
    "no alg": (forged({"typ": "JWT"}, claims()), "an algorithm that this service does not accept"),
    "unknown critical header": (forged({"alg": "HS256", "crit": ["magic"], "magic": 1}, claims()), MALFORMED),
    "a payload that is a list": (forged({"alg": "HS256"}, [claims()]), MALFORMED),
    "a header that is a list": (forged(["HS256"], claims()), MALFORMED),
    "a header nested too deep": (f"{encoded(b'[' * 5_000)}.e30.e30", MALFORMED),
    "no sub": (token(sub=None), "the token has no sub claim"),
    "sub is empty": (token(sub=""), SUBJECT),
    "sub is too long": (token(sub="x" * 256), SUBJECT),
    "sub is a number": (forged({"alg": "HS256"}, claims(sub=7)), SUBJECT),
    "sub is a list": (forged({"alg": "HS256"}, claims(sub=["alice"])), SUBJECT),
    "sub has a line break": (token(sub="alice\nbob"), "must not contain control characters"),
    "sub has NUL": (token(sub="alice\0"), "must not contain control characters"),
    "sub is half a surrogate pair": (forged({"alg": "HS256"}, claims(sub="\ud800")), "must not contain control"),
    "garbage": ("garbage", MALFORMED),
    "two parts": ("e30.e30", MALFORMED),
    "five parts": ("a.b.c.d.e", MALFORMED),
    "not base64": ("!.!.!", MALFORMED),
    "huge": (token(padding="x" * 10_000), "the token is longer than 8192 characters"),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_bad_token_is_refused_and_told_why(verifier: TokenVerifier, attack: str) -> None:
    bad_token, sentence = ATTACKS[attack]
    with pytest.raises(Unauthenticated, match=sentence) as refused:
        await verifier.user(f"Bearer {bad_token}")
    assert refused.value.reason == "invalid_token"


@pytest.mark.parametrize("header", [None, ""])
async def test_a_missing_header_is_asked_for(verifier: TokenVerifier, header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="send the header: Authorization: Bearer") as refused:
        await verifier.user(header)
    assert refused.value.reason is None


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YWxpY2U6cHc=", token(), f"Token {token()}"])
async def test_another_scheme_is_refused(verifier: TokenVerifier, header: str) -> None:
    with pytest.raises(Unauthenticated, match="the Authorization header must be: Bearer <token>"):
        await verifier.user(header)


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider(
        keys=[
            public_jwk(RSAAlgorithm, RSA_KEY, "rsa", use="sig"),
            public_jwk(ECAlgorithm, EC_KEY, "ec"),
            public_jwk(OKPAlgorithm, ED_KEY, "ed", alg="EdDSA"),
        ]
    )
    provider.start()
    yield provider
    provider.stop()


class Stopwatch:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def jwks_verifier(provider: IdentityProvider, stopwatch: Stopwatch) -> TokenVerifier:
    keys = PublishedKeys(provider.url, lifetime_seconds=300, pause_seconds=10, timeout_seconds=2, monotonic=stopwatch)
    return TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, remember_seconds=0)


@pytest.mark.parametrize(("algorithm", "key", "kid"), [
    ("RS256", RSA_KEY, "rsa"), ("ES256", EC_KEY, "ec"), ("EdDSA", ED_KEY, "ed")
], ids=["RS256", "ES256", "EdDSA"])  # fmt: skip
async def test_published_keys_verify_tokens(jwks_verifier: TokenVerifier, algorithm: str, key: Any, kid: str) -> None:
    assert await jwks_verifier.user(f"Bearer {token(algorithm, key, kid)}") == User("alice")


UNKNOWN_KEY = "the token is signed with an unknown key"
OTHER_ALGORITHM = "an algorithm that this service does not accept"

KEY_ATTACKS: dict[str, tuple[str, str]] = {
    "public key used as HMAC secret": (
        forged({"alg": "HS256", "kid": "rsa"}, claims(), public_pem(RSA_KEY)),
        OTHER_ALGORITHM,
    ),
    "another algorithm of the same key": (token("RS512", RSA_KEY, "rsa"), OTHER_ALGORITHM),
    "the algorithm of another key": (token("RS256", RSA_KEY, "ec"), OTHER_ALGORITHM),
    "alg none": (jwt.encode(claims(), "", algorithm="none", headers={"kid": "rsa"}), OTHER_ALGORITHM),
    "a foreign key under a known id": (token("RS256", FOREIGN_KEY, "rsa"), "the signature of the token is wrong"),
    "an unknown id": (token("RS256", FOREIGN_KEY, "foreign"), UNKNOWN_KEY),
    "no id among several keys": (token("RS256", RSA_KEY), UNKNOWN_KEY),
    "an id that is a number": (forged({"alg": "RS256", "kid": 7}, claims()), "the token is malformed"),
    "a key brought along": (
        jwt.encode(
            claims(), FOREIGN_KEY, algorithm="RS256", headers={"jwk": public_jwk(RSAAlgorithm, FOREIGN_KEY, "own")}
        ),
        UNKNOWN_KEY,
    ),
    "a URL brought along": (
        jwt.encode(claims(), FOREIGN_KEY, algorithm="RS256", headers={"jku": "http://127.0.0.1:1/keys"}),
        UNKNOWN_KEY,
    ),
}


@pytest.mark.parametrize("attack", KEY_ATTACKS)
async def test_the_key_decides_the_algorithm(jwks_verifier: TokenVerifier, attack: str) -> None:
    bad_token, sentence = KEY_ATTACKS[attack]
    with pytest.raises(Unauthenticated, match=sentence):
        await jwks_verifier.user(f"Bearer {bad_token}")


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": encoded(SECRET.encode()), "kid": "rsa"},
        public_jwk(RSAAlgorithm, RSA_KEY, "rsa", use="enc"),
        public_jwk(RSAAlgorithm, RSA_KEY, "rsa", alg="PS256"),
    ],
    ids=["a published secret", "a key for encryption", "an algorithm we do not use"],
)
async def test_unsuitable_published_keys_are_not_used(
    jwks_verifier: TokenVerifier, provider: IdentityProvider, jwk: dict[str, Any]
) -> None:
    provider.keys = [jwk]
    for bad_token in (token(kid="rsa"), token("RS256", RSA_KEY, "rsa"), token("PS256", RSA_KEY, "rsa")):
        with pytest.raises(Unauthenticated, match=UNKNOWN_KEY):
            await jwks_verifier.user(f"Bearer {bad_token}")


async def test_a_single_published_key_needs_no_id(jwks_verifier: TokenVerifier, provider: IdentityProvider) -> None:
    provider.keys = provider.keys[:1]
    assert await jwks_verifier.user(f"Bearer {token('RS256', RSA_KEY)}") == User("alice")


async def test_keys_are_fetched_once_and_again_when_they_are_old(
    jwks_verifier: TokenVerifier, provider: IdentityProvider, stopwatch: Stopwatch
) -> None:
    for seconds, asked in ((0, 1), (299, 1), (2, 2)):
        stopwatch.seconds += seconds
        await jwks_verifier.user(f"Bearer {token('RS256', RSA_KEY, 'rsa')}")
        assert provider.asked == asked


async def test_a_new_key_is_found_after_the_pause(
    jwks_verifier: TokenVerifier, provider: IdentityProvider, stopwatch: Stopwatch
) -> None:
    await jwks_verifier.user(f"Bearer {token('RS256', RSA_KEY, 'rsa')}")
    provider.keys.append(public_jwk(RSAAlgorithm, FOREIGN_KEY, "next"))
    rotated = f"Bearer {token('RS256', FOREIGN_KEY, 'next')}"
    with pytest.raises(Unauthenticated, match=UNKNOWN_KEY):
        await jwks_verifier.user(rotated)
    stopwatch.seconds += 10
    assert await jwks_verifier.user(rotated) == User("alice")
    assert provider.asked == 2


async def test_invented_key_ids_do_not_become_requests_to_the_provider(
    jwks_verifier: TokenVerifier, provider: IdentityProvider
) -> None:
    for number in range(20):
        with pytest.raises(Unauthenticated, match=UNKNOWN_KEY):
            await jwks_verifier.user(f"Bearer {token('RS256', FOREIGN_KEY, f'invented-{number}')}")
    assert provider.asked == 1


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, b"broken"),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, b"[]"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": 5}'),
    ],
)
async def test_a_provider_without_keys_is_a_dependency_that_does_not_answer(
    jwks_verifier: TokenVerifier, provider: IdentityProvider, status: int, answer: bytes
) -> None:
    provider.status, provider.answer = status, answer
    with pytest.raises(DependencyUnavailable, match="the identity provider cannot be reached"):
        await jwks_verifier.user(f"Bearer {token('RS256', RSA_KEY, 'rsa')}")


async def test_nobody_listening_is_a_dependency_that_does_not_answer() -> None:
    verifier = TokenVerifier(PublishedKeys("http://127.0.0.1:9/keys", timeout_seconds=2))
    with pytest.raises(DependencyUnavailable, match="the identity provider cannot be reached"):
        await verifier.user(f"Bearer {token('RS256', RSA_KEY, 'rsa')}")


async def test_known_keys_outlive_an_outage_of_the_provider(
    jwks_verifier: TokenVerifier, provider: IdentityProvider, stopwatch: Stopwatch
) -> None:
    good = f"Bearer {token('RS256', RSA_KEY, 'rsa')}"
    await jwks_verifier.user(good)
    provider.status = 503
    stopwatch.seconds += 3_600
    assert await jwks_verifier.user(good) == User("alice")
    assert provider.asked == 2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "without either no token can be checked"),
        ({"secret": "short"}, "at least 32 bytes"),
        ({"secret": SECRET, "jwks_url": "https://login.example/keys"}, "not both"),
        ({"jwks_url": "file:///etc/passwd"}, "must begin with https:// or http://"),
    ],
)
def test_a_service_that_could_not_check_tokens_does_not_start(settings: dict[str, str], sentence: str) -> None:
    unset = {"jwks_url": None, "secret": None, "issuer": None, "audience": None}
    with pytest.raises(TokensUncheckable, match=sentence):
        TokenVerifier.configured(**{**unset, **settings})


@pytest.mark.parametrize("settings", [{"secret": SECRET}, {"jwks_url": "https://login.example/keys"}])
def test_one_source_of_keys_is_enough_to_start(settings: dict[str, str]) -> None:
    unset = {"jwks_url": None, "secret": None, "issuer": None, "audience": None}
    assert isinstance(TokenVerifier.configured(**{**unset, **settings}), TokenVerifier)
