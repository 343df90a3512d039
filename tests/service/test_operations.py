"""What whoever runs the service sees: health, metrics, documentation, the page at /, CORS, logs."""

import json
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from service_platform import MakePlatform, Platform, spec_with
from upload_client import File, UploadClient

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.app import create_app
from mediabucket_service.settings import Settings

PICTURE = File(b"a picture" * 100)
SOME_ID = "019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
CALLS: list[tuple[str, str, Any]] = [
    ("POST", "/api/media/upload/initiate", PICTURE.announcement()),
    ("POST", f"/api/media/{SOME_ID}/confirm", None),
    ("POST", f"/api/media/{SOME_ID}/parts", {"part_numbers": [1]}),
    ("GET", f"/api/media/{SOME_ID}/parts", None),
    ("GET", f"/api/media/{SOME_ID}", None),
    ("GET", "/api/media", None),
    ("GET", f"/api/media/{SOME_ID}/content", None),
    ("DELETE", f"/api/media/{SOME_ID}", None),
    ("POST", "/api/messages/send", {"conversation_id": "a", "content": "hello"}),
    ("POST", "/api/messages/send", {"conversation_id": "a", "media_ids": [SOME_ID]}),
    ("GET", "/api/messages?conversation_id=a", None),
]


@pytest.fixture
def without_database(settings: Settings, closed_port: int) -> Settings:
    """How long a request waits for the database is short, so that the tests are."""
    url = SecretStr(f"postgresql://nobody:secret@127.0.0.1:{closed_port}/media")
    return settings.model_copy(update={"database_url": url, "database_timeout_seconds": 0.5})


@pytest.fixture
def without_store(seaweedfs: SeaweedFS, closed_port: int) -> StoreConnection:
    endpoint = f"http://127.0.0.1:{closed_port}"
    return seaweedfs.connection.model_copy(update={"endpoint": endpoint, "public_endpoint": endpoint})


@asynccontextmanager
async def user_of(settings: Settings, store: StoreConnection, bucket: str) -> AsyncIterator[UploadClient]:
    """A user of an application whose database or store need not be there."""
    app = create_app(settings, BucketConnection(store=store, bucket=bucket, spec=spec_with()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as http,
        httpx.AsyncClient(timeout=60) as client,
    ):
        yield UploadClient(http, client)


def assert_unavailable(answer: httpx.Response, dependency: str) -> None:
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "type": "urn:mediabucket:problem:dependency-unavailable",
        "title": "Something the service depends on does not answer",
        "status": 503,
        "detail": f"the {dependency} cannot be reached right now; try again in 2 seconds",
        "error": f"the {dependency} cannot be reached right now; try again in 2 seconds",
        "dependency": dependency,
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_sound_service_is_alive_and_ready(platform: Platform) -> None:
    assert (await platform.http.get("/healthz")).json() == {"status": "ok"}
    ready = await platform.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "dependencies": {"database": "ok", "store": "ok"}}


async def test_without_its_database_it_is_alive_but_not_ready(
    without_database: Settings, seaweedfs: SeaweedFS, make_platform: MakePlatform, bucket_name: str
) -> None:
    async with make_platform(), user_of(without_database, seaweedfs.connection, bucket_name) as user:
        assert (await user.http.get("/healthz")).status_code == 200
        started = time.monotonic()
        ready = await user.http.get("/readyz")
        assert time.monotonic() - started < 3
    assert ready.status_code == 503
    assert ready.json() == {"status": "unavailable", "dependencies": {"database": "PoolTimeout", "store": "ok"}}


async def test_without_its_store_it_is_alive_but_not_ready(
    settings: Settings, without_store: StoreConnection, bucket_name: str
) -> None:
    async with user_of(settings, without_store, bucket_name) as user:
        assert (await user.http.get("/healthz")).status_code == 200
        started = time.monotonic()
        ready = await user.http.get("/readyz")
        assert time.monotonic() - started < 4
    assert ready.status_code == 503
    dependencies = ready.json()["dependencies"]
    assert dependencies["database"] == "ok"
    assert dependencies["store"].startswith(f"HeadBucket {bucket_name}: EndpointConnectionError: Could not connect")


async def test_every_call_waits_shortly_for_the_database_and_says_so(
    without_database: Settings, seaweedfs: SeaweedFS, bucket_name: str
) -> None:
    async with user_of(without_database, seaweedfs.connection, bucket_name) as user:
        for method, path, body in CALLS:
            started = time.monotonic()
            answer = await user.call(method, path, body)
            assert time.monotonic() - started < 3
            assert_unavailable(answer, "database")


async def test_only_calls_that_need_the_store_wait_for_it(
    settings: Settings, without_store: StoreConnection, bucket_name: str
) -> None:
    async with user_of(settings, without_store, bucket_name) as user:
        ticket = (await user.initiate(PICTURE)).json()
        media_id = ticket["media_id"]
        for answer in (
            await user.get(media_id),
            await user.call("GET", "/api/media"),
            await user.send(content="hello"),
        ):
            assert answer.status_code == 200
        for action in (user.confirm(media_id), user.send(media_ids=[media_id])):
            started = time.monotonic()
            assert_unavailable(await action, "store")
            assert time.monotonic() - started < 5
        assert (await user.delete(media_id)).status_code == 204, "the reaper removes the bytes later"


async def test_a_database_that_restarts_costs_tries_and_never_a_500(platform: Platform) -> None:
    alice = platform.user()
    assert (await alice.call("GET", "/api/media")).status_code == 200
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    await platform.database.fetch_all(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}", {})
    answers = [await alice.call("GET", "/api/media") for _ in range(platform.settings.database_pool_size + 1)]
    assert answers[-1].status_code == 200
    for answer in answers:
        if answer.status_code != 200:
            assert_unavailable(answer, "database")


async def test_metrics_count_by_route_and_outcome_and_never_by_id(platform: Platform) -> None:
    alice = platform.user()
    media = await alice.upload(PICTURE)
    await alice.initiate(PICTURE)
    refused = (await alice.initiate(File(b"announced"))).json()
    await alice.put(refused, b"ANNOUNCED")
    await alice.confirm(refused["media_id"])
    await alice.delete(media["media_id"])
    for path in ("/nowhere", f"/api/media/{SOME_ID}", f"/api/media/{SOME_ID}?token=secret", "/web/page.js"):
        await alice.call("GET", path)
    await alice.call("BREW", f"/coffee/{SOME_ID}")

    answer = await platform.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["http_requests_total", "/api/media/upload/initiate", "200", "POST"] == 3
    assert samples["http_requests_total", "/api/media/{media_id}/confirm", "200", "POST"] == 1
    assert samples["http_requests_total", "/api/media/{media_id}/confirm", "422", "POST"] == 1
    assert samples["http_requests_total", "/api/media/{media_id}", "404", "GET"] == 2
    assert samples["http_requests_total", "404", "GET", "none"] == 1
    assert samples["http_requests_total", "404", "OTHER", "none"] == 1
    assert samples["http_request_duration_seconds_count", "/api/media/{media_id}/confirm", "POST"] == 2
    uploads = {outcome: samples["mediabucket_uploads_total", *sorted(("image", outcome))] for outcome in OUTCOMES}
    assert uploads == OUTCOMES
    for private in (media["media_id"], refused["media_id"], SOME_ID, "alice", "secret", "coffee"):
        assert private not in answer.text


OUTCOMES = {"initiated": 2, "deduplicated": 1, "completed": 1, "failed": 1, "deleted": 1}

DOCUMENTED = {
    "POST /api/media/upload/initiate": [200, 400, 401, 409, 413, 429, 503],
    "POST /api/media/upload/initiate/batch": [200, 400, 401, 413, 429, 503],
    "POST /api/media/{media_id}/confirm": [200, 202, 400, 401, 404, 409, 410, 422, 429, 503],
    "POST /api/media/{media_id}/parts": [200, 400, 401, 404, 409, 410, 413, 422, 429, 503],
    "GET /api/media/{media_id}/parts": [200, 400, 401, 404, 409, 410, 422, 429, 503],
    "GET /api/media/{media_id}": [200, 400, 401, 404, 410, 429, 503],
    "DELETE /api/media/{media_id}": [204, 400, 401, 404, 409, 429, 503],
    "GET /api/media": [200, 400, 401, 429, 503],
    "GET /api/media/{media_id}/content": [307, 400, 401, 404, 409, 410, 422, 429, 503],
    "POST /api/messages/send": [200, 400, 401, 404, 409, 410, 413, 422, 429, 503],
    "GET /api/messages": [200, 400, 401, 429, 503],
    "DELETE /api/users/{sub}/media": [200, 202, 400, 401, 403, 404, 429, 503],
    "POST /api/events/s3": [200, 400, 401, 404, 413, 503],
    "GET /healthz": [200],
    "GET /readyz": [200, 503],
    "GET /metrics": [200],
}


async def test_the_documentation_lists_every_call_with_every_status(platform: Platform) -> None:
    assert "/openapi.json" in (await platform.http.get("/docs")).text
    document = (await platform.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1.")
    operations = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    found = {
        call: sorted(int(status) for status in operation["responses"] if status != "default")
        for call, operation in operations.items()
    }
    assert found == DOCUMENTED
    for call, operation in operations.items():
        assert operation["summary"]
        assert operation["description"]
        for status, response in operation["responses"].items():
            assert response["description"]
            if call.split()[1].startswith("/api/") and status not in ("200", "202", "204", "307"):
                assert list(response["content"]) == ["application/problem+json"]


async def test_every_reference_of_the_documentation_leads_somewhere(platform: Platform) -> None:
    text = (await platform.http.get("/openapi.json")).text
    document = json.loads(text)
    references = re.findall(r'"\$ref":"#/components/schemas/(\w+)"', text)
    assert references
    assert set(references) <= set(document["components"]["schemas"])


async def test_the_page_may_run_nothing_but_its_own_script(platform: Platform) -> None:
    page = await platform.http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    directives = dict(part.split(None, 1) for part in page.headers["content-security-policy"].split(";"))
    store = "{0.scheme}://{0.netloc}".format(urlsplit(platform.connection.store.public_endpoint))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": f"'self' {store}",
        "img-src": f"'self' {store} blob: data:",
        "media-src": f"'self' {store} blob:",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert not re.search(r"<script(?![^>]* src=)|<style|\bon\w+=|\bstyle=|javascript:", page.text), "nothing inline"


async def test_everything_that_the_page_loads_is_there(platform: Platform) -> None:
    page = (await platform.http.get("/")).text
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page)
    assert sorted(loaded) == ["/docs", "/web/page.css", "/web/page.js"]
    types = {path: (await platform.http.get(path)).headers["content-type"].partition(";")[0] for path in loaded}
    assert types == {"/docs": "text/html", "/web/page.css": "text/css", "/web/page.js": "text/javascript"}


LOCAL_PAGES = {"allowedOrigins": ["http://localhost:*", "https://*.chat.example"], "maxAgeSeconds": 60}
ALLOWED = ["http://localhost:3000", "http://localhost:65535", "https://www.chat.example", "https://a.b.chat.example"]
REFUSED = [
    "http://localhost",
    "https://localhost:3000",
    "http://localhost.evil.example",
    "http://localhost.evil.example:3000",
    "http://evil-localhost:3000",
    "http://evil.example",
    "http://evil.example:3000",
    "http://127.0.0.1:3000",
    "https://chat.example",
    "https://wwwXchat.example",
    "https://www.chat.example.evil.example",
    "https://www.chat.example:8443",
    "http://www.chat.example",
    "null",
    "*",
]
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.mark.parametrize("origin", ALLOWED)
async def test_pages_of_the_manifest_may_call_the_api(make_platform: MakePlatform, origin: str) -> None:
    async with make_platform(cors=LOCAL_PAGES) as platform:
        asked = {"Origin": origin, **PREFLIGHT}
        preflight = await platform.http.options("/api/media/upload/initiate", headers=asked)
        answers = [
            await platform.http.get("/api/media", headers={"Origin": origin}),
            await platform.http.get("/nowhere", headers={"Origin": origin}),
            await platform.http.get("/api/media", headers={"Origin": origin, **platform.user().headers}),
        ]
    assert preflight.status_code == 200
    assert preflight.headers["access-control-max-age"] == "60"
    assert {"authorization", "content-type"} <= allowed_headers(preflight)
    assert [answer.status_code for answer in answers] == [401, 404, 200]
    for answer in (preflight, *answers):
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"].split(", "), "a cache must not give one origin's answer to another"


def allowed_headers(preflight: httpx.Response) -> set[str]:
    return {name.strip().lower() for name in preflight.headers["access-control-allow-headers"].split(",")}


@pytest.mark.parametrize("origin", REFUSED)
async def test_other_pages_may_not(make_platform: MakePlatform, origin: str) -> None:
    async with make_platform(cors=LOCAL_PAGES) as platform:
        preflight = await platform.http.options("/api/media/upload/initiate", headers={"Origin": origin, **PREFLIGHT})
        answer = await platform.http.get("/api/media", headers={"Origin": origin, **platform.user().headers})
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers


async def test_without_origins_in_the_manifest_no_page_may(platform: Platform) -> None:
    preflight = await platform.http.options("/api/media", headers={"Origin": "http://localhost:3000", **PREFLIGHT})
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers


async def test_no_log_record_holds_a_token_or_a_signature(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """A whole upload, its message, two refusals and a bug."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "mediabucket_service")
    caplog.set_level(logging.DEBUG, "mediabucket_s3")
    alice = platform.user()
    ticket = await alice.begin(PICTURE)
    media = (await alice.confirm(ticket["media_id"])).json()
    page = (await alice.send(media_ids=[media["media_id"]])).json()
    await alice.confirm(SOME_ID)
    await alice.initiate(PICTURE, file_size=0)
    await platform.http.get("/api/media", headers={"Authorization": f"{alice.headers['Authorization']}x"})

    urls = [ticket["upload_url"], media["url"], page["media"][0]["url"]]
    secrets = [parse_qs(urlsplit(url).query)["X-Amz-Signature"][0] for url in urls]
    secrets += [alice.headers["Authorization"].split()[1], alice.secret]
    secrets.append(platform.connection.store.secret_access_key.get_secret_value())
    # The client's own records are not the service's.
    records = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    told = "\n".join(f"{logging.Formatter().format(record)} {vars(record)}" for record in records)
    assert [secret for secret in secrets if secret in told] == []
