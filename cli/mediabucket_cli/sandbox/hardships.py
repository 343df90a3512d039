"""Which hardships there are, how they are written, and whom they hit."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Final

from mediabucket_api.resources import MediaBucket
from mediabucket_cli.errors import CommandFailed

LONGEST_LATENCY_SECONDS: Final = 60
# AWS signs for at most seven days: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
LONGEST_LIFETIME_SECONDS: Final = 604_800
_UNITS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
_PERCENTAGE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%", re.ASCII)


@dataclass(frozen=True)
class Hardships:
    """`latency_seconds` before each request, of the API and of the store. `failing_puts`: the share of PUTs that fail,
    0 to 1, and `seed` which ones. `url_lifetime_seconds`: of signed URLs, instead of the manifest's.
    """

    latency_seconds: float = 0.0
    failing_puts: float = 0.0
    url_lifetime_seconds: int | None = None
    seed: int = field(default_factory=lambda: random.randrange(10_000))

    @property
    def before_the_store(self) -> bool:
        """Whether requests to the store have to pass us."""
        return self.latency_seconds > 0 or self.failing_puts > 0

    @property
    def before_the_api(self) -> bool:
        """Whether requests to the API have to pass us."""
        return self.latency_seconds > 0

    def told(self) -> list[str]:
        """A sentence for each that is on."""
        told = []
        if self.latency_seconds > 0:
            told.append(f"each request to the API and the store waits {self.latency_seconds * 1000:g} ms")
        if self.failing_puts > 0:
            told.append(f"{self.failing_puts * 100:g} % of PUTs to the store fail (--seed {self.seed})")
        if self.url_lifetime_seconds is not None:
            told.append(f"signed URLs expire after {self.url_lifetime_seconds} s")
        return told


class Fate(Enum):
    """What becomes of a PUT."""

    PASSES = "passes"
    REFUSED = "answered 503 when its body is read, and nothing is stored"
    CUT = "its connection broken when half of its body is read, and nothing is stored"


def random_fates(share: float, seed: int) -> Callable[[], Fate]:
    """The fate of the next PUT; as many are refused as are cut, in the same order for the same seed."""
    chance = random.Random(seed)

    def next_fate() -> Fate:
        if chance.random() >= share:
            return Fate.PASSES
        return chance.choice((Fate.REFUSED, Fate.CUT))

    return next_fate


def latency(text: str) -> float:
    """Seconds of `800ms`, `1.5s`. Raises ValueError with a sentence."""
    seconds = _seconds(text, "800ms or 1.5s")
    if seconds > LONGEST_LATENCY_SECONDS:
        raise ValueError(f"must be at most {LONGEST_LATENCY_SECONDS}s, not {text}")
    return float(seconds)


def share(text: str) -> float:
    """0 to 1, of `0%` to `100%`. Raises ValueError with a sentence."""
    match = _PERCENTAGE.fullmatch(text)
    if match is None:
        raise ValueError(f"must be a percentage such as 10%, not {text!r}")
    if (percent := Decimal(match[1])) > 100:
        raise ValueError(f"must be at most 100%, not {text}")
    return float(percent / 100)


def lifetime(text: str) -> int:
    """Whole seconds of `5s`, `10m`. Raises ValueError with a sentence."""
    seconds = _seconds(text, "5s or 10m")
    if seconds != int(seconds) or not 1 <= seconds <= LONGEST_LIFETIME_SECONDS:
        raise ValueError(f"must be whole seconds, from 1s to {LONGEST_LIFETIME_SECONDS}s (a week), not {text}")
    return int(seconds)


def with_hardships(resource: MediaBucket, hardships: Hardships) -> MediaBucket:
    """The resource as it is served. Raises CommandFailed when its own rules forbid the hardship."""
    seconds = hardships.url_lifetime_seconds
    if seconds is None:
        return resource
    stale_after = resource.spec.uploads.stale_after_seconds
    if seconds > stale_after:
        raise CommandFailed(
            f"--expire-urls {seconds}s is longer than the manifest's uploads.staleAfterSeconds, {stale_after}:"
            " an upload cannot expire before its URL does; give fewer seconds"
        )
    uploads = resource.spec.uploads.model_copy(update={"url_ttl_seconds": seconds})
    return resource.model_copy(update={"spec": resource.spec.model_copy(update={"uploads": uploads})})


def _seconds(text: str, examples: str) -> Decimal:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"must be a duration such as {examples} (ms, s, m or h), not {text!r}")
    return Decimal(match[1]) * _UNITS[match[2]]
