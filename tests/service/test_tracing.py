"""Traces as a receiver gets them from the real process."""

import asyncio
import time
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_receiver import OtlpReceiver, attributes
from real_service import RealService, real_service
from service_platform import Platform
from upload_client import File

from mediabucket_service.tracing import statement_name

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
SOME_ID = "019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
KNOWN_ATTRIBUTES = {"http.request.method", "http.route", "http.response.status_code", "error.type"}


def environment(receiver_url: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver_url, "OTEL_SERVICE_NAME": "chat-media"}


async def ended(service: RealService) -> float:
    """The seconds from SIGTERM to exit status 0."""
    started = time.monotonic()
    service.terminate()
    assert await asyncio.to_thread(service.process.wait, 20) == 0
    return time.monotonic() - started


async def test_a_confirm_is_a_tree_of_spans(platform: Platform, tmp_path: Path) -> None:
    ticket = await platform.user("mallory").begin(File(b"hello" * 9, name="private.png"))
    with OtlpReceiver() as receiver, real_service(platform, tmp_path, changes=environment(receiver.url)) as service:
        async with service.client(headers={"traceparent": TRACEPARENT}) as http:
            mallory = service.user(http, "mallory")
            assert (await mallory.confirm(ticket["media_id"])).status_code == 200
            await http.get(f"/api/media/{SOME_ID}?X-Amz-Signature=private")
            await mallory.call("PROPFIND", "/private")
            await mallory.delete(ticket["media_id"])
        await ended(service)
        line = next(line for line in service.access() if line["route"].endswith("/confirm"))
    assert receiver.services == {"chat-media"}
    servers = {span.name: span for span in receiver.spans if span.kind == Span.SPAN_KIND_SERVER}
    confirm = servers["POST /api/media/{media_id}/confirm"]
    assert (confirm.trace_id.hex(), confirm.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    assert line["trace_id"] == TRACE_ID
    assert attributes(confirm) == {
        "http.request.method": "POST",
        "http.route": "/api/media/{media_id}/confirm",
        "http.response.status_code": 200,
    }
    below = [span.name for span in receiver.spans if span.parent_span_id == confirm.span_id]
    assert below[:3] == ["db.UPDATE media_files", "s3.HeadObject", "s3.CopyObject"]
    assert set(below) <= {
        "db.UPDATE media_files", "s3.HeadObject", "s3.GetObject", "s3.CopyObject", "s3.DeleteObject",
    }  # fmt: skip
    assert servers.keys() == {
        "GET /healthz", "POST /api/media/{media_id}/confirm", "GET /api/media/{media_id}", "HTTP none",
        "DELETE /api/media/{media_id}",
    }  # fmt: skip
    assert "db.transaction" in {span.name for span in receiver.spans}
    for span in receiver.spans:
        assert attributes(span).keys() <= KNOWN_ATTRIBUTES
        assert not span.events
        assert not span.status.message
        for private in ("private", "mallory", ticket["media_id"], SOME_ID, "PROPFIND"):
            assert private not in str(span)


async def test_a_failed_request_is_marked_and_its_reason_kept_out(
    platform: Platform, tmp_path: Path, closed_port: int
) -> None:
    ticket = await platform.user().begin(File(b"hello" * 9))
    with (
        OtlpReceiver() as receiver,
        real_service(platform, tmp_path, changes=environment(receiver.url), store_port=closed_port) as service,
    ):
        async with service.client() as http:
            assert (await service.user(http).confirm(ticket["media_id"])).status_code == 503
        await ended(service)
    failed = {span.name: attributes(span) for span in receiver.spans if span.status.code == Status.STATUS_CODE_ERROR}
    assert failed["s3.HeadObject"] == {"error.type": "EndpointConnectionError"}
    assert failed["POST /api/media/{media_id}/confirm"]["error.type"] == "503"


@pytest.mark.parametrize("receiver", ["refuses", "fails"])
async def test_a_receiver_that_fails_disturbs_nobody(
    receiver: str, platform: Platform, tmp_path: Path, closed_port: int
) -> None:
    with OtlpReceiver(status=503) as failing:
        url = failing.url if receiver == "fails" else f"http://127.0.0.1:{closed_port}"
        changes = environment(url) | {"OTEL_BSP_SCHEDULE_DELAY": "100"}
        with real_service(platform, tmp_path, changes=changes) as service:
            async with service.client() as http:
                for _ in range(20):
                    started = time.monotonic()
                    assert (await service.user(http).call("GET", "/api/media")).status_code == 200
                    assert time.monotonic() - started < 5
                    await asyncio.sleep(0.03)
            assert await ended(service) < 10
        assert failing.posts > 0 or receiver == "refuses"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("UPDATE media_files SET a = 'secret'", "db.UPDATE media_files"),
        ("WITH x AS (SELECT 1 FROM media_files) INSERT INTO messages SELECT", "db.INSERT messages"),
        ("delete from media_references WHERE", "db.DELETE media_references"),
        ("SELECT a FROM media_files FOR UPDATE", "db.SELECT media_files"),
        ("SELECT 1 AS alive", "db.SELECT"),
    ],
)
def test_a_statement_is_named_by_what_it_does(query: str, name: str) -> None:
    assert statement_name(query) == name
