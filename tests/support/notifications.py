"""What stores send when an object has arrived; `SHAPES` has each with the bucket and the key filled in."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

Shape = Callable[[str, str], dict[str, Any]]


def s3_record(bucket: str, key: str, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """As documented by AWS; the key is URL-encoded, a slash is not."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "1970-01-01T00:00:00.000Z",
        "eventName": event,
        "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}", "ownerIdentity": {"principalId": "A3N"}},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }


def s3(bucket: str, key: str, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {"Records": [s3_record(bucket, key, event)]}


def minio(bucket: str, key: str, event: str = "s3:ObjectCreated:Put") -> dict[str, Any]:
    """MinIO encodes the slash too, and wraps."""
    record = s3_record(bucket, key, event)
    record["s3"]["object"]["key"] = quote(key, safe="")
    return {"EventName": event, "Key": f"{bucket}/{key}", "Records": [record]}


def event_bridge(bucket: str, key: str, detail_type: str = "Object Created") -> dict[str, Any]:
    """The key is as it is."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2021-11-12T00:00:00Z",
        "region": "ca-central-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00617F0"},
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def seaweedfs(bucket: str, key: str, event: str = "create") -> dict[str, Any]:
    """As SeaweedFS 4 sends it, seen on the wire."""
    folder, _, name = f"/buckets/{bucket}/{key}".rpartition("/")
    return {
        "event_type": event,
        "key": f"{folder}/{name}",
        "message": {
            "new_entry": {
                "name": name,
                "chunks": [{"size": 300, "modified_ts_ns": 1, "e_tag": "ikh26lXZmKXZHtWdt5avKA==", "fid": {}}],
                "attributes": {"file_size": 300, "mtime": 1795444155, "file_mode": 432, "mime": "image/png"},
                "extended": {"Seaweed-X-Amz-Owner": "YWRtaW4="},
            },
            "delete_chunks": True,
            "new_parent_path": folder,
            "signatures": [605325656],
        },
    }


def trial_event(bucket: str) -> dict[str, Any]:
    return {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": bucket}


SHAPES: dict[str, Shape] = {"s3": s3, "minio": minio, "event_bridge": event_bridge, "seaweedfs": seaweedfs}
DELETIONS: dict[str, Shape] = {
    "s3": lambda bucket, key: s3(bucket, key, "ObjectRemoved:Delete"),
    "minio": lambda bucket, key: minio(bucket, key, "s3:ObjectRemoved:Delete"),
    "event_bridge": lambda bucket, key: event_bridge(bucket, key, "Object Deleted"),
    "seaweedfs": lambda bucket, key: seaweedfs(bucket, key, "delete"),
}


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()
