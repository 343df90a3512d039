"""Notifications of stores, read into the objects that they say have arrived: pure functions, no I/O.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html (S3; MinIO, RustFS
and Ceph send the same, MinIO with two more members around it),
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html (EventBridge), and the `webhook` queue of
SeaweedFS' notification.toml (weed/notification/webhook; there is no page on its body).
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from mediabucket_service.problems import MalformedRequest
from mediabucket_service.wording import BAD_BODY

# As many as the largest body may hold (256 KiB): each may have a kilobyte, where those of S3 have 800 bytes.
MAX_RECORDS: Final = 250
# Where a SeaweedFS filer keeps buckets unless it is told otherwise.
_FILER_BUCKETS: Final = "/buckets/"


class StoredObject(NamedTuple):
    """An object that a notification names; the key as the S3 API has it, not URL-encoded."""

    bucket: str
    key: str


class _Named(BaseModel):
    name: str


class _Keyed(BaseModel):
    key: str


class _Place(BaseModel):
    bucket: _Named
    object: _Keyed


class _Record(BaseModel):
    # `ObjectCreated:Put`; MinIO and Ceph write `s3:ObjectCreated:Put`.
    event_name: Annotated[str, Field(alias="eventName")]
    s3: _Place

    def objects(self) -> Sequence[StoredObject]:
        if not self.event_name.removeprefix("s3:").startswith("ObjectCreated:"):
            return ()
        return (StoredObject(self.s3.bucket.name, unquote_plus(self.s3.object.key)),)


class _S3Notification(BaseModel):
    records: Annotated[list[_Record], Field(alias="Records")]

    def objects(self) -> Sequence[StoredObject]:
        if len(self.records) > MAX_RECORDS:
            raise MalformedRequest(
                f"the notification has {len(self.records)} records; send at most {MAX_RECORDS} at a time"
            )
        return [found for record in self.records for found in record.objects()]


class _S3TestEvent(BaseModel):
    """What S3 sends once, when notifications are configured."""

    event: Annotated[Literal["s3:TestEvent"], Field(alias="Event")]

    def objects(self) -> Sequence[StoredObject]:
        return ()


class _EventBridgeEvent(BaseModel):
    source: Literal["aws.s3"]
    detail_type: Annotated[str, Field(alias="detail-type")]
    detail: _Place

    def objects(self) -> Sequence[StoredObject]:
        created = self.detail_type == "Object Created"
        return (StoredObject(self.detail.bucket.name, self.detail.object.key),) if created else ()


class _FilerNotification(BaseModel):
    """`key` is a path on the filer: `/buckets/<bucket>/<key>`. `update`: an object that was written over."""

    key: str
    event_type: str

    def objects(self) -> Sequence[StoredObject]:
        bucket, _, key = self.key.removeprefix(_FILER_BUCKETS).partition("/")
        arrived = self.key.startswith(_FILER_BUCKETS) and self.event_type in ("create", "update")
        return (StoredObject(bucket, key),) if arrived else ()


_NOTIFICATION: Final[TypeAdapter[_S3Notification | _S3TestEvent | _EventBridgeEvent | _FilerNotification]] = (
    TypeAdapter(_S3Notification | _S3TestEvent | _EventBridgeEvent | _FilerNotification)
)


def stored_objects(body: bytes) -> Sequence[StoredObject]:
    """The objects that a notification says have arrived, in its order, repeated ones too.

    Events of other kinds (deletes, tags, restores) name none. Raises MalformedRequest for what is not JSON, none of
    the shapes above, or more than MAX_RECORDS records.
    """
    try:
        return _NOTIFICATION.validate_json(body).objects()
    except ValidationError as error:
        if any(item["type"] == "json_invalid" for item in error.errors(include_input=False, include_url=False)):
            raise MalformedRequest("body must be valid JSON in UTF-8", errors=[BAD_BODY]) from None
        raise MalformedRequest(
            "body must be a notification as S3, MinIO, EventBridge or SeaweedFS send it: an object with Records, with"
            " source, detail-type and detail, or with key and event_type"
        ) from None
