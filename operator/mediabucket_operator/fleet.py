"""What the watches have shown: which MediaBuckets there are, on which stores, and which stores do not answer."""

import threading
from dataclasses import dataclass
from typing import Final

from mediabucket_api.constants import MEDIA_BUCKET_KIND
from mediabucket_api.spec import default_bucket_name
from mediabucket_api.status import OwnershipState
from mediabucket_operator.cluster import Manifest, Reference
from mediabucket_operator.guard import StoreRefused

# How long a store that did not answer is left alone by all but one visit.
STORE_REST_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Member:
    """A MediaBucket as the watches have last shown it."""

    reference: Reference
    uid: str
    store: str
    bucket: str
    created: str
    resync_seconds: float
    owns_bucket: bool

    @classmethod
    def of(cls, manifest: Manifest) -> "Member":
        metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
        default = default_bucket_name(metadata["namespace"], metadata["name"])
        return cls(
            reference=Reference(MEDIA_BUCKET_KIND, metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            store=(spec.get("storeRef") or {}).get("name", ""),
            bucket=spec.get("bucketName") or status.get("bucketName") or default,
            created=metadata.get("creationTimestamp", ""),
            resync_seconds=float(spec.get("resyncIntervalSeconds", 300)),
            owns_bucket=(status.get("ownership") or {}).get("state") == OwnershipState.OWNED,
        )

    def rank(self) -> tuple[bool, str, str]:
        """The bucket is that one's which sorts first: whoever owns it keeps it, else the oldest has it."""
        return (not self.owns_bucket, self.created, self.uid)


class Fleet:
    """All MediaBuckets by reference. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: dict[Reference, Member] = {}
        self._claims: dict[tuple[str, str], set[Reference]] = {}

    def note(self, manifest: Manifest) -> Member:
        member = Member.of(manifest)
        with self._lock:
            self._remove(member.reference)
            self._members[member.reference] = member
            self._claims.setdefault((member.store, member.bucket), set()).add(member.reference)
        return member

    def forget(self, reference: Reference) -> Member | None:
        with self._lock:
            return self._remove(reference)

    def get(self, reference: Reference) -> Member | None:
        with self._lock:
            return self._members.get(reference)

    def on_store(self, store: str) -> list[Reference]:
        """All MediaBuckets that name this ObjectStore."""
        with self._lock:
            return [member.reference for member in self._members.values() if member.store == store]

    def rival(self, reference: Reference) -> Member | None:
        """The first of the MediaBuckets that claim the same bucket of the same store; None when it is this one."""
        with self._lock:
            member = self._members.get(reference)
            if member is None:
                return None
            claims = self._claims[(member.store, member.bucket)]
            first = min((self._members[claim] for claim in claims), key=Member.rank)
            return None if first is member else first

    def waiting_for(self, member: Member) -> list[Reference]:
        """Who may have the bucket when this MediaBucket is gone."""
        with self._lock:
            return sorted(self._claims.get((member.store, member.bucket), set()), key=str)

    def _remove(self, reference: Reference) -> Member | None:
        member = self._members.pop(reference, None)
        if member is not None:
            claims = self._claims[(member.store, member.bucket)]
            claims.discard(reference)
            if not claims:
                del self._claims[(member.store, member.bucket)]
        return member


class StoreRests:
    """Leaves a store alone that did not answer: one visit tries it now and then, all others are told the same."""

    def __init__(self, rest_seconds: float = STORE_REST_SECONDS) -> None:
        self._rest_seconds = rest_seconds
        self._lock = threading.Lock()
        self._until: dict[str, tuple[float, str]] = {}

    def refusal(self, store: str, now: float) -> StoreRefused | None:
        """Why not to contact the store. The first to ask after the rest is let through; others wait for its answer."""
        with self._lock:
            if store not in self._until:
                return None
            until, message = self._until[store]
            if now < until:
                return StoreRefused("StoreUnavailable", message)
            self._until[store] = (now + self._rest_seconds, message)
            return None

    def failed(self, store: str, now: float, message: str) -> bool:
        """Whether that is news."""
        with self._lock:
            news = store not in self._until
            # The first message stays: details that differ from call to call would be written to every status.
            _, known = self._until.get(store, (0.0, message))
            self._until[store] = (now + self._rest_seconds, known)
            return news

    def answered(self, store: str) -> bool:
        """Whether this ends a rest: those who waited for it should be visited now."""
        with self._lock:
            return self._until.pop(store, None) is not None
