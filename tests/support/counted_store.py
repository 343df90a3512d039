"""A real store whose calls are counted, and made to fail, where botocore sends them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mediabucket_api.connection import StoreConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import Condition, ConditionType
from mediabucket_operator.reconcile import Outcome
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.connect import administration_client
from mediabucket_s3.errors import S3Error

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MakeResource = Callable[..., MediaBucket]
Pass = Callable[..., Outcome]

EVERYTHING: dict[str, Any] = {
    "cors": {"allowedOrigins": ["https://chat.example.com"]},
    "publicAccess": "PublicRead",
    "encryption": {"type": "SSES3"},
    "versioning": "Enabled",
    "lifecycle": {"expireNoncurrentDays": 30},
    "tags": [{"key": "team", "value": "chat"}],
}

READS = ("Get", "Head", "List")


class CountedAdmin(BucketAdmin):
    """Remembers the operations it called, in S3's words."""

    def __init__(self, client: Any, bucket: str) -> None:
        super().__init__(client, bucket)
        self.client = client
        self.called: list[str] = []
        client.meta.events.register("before-call.s3", self._note)

    @classmethod
    def counting(cls, connection: StoreConnection, bucket: str) -> "CountedAdmin":
        return cls(administration_client(connection), bucket)

    @property
    def writes(self) -> list[str]:
        return [operation for operation in self.called if not operation.startswith(READS)]

    def _note(self, model: Any, **_: Any) -> None:
        self.called.append(model.name)


def condition(outcome: Outcome, kind: ConditionType) -> Condition:
    return next(found for found in outcome.status.conditions if found.type == kind)


def failing(error: S3Error) -> Callable[..., None]:
    """A method of BucketAdmin that does nothing but fail."""

    def fail(*_: object) -> None:
        raise error

    return fail
