"""What HTTP itself allows an attacker: methods, hosts, paths, caches, and connections that are not what they say."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from http import HTTPMethod

import httpx
import pytest
from api_routes import api_routes
from served_api import served
from service_platform import Platform, running_platform
from upload_client import File, make_token

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.body_limit import MAX_BODY_BYTES
from mediabucket_service.settings import Settings

INITIATE = "/api/media/upload/initiate"
ORIGIN = "https://chat.example"
FOREIGN = [
    "https://evil.example", "null", "https://chat.example.evil.example", "https://evilchat.example",
    "http://chat.example", "https://chat.example:8443", "HTTPS://CHAT.EXAMPLE/", "",
]  # fmt: skip
ADDRESSES = [
    "/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/web/page.js", "/api/media", INITIATE,
    f"{INITIATE}/batch", f"/api/media/{uuid.UUID(int=7)}", f"/api/media/{uuid.UUID(int=7)}/confirm",
    f"/api/media/{uuid.UUID(int=7)}/content", "/api/messages", "/api/messages/send", "/api/users/alice/media",
    "/api/events/s3", f"/api/media/{uuid.UUID(int=7)}/parts",
]  # fmt: skip


@pytest.fixture(scope="module")
async def platform(seaweedfs: SeaweedFS, settings: Settings) -> AsyncIterator[Platform]:
    bucket = f"test-{uuid.uuid4().hex[:20]}"
    async with running_platform(seaweedfs.connection, settings, bucket, cors={"allowedOrigins": [ORIGIN]}) as running:
        yield running


@pytest.fixture(scope="module")
async def address(platform: Platform) -> AsyncIterator[tuple[str, int]]:
    """Where a real HTTP server answers."""
    async with served(platform) as found:
        yield found


async def test_every_documented_address_is_tried_here(platform: Platform) -> None:
    patterns = [re.sub(r"\{\w+\}", "[^/]+", route.template) for route in await api_routes(platform.http)]
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, path) for path in ADDRESSES)] == []


@pytest.mark.parametrize("path", ADDRESSES)
async def test_allow_names_exactly_the_methods_that_are_answered(platform: Platform, path: str) -> None:
    answers = {method.value: await platform.http.request(method, path) for method in HTTPMethod}
    refused = {method: answer for method, answer in answers.items() if answer.status_code == 405}
    assert {answer.headers["allow"] for answer in refused.values()} == {
        ", ".join(sorted(answers.keys() - refused.keys()))
    }
    assert {"TRACE", "CONNECT", "PUT", "PATCH"} <= refused.keys()
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in refused.values())


@pytest.mark.parametrize("path", ADDRESSES)
async def test_head_is_answered_without_a_body(address: tuple[str, int], path: str) -> None:
    answer = await exchanged(address, f"HEAD {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n".encode())
    status, _, rest = answer.partition(b"\r\n")
    assert status in (b"HTTP/1.1 200 OK", b"HTTP/1.1 405 Method Not Allowed")
    assert rest.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_page_of_another_origin_may_nothing(platform: Platform, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    for path in ADDRESSES:
        preflight = await platform.http.options(path, headers=asked)
        assert preflight.status_code >= 400
        plain = await platform.http.get(path, headers={"Origin": origin})
        for answer in (preflight, plain):
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_of_the_manifests_origin_may_send_no_cookies_and_its_answers_are_kept_apart(
    platform: Platform,
) -> None:
    answer = await platform.http.get("/api/media", headers={"Origin": ORIGIN, **platform.user().headers})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "//evil.example"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"X-Original-URL": "/evil.example", "X-Rewrite-URL": "/evil.example", "X-HTTP-Method-Override": "DELETE"},
], ids=lambda headers: next(iter(headers)))  # fmt: skip
async def test_nothing_is_built_from_the_host_that_a_caller_names(platform: Platform, headers: dict[str, str]) -> None:
    alice = platform.user()
    media = await alice.upload(File(f"host {headers}".encode()))
    paths = [*ADDRESSES, f"/api/media/{media['media_id']}", f"/api/media/{media['media_id']}/content", "/api/media/"]
    for path in paths:
        for method in ("GET", "POST"):
            content = json.dumps(File(b"of a host").announcement()) if path == INITIATE else None
            sent = {**alice.headers, "Content-Type": "application/json", **headers}
            answer = await platform.http.request(method, path, headers=sent, content=content)
            assert "evil.example" not in answer.text + str(answer.headers)
    assert (await alice.get(media["media_id"])).status_code == 200


REWRITTEN = [
    "/api/media/", "//api/media", "/api//media", "/api/./media", "/api/x/../media", "/api/media/.", "/api/media%2F",
    "/%61pi/media/", "/api/media;a=b", "/api/media%00", "/api/media%20", "/api\\media", "/api/MEDIA",
    "/web/../api/media", "/docs/", "/web", "/web/", "/metrics/", "/api/media/upload/../../media",
    "/api/messages/../media", "/web/%2e%2e/main.py", "/web/..%5cmain.py",
]  # fmt: skip


@pytest.mark.parametrize("path", REWRITTEN)
async def test_another_spelling_of_an_address_is_no_address(address: tuple[str, int], path: str) -> None:
    """A proxy that guards an address must not be passed by writing it otherwise; no redirect corrects it either."""
    token = make_token("alice")
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    answer = await exchanged(address, request.encode())
    assert re.match(rb"HTTP/1.1 40[04] ", answer)
    assert b"\r\nlocation:" not in answer.lower()


async def test_whatever_holds_a_signed_url_is_not_to_be_stored(platform: Platform) -> None:
    """Every call, answered well: whoever signs must say no-store, and so must whoever says whose media these are."""
    alice = platform.user()
    media, signed = await alice.upload(File(b"cached")), set()
    assert (await alice.send(media_ids=[media["media_id"]])).status_code == 200
    bodies = {
        f"POST {INITIATE}": File(b"cached").announcement(),
        f"POST {INITIATE}/batch": {"files": [File(name).announcement() for name in (b"cached", b"new")]},
        "POST /api/messages/send": {"conversation_id": "general", "media_ids": [media["media_id"]]},
    }
    for route in await api_routes(platform.http):
        path = route.template.replace("{media_id}", media["media_id"]).replace("{sub}", "nobody")
        answer = await alice.call(route.method, path, bodies.get(route.name), params={"conversation_id": "general"})
        if "X-Amz-Signature" in answer.text + str(answer.headers):
            signed.add(route.name)
        if answer.status_code < 400 and answer.status_code != 204:
            assert answer.headers["cache-control"] == "no-store", route.name
    assert signed >= {*bodies, "GET /api/media", "GET /api/media/{media_id}/content", "GET /api/messages"}


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(address: tuple[str, int]) -> None:
    answer = await exchanged(address, head(f"Content-Length: {10**15}"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request-too-large" in answer


@pytest.mark.parametrize("chunk", [1_000, 64_000, MAX_BODY_BYTES])
async def test_an_unannounced_body_is_refused_when_it_passes_the_limit(address: tuple[str, int], chunk: int) -> None:
    piece = b"%x\r\n%s\r\n" % (chunk, b" " * chunk)
    answer = await exchanged(address, head("Transfer-Encoding: chunked"), *[piece] * (MAX_BODY_BYTES // chunk + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "1, 2", "٣", "9" * 5_000, " "], ids=ascii)
async def test_a_length_that_is_no_number_is_refused(address: tuple[str, int], length: str) -> None:
    answer = await exchanged(address, head(f"Content-Length: {length}"), b"{}")
    assert re.match(rb"HTTP/1.1 4(00|13) ", answer)


@pytest.mark.parametrize("framing", [
    "Content-Length: 2\r\nContent-Length: 60",
    "Content-Length: 60\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding : chunked",
], ids=ascii)  # fmt: skip
async def test_no_second_request_hides_in_a_body(address: tuple[str, int], framing: str) -> None:
    """RFC 9112 section 11.2: where two readers might see different ends of a body, one answer and then the end."""
    hidden = b"0\r\n\r\nDELETE /api/media/x HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await exchanged(address, head(framing), hidden)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"media_id" not in answer


async def test_slow_bodies_keep_nobody_waiting(platform: Platform, address: tuple[str, int]) -> None:
    connections = [await asyncio.open_connection(*address) for _ in range(100)]
    for _, writer in connections:
        writer.write(head("Content-Length: 1000") + b"{")
    async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}", timeout=5) as http:
        for number in range(20):
            body = File(b"beside slow ones %d" % number).announcement()
            answer = await http.post(INITIATE, json=body, headers=platform.user().headers)
            assert answer.status_code == 200, "neither the server nor its database connections are taken"
    for _, writer in connections:
        writer.close()


async def test_a_body_that_is_never_finished_announces_nothing(platform: Platform, address: tuple[str, int]) -> None:
    body = json.dumps(File(b"never finished").announcement()).encode()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(head(f"Content-Length: {len(body) + 1}") + body)
    await writer.drain()
    writer.close()
    await reader.read()
    await asyncio.sleep(0.2)
    media = (await platform.user("slow").call("GET", "/api/media")).json()
    assert media["items"] == []


def head(*headers: str) -> bytes:
    """The head of an initiate by a user of its own, with more headers."""
    lines = [f"POST {INITIATE} HTTP/1.1", "Host: service", f"Authorization: Bearer {make_token('slow')}"]
    return "\r\n".join([*lines, "Content-Type: application/json", *headers, "", ""]).encode()


async def exchanged(address: tuple[str, int], *pieces: bytes) -> bytes:
    """What a server answers to these bytes until it closes or has nothing more to say."""
    reader, writer = await asyncio.open_connection(*address)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        while received := await asyncio.wait_for(reader.read(65_536), 1.5 if not answer else 0.3):
            answer += received
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return answer
