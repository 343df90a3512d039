"""A real store whose calls are counted, and made to fail, where botocore sends them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mediabucket_api.connection import StoreConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_operator.reconcile import Outcome
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.connect import administration_client

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MakeResource = Callable[..., MediaBucket]
Pass = Callable[..., Outcome]

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
