"""The bucket's own access key: one IAM user per MediaBucket, replaced by age without a moment without a valid key.

Which keys are in use stands in the Secret itself, so that a key and what is known of it are written at once. Whoever
dies between making a key and writing it leaves a key that no Secret names; the next pass deletes it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.constants import GROUP, ROTATE_ANNOTATION
from mediabucket_api.resources import MediaBucket
from mediabucket_api.secret import SecretUnreadable, decoded
from mediabucket_api.spec import Rotation
from mediabucket_api.status import CredentialsStatus
from mediabucket_operator.aspects.policy import normal_statement, statements_of
from mediabucket_operator.cluster import Manifest
from mediabucket_operator.guard import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from mediabucket_s3.errors import IdentityMissing, InvalidRequest
from mediabucket_s3.identities import Document, IdentityAdmin, bucket_access_policies

POLICY_NAME: Final = "mediabucket-access"
USER_PREFIX: Final = "mediabucket-"
_CLUSTER_CHARACTERS: Final = 8

ISSUED_AT: Final = f"{GROUP}/key-issued-at"
RETIRING_KEY: Final = f"{GROUP}/retiring-key-id"
RETIRE_AFTER: Final = f"{GROUP}/retire-after"
# The value of the annotation that asked for the last rotation: the same request must not rotate twice.
ROTATED_FOR: Final = f"{GROUP}/rotated-for"


@dataclass(frozen=True)
class KeyInUse:
    """The access key of a bucket, and the one before it while that still works."""

    access_key_id: str
    secret_access_key: SecretStr
    issued_at: datetime
    retiring_key_id: str | None = None
    retire_after: datetime | None = None
    rotated_for: str = ""

    @classmethod
    def of(cls, secret: Manifest | None) -> "KeyInUse | None":
        """What an output Secret says; None when it says nothing that could be used."""
        if secret is None:
            return None
        annotations: Mapping[str, str] = secret["metadata"].get("annotations") or {}
        data = secret.get("data") or {}
        try:
            return cls(
                access_key_id=decoded(data[ACCESS_KEY_ID]),
                secret_access_key=SecretStr(decoded(data[SECRET_ACCESS_KEY])),
                issued_at=datetime.fromisoformat(annotations[ISSUED_AT]),
                retiring_key_id=annotations.get(RETIRING_KEY),
                retire_after=_time(annotations.get(RETIRE_AFTER)),
                rotated_for=annotations.get(ROTATED_FOR, ""),
            )
        except (KeyError, ValueError, SecretUnreadable):
            return None

    def annotations(self) -> dict[str, str]:
        told = {
            ISSUED_AT: self.issued_at.isoformat(),
            RETIRING_KEY: self.retiring_key_id,
            RETIRE_AFTER: self.retire_after.isoformat() if self.retire_after else None,
            ROTATED_FOR: self.rotated_for,
        }
        return {name: value for name, value in told.items() if value}

    def status(self, rotation: Rotation) -> CredentialsStatus:
        return CredentialsStatus(
            access_key_id=self.access_key_id,
            issued_at=self.issued_at,
            rotate_after=self.issued_at + timedelta(days=rotation.interval_days),
            retiring_key_id=self.retiring_key_id,
            retire_after=self.retire_after,
        )

    def identity(self, connection: StoreConnection) -> StoreConnection:
        """The same store, as this key."""
        keys = {"access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key}
        return connection.model_copy(update={**keys, "session_token": None})


def user_name(resource: MediaBucket, cluster: str) -> str:
    """The IAM user of a MediaBucket: its UID, and whose it is to remove. At most 64 characters."""
    return f"{user_prefix(cluster)}{resource.owner_uid}"


def user_prefix(cluster: str) -> str:
    """What all users of this cluster begin with."""
    digest = hashlib.sha256(cluster.encode()).hexdigest()[:_CLUSTER_CHARACTERS]
    return f"{USER_PREFIX}{digest}-"


def rotation_due(resource: MediaBucket, key: KeyInUse, now: datetime) -> bool:
    """By age, or because somebody asked. Never while the last rotation is still under way."""
    if key.retiring_key_id is not None:
        return False
    asked = resource.metadata.annotations.get(ROTATE_ANNOTATION, "")
    old = now >= key.issued_at + timedelta(days=resource.spec.credentials.rotation.interval_days)
    return old or (asked != "" and asked != key.rotated_for)


class BucketIdentity:
    """The IAM user of one bucket. Every method raises S3Error and may be repeated after a crash at any call."""

    def __init__(self, admin: IdentityAdmin, user: str, bucket: str) -> None:
        self._admin = admin
        self._user = user
        self._bucket = bucket

    def prepare(self, key: KeyInUse | None) -> KeyInUse | None:
        """Make the user and its policy; remove keys that no Secret names. The key if it is still one of the user's."""
        try:
            found = self._admin.get_policy(self._user, POLICY_NAME)
        except IdentityMissing:
            self._admin.create_user(self._user, {})
            found = None
        dialects = bucket_access_policies(self._bucket)
        if found is None or _normal(found) not in map(_normal, dialects):
            self._put_policy(dialects)
        present = {info.access_key_id for info in self._admin.list_access_keys(self._user)}
        known = {key.access_key_id, key.retiring_key_id} if key is not None else set()
        for leaked in sorted(present - known):
            self._admin.delete_access_key(self._user, leaked)
        return key if key is not None and key.access_key_id in present else None

    def _put_policy(self, dialects: Sequence[Document]) -> None:
        for policy in dialects[:-1]:
            try:
                self._admin.put_policy(self._user, POLICY_NAME, policy)
            except InvalidRequest:
                continue
            return
        self._admin.put_policy(self._user, POLICY_NAME, dialects[-1])

    def issue(self, now: datetime, resource: MediaBucket, replaces: KeyInUse | None) -> KeyInUse:
        """A new key, to be written into the Secret at once."""
        made = self._admin.create_access_key(self._user)
        overlap = timedelta(hours=resource.spec.credentials.rotation.overlap_hours)
        return KeyInUse(
            access_key_id=made.access_key_id,
            secret_access_key=made.secret_access_key,
            issued_at=now.replace(microsecond=0),
            retiring_key_id=replaces.access_key_id if replaces else None,
            retire_after=now.replace(microsecond=0) + overlap if replaces else None,
            rotated_for=resource.metadata.annotations.get(ROTATE_ANNOTATION, ""),
        )

    def retire(self, key_id: str) -> None:
        """Delete the key that was replaced."""
        self._admin.delete_access_key(self._user, key_id)

    def remove(self) -> None:
        """Delete the user with all its keys; one that is gone is no error."""
        self._admin.delete_user(self._user)


def may_retire(key: KeyInUse, now: datetime, *, rolled_out: bool) -> bool:
    """Whether the replaced key may go: the overlap is over, and nothing runs with it any more."""
    return key.retiring_key_id is not None and key.retire_after is not None and now >= key.retire_after and rolled_out


def _normal(policy: Document) -> dict[str, Any]:
    """Stores turn one-element lists into strings, and reorder the rest."""
    return {str(statement.get("Sid")): normal_statement(statement) for statement in statements_of(policy)}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
