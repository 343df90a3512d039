"""Tokens that the running API must refuse: status, problem and challenge. The keys come from a real JWKS server."""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from api_routes import Route, api_routes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from identity_provider import IdentityProvider, encoded, forged, forged_by_owner, public_jwk, public_pem
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from service_platform import Platform, running_platform
from upload_client import File, make_token

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.settings import Settings

ISSUER = "https://login.example"
AUDIENCE = "media"
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
FOREIGN_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PUBLISHED = [public_jwk(RSAAlgorithm, KEY, "rsa", use="sig"), public_jwk(ECAlgorithm, OTHER_KEY, "ec")]
NOW = int(time.time())
RS256 = {"alg": "RS256", "kid": "rsa"}

MALFORMED = "the token is malformed"
OTHER_ISSUER = "the token was issued by somebody else than this service trusts"
ALGORITHM = "the token is signed with an algorithm that this service does not accept"
UNKNOWN_KEY = "the token is signed with an unknown key"
SIGNATURE = "the signature of the token is wrong"
SUBJECT = "the sub claim of the token must be a text of 1 to 255 characters"
CONTROL = "the sub claim of the token must not contain control characters"
TOO_LONG = "the token is longer than 8192 characters"
SCHEME = "the Authorization header must be: Bearer <token>"
NO_TOKEN = "send the header: Authorization: Bearer <token>"
TWICE = "send one Authorization header, not several"


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token of alice; None removes one."""
    good = {"sub": "alice", "exp": NOW + 3600, "iat": NOW, "iss": ISSUER, "aud": AUDIENCE}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "rsa", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=None if kid is None else {"kid": kid})


def owned(**changes: Any) -> str:
    """A token with a true signature, whatever its claims are."""
    return forged_by_owner(RS256, claims(**changes), KEY)


def without_signature(header: dict[str, Any]) -> str:
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims()).encode())}."


def altered(token: str) -> str:
    """Another user's name under the signature of a good token."""
    header, _, signature = token.split(".")
    return f"{header}.{encoded(json.dumps(claims(sub='bob')).encode())}.{signature}"


GOOD = signed()
INNER = encoded(GOOD.encode())
TOKENS: dict[str, tuple[str, str]] = {
    "expired": (signed(exp=NOW - 60), "the token has expired"),
    "expires in the year 1": (owned(exp=-62_135_596_800), "the token has expired"),
    "never expires": (signed(exp=None), "the token has no exp claim"),
    "expires after the last number": (owned(exp=float("inf")), MALFORMED),
    "expiry is a text of digits": (owned(exp=str(NOW + 3600)), MALFORMED),
    "expiry is true": (owned(exp=True), "the token has expired"),
    "expiry is not a number": (owned(exp=float("nan")), MALFORMED),
    "expiry is a list": (owned(exp=[NOW + 60]), MALFORMED),
    "expiry is a date": (owned(exp="2099-01-01"), MALFORMED),
    "not valid yet": (signed(nbf=NOW + 86_400), "the token is not valid yet"),
    "issued in the future": (signed(iat=NOW + 86_400), "the token is not valid yet"),
    "wrong issuer": (signed(iss="https://evil.example"), OTHER_ISSUER),
    "an issuer that begins alike": (signed(iss=f"{ISSUER}.evil.example"), OTHER_ISSUER),
    "no issuer": (signed(iss=None), "the token has no iss claim"),
    "wrong audience": (signed(aud="other"), "the token was issued for another audience"),
    "other audiences": (signed(aud=["chat", "mail"]), "the token was issued for another audience"),
    "audience is part of another": (signed(aud="media-admin"), "the token was issued for another audience"),
    "no audience": (signed(aud=None), "the token has no aud claim"),
    "alg none": (without_signature({"alg": "none", "kid": "rsa"}), ALGORITHM),
    "alg NONE": (without_signature({"alg": "NONE", "kid": "rsa"}), ALGORITHM),
    "alg none with a signature": (forged_by_owner({"alg": "none", "kid": "rsa"}, claims(), KEY), ALGORITHM),
    "no alg": (forged_by_owner({"kid": "rsa"}, claims(), KEY), ALGORITHM),
    "public key as the secret (PEM)": (forged({"alg": "HS256", "kid": "rsa"}, claims(), public_pem(KEY)), ALGORITHM),
    "public key as the secret (JWK)": (
        forged({"alg": "HS256", "kid": "rsa"}, claims(), json.dumps(PUBLISHED[0]).encode()), ALGORITHM),
    "the secret of other platforms": (make_token("alice"), UNKNOWN_KEY),
    "alg PS256": (signed(algorithm="PS256"), ALGORITHM),
    "RS256 under the other key's id": (signed(kid="ec"), ALGORITHM),
    "a foreign key under a known id": (signed(FOREIGN_KEY), SIGNATURE),
    "claims replaced": (altered(GOOD), SIGNATURE),
    "signature cut off": (f"{GOOD.rpartition('.')[0]}.", SIGNATURE),
    "unknown kid": (signed(FOREIGN_KEY, kid="unknown"), UNKNOWN_KEY),
    "no kid": (signed(kid=None), UNKNOWN_KEY),
    "kid is a path": (signed(FOREIGN_KEY, kid="../../../../dev/null"), UNKNOWN_KEY),
    "kid is SQL": (signed(FOREIGN_KEY, kid="x' UNION SELECT 'key"), UNKNOWN_KEY),
    "kid is a list": (forged_by_owner({"alg": "RS256", "kid": ["rsa"]}, claims(), KEY), MALFORMED),
    "a key brought along": (
        forged_by_owner({"alg": "RS256", "jwk": public_jwk(RSAAlgorithm, FOREIGN_KEY, "x")}, claims(), FOREIGN_KEY),
        UNKNOWN_KEY),
    "a certificate brought along": (
        forged_by_owner(RS256 | {"x5u": "http://127.0.0.1:1/", "x5c": ["AAAA"]}, claims(), FOREIGN_KEY), SIGNATURE),
    "an unknown critical header": (forged_by_owner(RS256 | {"crit": ["magic"], "magic": 1}, claims(), KEY), MALFORMED),
    "huge": (signed(padding="x" * 10_000), TOO_LONG),
    "huge and empty": ("." * 8_193, TOO_LONG),
    "nested in itself": (forged_by_owner(RS256 | {"cty": "JWT"}, GOOD, KEY), MALFORMED),
    "nested as text": (f"{GOOD.split('.')[0]}.{INNER}.{GOOD.split('.')[2]}", SIGNATURE),
    "encrypted": ("e30.e30.e30.e30.e30", MALFORMED),
    "a header nested too deep": (f"{encoded(b'[' * 5_000)}.e30.e30", MALFORMED),
    "a payload nested too deep": (f"{encoded(json.dumps(RS256).encode())}.{encoded(b'[' * 5_000)}.e30", SIGNATURE),
    "a payload that is a list": (forged_by_owner(RS256, [claims()], KEY), MALFORMED),
    "a payload that is null": (forged_by_owner(RS256, None, KEY), MALFORMED),
    "sub missing": (signed(sub=None), "the token has no sub claim"),
    "sub empty": (signed(sub=""), SUBJECT),
    "sub too long": (signed(sub="x" * 256), SUBJECT),
    "sub a number": (owned(sub=7), SUBJECT),
    "sub true": (owned(sub=True), SUBJECT),
    "sub an object": (owned(sub={"$ne": None}), SUBJECT),
    "sub a list": (owned(sub=["alice", "bob"]), SUBJECT),
    "sub with NUL": (owned(sub="alice\0"), CONTROL),
    "sub with a line break": (owned(sub="alice\r\nX-User: bob"), CONTROL),
    "sub with an escape sequence": (owned(sub="alice\x1b[2J"), CONTROL),
    "sub half a surrogate pair": (owned(sub="\ud800"), CONTROL),
    "garbage": ("garbage", MALFORMED),
}  # fmt: skip

# By a secret that it shares with the store: tests/service/events.
OTHERWISE_GUARDED = ["POST /api/events/s3"]

Headers = list[tuple[bytes, bytes]]


def header(*values: str | bytes) -> Headers:
    return [(b"Authorization", value.encode() if isinstance(value, str) else value) for value in values]


# What is sent, the sentence told, and the error code of RFC 6750 section 3.1.
ATTACKS: dict[str, tuple[Headers, str, str | None]] = {
    **{name: (header(f"Bearer {token}"), told, "invalid_token") for name, (token, told) in TOKENS.items()},
    "no token": ([], NO_TOKEN, None),
    "an empty header": (header(""), NO_TOKEN, None),
    "no token after the scheme": (header("Bearer "), SCHEME, None),
    "a token without scheme": (header(GOOD), SCHEME, None),
    "scheme Basic": (header(f"Basic {base64.b64encode(b'alice:secret').decode()}"), SCHEME, None),
    "scheme Token": (header(f"Token {GOOD}"), SCHEME, None),
    "scheme DPoP": (header(f"DPoP {GOOD}"), SCHEME, None),
    "a tab after the scheme": (header(f"Bearer\t{GOOD}"), SCHEME, None),
    "two tokens": (header(f"Bearer {GOOD} {GOOD}"), MALFORMED, "invalid_token"),
    "two tokens with a comma": (header(f"Bearer {GOOD}, Bearer {GOOD}"), MALFORMED, "invalid_token"),
    "not ASCII": (header(b"Bearer \xff\xfe"), MALFORMED, "invalid_token"),
    "two headers, both good": (header(f"Bearer {GOOD}", f"Bearer {GOOD}"), TWICE, "invalid_request"),
    "two headers, the first good": (header(f"Bearer {GOOD}", "Bearer garbage"), TWICE, "invalid_request"),
    "two headers, the second good": (header("Bearer garbage", f"Bearer {GOOD}"), TWICE, "invalid_request"),
    "two headers, the first empty": (header("", f"Bearer {GOOD}"), TWICE, "invalid_request"),
}


@pytest.fixture(scope="module")
async def platform(seaweedfs: SeaweedFS, settings: Settings) -> AsyncIterator[Platform]:
    provider = IdentityProvider(keys=PUBLISHED)
    provider.start()
    auth = {"jwksUrl": provider.url, "issuer": ISSUER, "audience": AUDIENCE}
    bucket = f"test-{uuid.uuid4().hex[:20]}"
    try:
        async with running_platform(seaweedfs.connection, settings, bucket, service={"auth": auth}) as running:
            yield running
    finally:
        provider.stop()


@pytest.fixture(scope="module")
async def media_id(platform: Platform) -> str:
    """An upload of alice that any call but a read would change."""
    body = File(hashlib.sha256(b"tokens").digest()).announcement()
    answer = await platform.http.post(
        "/api/media/upload/initiate", json=body, headers={"Authorization": f"Bearer {GOOD}"}
    )
    assert answer.status_code == 200, "a good token passes, or nothing below says anything"
    found: str = answer.json()["media_id"]
    return found


def assert_refused(answer: httpx.Response, told: str, reason: str | None) -> None:
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("urn:mediabucket:problem:unauthenticated", 401)
    assert problem["detail"] == told
    challenge = 'Bearer realm="mediabucket"'
    told_why = "" if reason is None else f', error="{reason}", error_description="{told}"'
    assert answer.headers.get_list("www-authenticate") == [challenge + told_why]


@pytest.mark.parametrize("name", ATTACKS)
async def test_the_api_refuses_a_bad_token_and_says_why(platform: Platform, media_id: str, name: str) -> None:
    headers, told, reason = ATTACKS[name]
    assert_refused(await platform.http.get(f"/api/media/{media_id}", headers=headers), told, reason)


async def test_every_call_refuses_every_bad_token(platform: Platform, media_id: str) -> None:
    before = await platform.row(media_id)
    routes = await api_routes(platform.http)
    assert [route.name for route in routes if not route.takes_tokens] == OTHERWISE_GUARDED
    for route in routes:
        if not route.takes_tokens:
            continue
        for headers, told, reason in ATTACKS.values():
            assert_refused(await call_with(platform, route, media_id, headers), told, reason)
    assert await platform.row(media_id) == before


async def test_every_call_takes_the_good_token(platform: Platform, media_id: str) -> None:
    """Otherwise the sweep above would pass for a service that refuses everybody."""
    for route in sorted(await api_routes(platform.http), key=lambda route: route.method == "DELETE"):
        answer = await call_with(platform, route, media_id, header(f"Bearer {GOOD}"))
        assert answer.status_code != 401, route.name


async def call_with(platform: Platform, route: Route, media_id: str, headers: Headers) -> httpx.Response:
    """A call that would be about alice's upload if the token were good."""
    path = route.template
    for identifier in route.identifiers:
        path = path.replace(f"{{{identifier.removeprefix('path.')}}}", media_id)
    content = None if route.method in ("GET", "DELETE") else b"{}"
    typed = [*headers, (b"Content-Type", b"application/json")]
    return await platform.http.request(route.method, path, content=content, headers=typed)
