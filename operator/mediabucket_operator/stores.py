"""What the operator asks of stores, as an interface: tests put a store in its place that fails wherever they want."""

import threading
from datetime import datetime
from typing import Protocol

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.status import Capability
from mediabucket_operator.canary import Canary
from mediabucket_operator.probe import probe_store
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.answers import AnswerListener, unheard
from mediabucket_s3.identities import IdentityAdmin
from mediabucket_s3.raw_requests import RawSender


class Stores(Protocol):
    """Synchronous; safe to share between threads."""

    def admin(self, connection: StoreConnection, bucket: str) -> BucketAdmin: ...

    def identities(self, connection: StoreConnection, endpoint: str | None) -> IdentityAdmin: ...

    def probe(
        self, connection: StoreConnection, bucket: str, iam_endpoint: str | None, now: datetime
    ) -> tuple[Capability, ...]:
        """Raises S3Error when the probe could not be done."""

    def walk_upload_path(self, connection: BucketConnection) -> None:
        """Raises UploadPathBroken, S3Error."""


class RealStores:
    """Implements `Stores`. `on_answer` is called after each answer of a store: the visit is not stuck."""

    def __init__(self, on_answer: AnswerListener = unheard) -> None:
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._senders: dict[str | None, RawSender] = {}

    def admin(self, connection: StoreConnection, bucket: str) -> BucketAdmin:
        return BucketAdmin.connect(connection, bucket, on_answer=self._on_answer)

    def identities(self, connection: StoreConnection, endpoint: str | None) -> IdentityAdmin:
        return IdentityAdmin.connect(connection, endpoint, on_answer=self._on_answer)

    def probe(
        self, connection: StoreConnection, bucket: str, iam_endpoint: str | None, now: datetime
    ) -> tuple[Capability, ...]:
        return probe_store(connection, bucket=bucket, iam_endpoint=iam_endpoint, now=now, on_answer=self._on_answer)

    def walk_upload_path(self, connection: BucketConnection) -> None:
        Canary(connection, self._sender(connection.store)).walk()

    def _sender(self, connection: StoreConnection) -> RawSender:
        """The same for the same certificates: with one of its own each walk would begin with new connections."""
        with self._lock:
            found = self._senders.get(connection.ca_bundle)
            if found is None:
                found = self._senders[connection.ca_bundle] = RawSender(connection, self._on_answer)
            return found
