"""Who is calling: bearer tokens (RFC 6750) that are JSON Web Tokens (RFC 7519, checked as RFC 8725 advises).

The algorithm follows from the key that the service was configured with, never from the token.
"""

import asyncio
import logging
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol, Self

import jwt
from jwt import PyJWK, PyJWKClient, PyJWKSet

from mediabucket_service.problems import DependencyUnavailable, Unauthenticated

logger = logging.getLogger(__name__)

LEEWAY: Final = timedelta(seconds=30)
MAX_TOKEN_LENGTH: Final = 8 * 1024
MAX_USER_LENGTH: Final = 255
# RFC 7518 section 3.2: a key at least as long as the hash.
MIN_SECRET_BYTES: Final = 32
SECRET_ALGORITHM: Final = "HS256"
PUBLIC_KEY_ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})
# Control characters and lone surrogates: neither can be logged, stored and compared safely.
_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs"})


@dataclass(frozen=True)
class User:
    """Whoever the token's `sub` names: 1 to 255 characters, none of them a control character.

    `scopes`: what the token lets them do, from its `scope` (RFC 8693 section 4.2) and `scp`.
    """

    id: str
    scopes: frozenset[str] = frozenset()


class TokensUncheckable(ValueError):
    """The settings name no key for tokens, or none that is safe; the service must not start."""


@dataclass(frozen=True)
class VerificationKey:
    """A key with the one algorithm that may be used with it."""

    key: str | PyJWK
    algorithm: str


class Keys(Protocol):
    async def find(self, token_header: Mapping[str, Any], /) -> VerificationKey:
        """The key for a token; raises Unauthenticated when there is none, DependencyUnavailable when it is unknown."""
        ...


class SharedSecret:
    """One secret for whoever makes tokens and this service: HS256 only."""

    def __init__(self, secret: str) -> None:
        """Raises TokensUncheckable below 32 bytes."""
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise TokensUncheckable(f"the secret for tokens must have at least {MIN_SECRET_BYTES} bytes")
        self._key = VerificationKey(secret, SECRET_ALGORITHM)

    async def find(self, _: Mapping[str, Any], /) -> VerificationKey:
        return self._key


class PublishedKeys:
    """The public keys at a JWKS URL (RFC 7517): RS256, ES256 and EdDSA as each key's own `alg` or `kty` says.

    Keys are kept while the identity provider is down; a key that is gone from its set is dropped with the next fetch.
    """

    def __init__(
        self,
        url: str,
        *,
        lifetime_seconds: float = 300,
        pause_seconds: float = 10,
        timeout_seconds: float = 5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lifetime_seconds` until the set is fetched again; at least `pause_seconds` between any two fetches, so that
        tokens with invented key ids do not become requests to the provider. Raises TokensUncheckable unless `url`
        is http(s).
        """
        if not url.startswith(("http://", "https://")):
            raise TokensUncheckable("the JWKS URL must begin with https:// or http://")
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=timeout_seconds)
        self._lifetime = lifetime_seconds
        self._pause = pause_seconds
        self._monotonic = monotonic
        self._keys: Mapping[str, VerificationKey] | None = None
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, token_header: Mapping[str, Any], /) -> VerificationKey:
        key_id = token_header.get("kid")
        key = self._known(key_id)
        # With a key at hand nobody waits for another request's fetch.
        if key is None or not self._fetching.locked():
            await self._fetch_unless_tried(self._pause if key is None else self._lifetime)
            key = self._known(key_id)
        if key is not None:
            return key
        if self._keys is None:
            raise DependencyUnavailable("identity provider")
        raise _refusal("the token is signed with an unknown key")

    def _known(self, key_id: object) -> VerificationKey | None:
        """The key of that id; a token without one fits a set of exactly one key."""
        keys = self._keys or {}
        if key_id is None and len(keys) == 1:
            return next(iter(keys.values()))
        return keys.get(key_id) if isinstance(key_id, str) else None

    async def _fetch_unless_tried(self, within_seconds: float) -> None:
        """Read the set once, however many requests want it; without an answer the known keys stay."""
        async with self._fetching:
            if self._monotonic() - self._tried_at < within_seconds:
                return
            try:
                self._keys = _usable_keys(await asyncio.to_thread(self._client.get_jwk_set))
            except (jwt.PyJWTError, OSError, ValueError) as error:
                logger.warning("the keys of the identity provider cannot be read: %s", error)
            finally:
                self._tried_at = self._monotonic()


def _usable_keys(key_set: PyJWKSet) -> dict[str, VerificationKey]:
    return {
        key.key_id or "": VerificationKey(key, key.algorithm_name)
        for key in key_set.keys
        if key.public_key_use in (None, "sig") and key.algorithm_name in PUBLIC_KEY_ALGORITHMS
    }


class VerifiedTokens:
    """Tokens whose signature was checked a moment ago: a front end sends the same one with every call.

    Kept for a short time only, so that a key that was withdrawn is of no use for longer, and never past their `exp`.
    """

    def __init__(self, *, seconds: float, size: int = 10_000, now: Callable[[], float] = time.time) -> None:
        self._size = size
        self._seconds = seconds
        self._now = now
        self._users: OrderedDict[str, tuple[float, User]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    def get(self, token: str) -> User | None:
        found = self._users.get(token)
        if found is None:
            return None
        until, user = found
        if self._now() < until:
            return user
        del self._users[token]
        return None

    def put(self, token: str, user: User, *, expires_at: float) -> None:
        """`expires_at` in seconds since the epoch."""
        now = self._now()
        # All are kept for equally long: the oldest are the first to go. Of a user who never comes back nothing stays.
        while self._users and (len(self._users) >= self._size or next(iter(self._users.values()))[0] <= now):
            self._users.popitem(last=False)
        self._users[token] = (min(now + self._seconds, expires_at), user)


# What is wrong with a token, by what PyJWT raises; the nearest class counts.
_REFUSALS: Final[Mapping[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidIssuerError: "the token was issued by somebody else than this service trusts",
    jwt.InvalidAudienceError: "the token was issued for another audience",
    jwt.InvalidAlgorithmError: "the token is signed with an algorithm that this service does not accept",
    jwt.InvalidSignatureError: "the signature of the token is wrong",
    jwt.InvalidTokenError: "the token is malformed",
}


class TokenVerifier:
    """Turns an Authorization header into the user it proves."""

    def __init__(
        self, keys: Keys, *, issuer: str | None = None, audience: str | None = None, remember_seconds: float = 60
    ) -> None:
        """Without `issuer` or `audience` that claim is not looked at. A good token is looked into again after
        `remember_seconds`.
        """
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._verified = VerifiedTokens(seconds=remember_seconds)

    @classmethod
    def configured(cls, *, jwks_url: str | None, secret: str | None, issuer: str | None, audience: str | None) -> Self:
        """A verifier for exactly one of a JWKS URL and a shared secret.

        Raises TokensUncheckable for neither, both, a secret that is too short, or a URL that is not http(s).
        """
        if jwks_url is not None and secret is not None:
            raise TokensUncheckable("give a JWKS URL or a shared secret for tokens, not both")
        if jwks_url is not None:
            return cls(PublishedKeys(jwks_url), issuer=issuer, audience=audience)
        if secret is not None:
            return cls(SharedSecret(secret), issuer=issuer, audience=audience)
        raise TokensUncheckable("give a JWKS URL or a shared secret: without either no token can be checked")

    async def user(self, authorization: str | None) -> User:
        """The user of a `Bearer` token.

        Raises Unauthenticated with a sentence that says what is wrong, DependencyUnavailable when the key that would
        tell cannot be had.
        """
        token = _bearer_token(authorization)
        if (known := self._verified.get(token)) is not None:
            return known
        try:
            key = await self._keys.find(jwt.get_unverified_header(token))
            claims = self._claims(token, key)
        except jwt.MissingRequiredClaimError as error:
            raise _refusal(f"the token has no {error.claim} claim") from error
        except jwt.InvalidTokenError as error:
            raise _refusal(next(_REFUSALS[kind] for kind in type(error).__mro__ if kind in _REFUSALS)) from error
        user = User(_subject(claims["sub"]), scopes_of(claims))
        self._verified.put(token, user, expires_at=_expiry(claims["exp"]))
        return user

    def _claims(self, token: str, key: VerificationKey) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY,
            options={
                "require": ["exp", "sub"],
                "verify_iss": self._issuer is not None,
                "verify_aud": self._audience is not None,
                # Checked below, with a sentence of its own.
                "verify_sub": False,
                "verify_jti": False,
            },
        )


def _bearer_token(authorization: str | None) -> str:
    if not authorization:
        raise Unauthenticated("send the header: Authorization: Bearer <token>")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("the Authorization header must be: Bearer <token>")
    if len(token) > MAX_TOKEN_LENGTH:
        raise _refusal(f"the token is longer than {MAX_TOKEN_LENGTH} characters")
    return token


def _subject(subject: object) -> str:
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_USER_LENGTH:
        raise _refusal(f"the sub claim of the token must be a text of 1 to {MAX_USER_LENGTH} characters")
    if has_control_characters(subject):
        raise _refusal("the sub claim of the token must not contain control characters")
    return subject


def _expiry(seconds: object) -> float:
    # PyJWT takes a text of digits as well, which RFC 7519 section 2 does not.
    if not isinstance(seconds, int | float):
        raise _refusal(_REFUSALS[jwt.InvalidTokenError])
    return seconds


def has_control_characters(text: str) -> bool:
    """Whether a text cannot be a user: no token with such a `sub` is accepted."""
    return any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in text)


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes of a token: of `scope` and `scp`, each a text with spaces between or a list; anything else is none."""
    scopes: set[str] = set()
    for claim in (claims.get("scope"), claims.get("scp")):
        words = claim.split(" ") if isinstance(claim, str) else claim if isinstance(claim, list) else ()
        scopes.update(word for word in words if isinstance(word, str) and word)
    return frozenset(scopes)


def _refusal(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, reason="invalid_token")
