"""Hostile texts in every text that a request carries: refused, or kept exactly and harmless wherever it goes."""

import json
import re
import secrets
import unicodedata
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx
import pytest
from api_routes import api_routes
from attack_texts import ATTACK_TEXTS
from pydantic import SecretStr
from service_platform import Platform, running_platform
from upload_client import File, make_token

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.settings import Settings

INITIATE = "POST /api/media/upload/initiate"
BATCH = "POST /api/media/upload/initiate/batch"
SEND = "POST /api/messages/send"
ANNOUNCED = File(b"injected").announcement(metadata={"key": "value"})
BODIES: dict[str, dict[str, Any]] = {
    INITIATE: ANNOUNCED,
    BATCH: {"files": [ANNOUNCED]},
    SEND: {"conversation_id": "injected", "content": "hello", "media_ids": []},
    "POST /api/events/s3": {"Records": []},
    "POST /api/media/{media_id}/parts": {"parts": [{"part_number": 1}]},
}
ONE_FILE = ("file_name", "mime_type", "checksum", "metadata{}")
# Every text of every call, by the place that it has in the OpenAPI document; `{}` are the values of a map.
PLACES: dict[str, tuple[str, ...]] = {
    INITIATE: tuple(f"body.{name}" for name in ONE_FILE),
    BATCH: tuple(f"body.files[].{name}" for name in ONE_FILE),
    SEND: tuple(
        f"body.{name}" for name in ("conversation_id", "content", "message_type", "client_message_id", "media_ids[]")
    ),
    "POST /api/events/s3": ("header.x-events-secret",),
    "GET /api/media": ("query.cursor", "query.status", "query.media_type"),
    "GET /api/messages": ("query.conversation_id", "query.before"),
    "GET /api/media/{media_id}": ("path.media_id",),
    "GET /api/media/{media_id}/content": ("path.media_id",),
    "POST /api/media/{media_id}/confirm": ("path.media_id",),
    "DELETE /api/media/{media_id}": ("path.media_id",),
    "GET /api/media/{media_id}/parts": ("path.media_id",),
    "POST /api/media/{media_id}/parts": ("path.media_id", "body.parts[].checksum"),
    "DELETE /api/users/{sub}/media": ("path.sub",),
}
EVERY_PLACE = [(route, place) for route, places in PLACES.items() for place in places]
NOT_TEXT = {"surrogate", "long"}
CONTROL = {"NUL", "line break", "log line", "terminal escape", "next line"}
NOT_PRINTABLE = CONTROL | {"line separator", "right to left", "isolate", "invisible", "noncharacter", "number"}
# Where it is known which of the texts are good; elsewhere all may be refused, but what is taken is kept exactly.
REFUSED = {
    "body.content": NOT_TEXT | {"NUL"},
    "body.file_name": NOT_TEXT | CONTROL | {"line separator", "right to left", "isolate", "number"},
    "body.metadata{}": NOT_TEXT | CONTROL | {"line separator", "right to left", "isolate"},
    "body.conversation_id": NOT_TEXT | NOT_PRINTABLE | {"emoji"},
    "body.client_message_id": NOT_TEXT | NOT_PRINTABLE | {"emoji"},
}
KEY = re.compile(r"uploads/\d{4}/\d{2}/[A-Za-z0-9_-]{1,71}/[0-9a-f-]{36}(\.[a-z0-9]{1,8})?")


@pytest.fixture(scope="module")
async def platform(seaweedfs: SeaweedFS, settings: Settings) -> AsyncIterator[Platform]:
    settings = settings.model_copy(update={"events_secret": SecretStr("a secret that the store knows as well")})
    async with running_platform(seaweedfs.connection, settings, f"test-{uuid.uuid4().hex[:20]}") as running:
        yield running


@pytest.fixture(scope="module")
async def canary(platform: Platform) -> str:
    """A media of bob, which nothing here may change."""
    found: str = (await platform.user("bob").upload(File(b"canary")))["media_id"]
    return found


async def test_every_text_of_every_call_is_attacked(platform: Platform) -> None:
    texts = {(route.name, place) for route in await api_routes(platform.http) for place in route.texts}
    assert texts == set(EVERY_PLACE), "say in PLACES where texts go"


def placed(value: Any, steps: list[str], text: str) -> Any:
    """The value with a text at a place, given by its steps: a member's name, `[]` for one item, `{}` for one entry."""
    if not steps:
        return text
    step, rest = steps[0], steps[1:]
    if step == "[]":
        return [placed(value[0] if value else None, rest, text)]
    if step == "{}":
        return {"key": text}
    return value | {step: placed(value.get(step), rest, text)}


async def attack(platform: Platform, route: str, place: str, text: str) -> httpx.Response:
    method, path = route.split(" ")
    kind, name = place.split(".", 1)
    # Longer addresses no HTTP server would read.
    encoded = quote(text[:5_000].encode(errors="surrogatepass"), safe="")
    body = BODIES.get(route)
    if kind == "body":
        body = placed(body, re.findall(r"\[\]|\{\}|\w+", name), text)
    elif kind == "path":
        path = path.replace(f"{{{name}}}", encoded)
    elif kind == "query":
        path += f"?{name}={encoded}" if name == "conversation_id" else f"?conversation_id=injected&{name}={encoded}"
    path = path.replace("{media_id}", str(uuid.UUID(int=7)))
    token = make_token("alice", scope="media:admin" if path.startswith("/api/users") else "")
    headers = {b"Authorization": f"Bearer {token}".encode(), b"Content-Type": b"application/json"}
    if kind == "header":
        headers[name.encode()] = text[:5_000].encode(errors="surrogatepass")
    # json.dumps writes half a surrogate pair as an escape, which httpx would refuse to send.
    content = None if body is None else json.dumps(body)
    if content is not None:
        # A file of its own each time: the key of one that is announced again was made from its first name.
        content = content.replace(ANNOUNCED["checksum"], secrets.token_hex(32))
    return await platform.http.request(method, path, content=content, headers=headers)


@pytest.mark.parametrize("name", ATTACK_TEXTS)
@pytest.mark.parametrize(("route", "place"), EVERY_PLACE)
async def test_a_hostile_text_is_refused_or_kept_exactly(
    platform: Platform, canary: str, caplog: pytest.LogCaptureFixture, route: str, place: str, name: str
) -> None:
    text = ATTACK_TEXTS[name]
    before = await platform.row(canary)
    with caplog.at_level("DEBUG", logger="mediabucket_service"):
        answer = await attack(platform, route, place, text)
    assert answer.status_code in (200, 400, 401, 404)
    assert answer.status_code != 401 or place.startswith("header.")
    assert answer.headers["content-type"] in ("application/json", "application/problem+json")
    if place in REFUSED:
        assert (answer.status_code == 400) == (name in REFUSED[place])
    if answer.status_code == 200:
        await assert_kept(platform, place, text, answer.json())
    else:
        assert_told_harmlessly(answer)
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("mediabucket")]
    assert [message for message in logged if not message.isprintable()] == []
    assert await platform.row(canary) == before


def assert_told_harmlessly(answer: httpx.Response) -> None:
    problem = answer.json()
    told = [problem["detail"], *(item["message"] for item in problem.get("errors", []))]
    assert all(sentence.isprintable() and len(sentence) < 700 for sentence in told)
    assert all("\r" not in value and "\n" not in value for value in answer.headers.values())


async def assert_kept(platform: Platform, place: str, text: str, answer: dict[str, Any]) -> None:
    if "message_id" in answer:
        field = place.removeprefix("body.")
        assert answer[field] == text
        query = (
            "SELECT conversation_id, content, message_type, client_message_id FROM messages WHERE message_id = %(id)s"
        )
        row = await platform.database.fetch_one(query, {"id": answer["message_id"]})
        assert row is not None
        assert row[field] == text
    elif "results" in answer:
        [only] = answer["results"]
        if "media_id" in only:
            await assert_announced(platform, place, text, only)
    elif "media_id" in answer:
        await assert_announced(platform, place, text, answer)
    elif place == "path.sub":
        assert answer["media"] == 0
    else:
        assert answer["items"] == [] or place == "query.conversation_id"


async def assert_announced(platform: Platform, place: str, text: str, ticket: dict[str, Any]) -> None:
    """The row holds the text and nothing else of the caller's making; no key and no URL holds anything of it."""
    row = await platform.row(ticket["media_id"])
    expected = {"file_name": ANNOUNCED["file_name"], "mime_type": "image/png", "metadata": {"key": "value"}}
    if place.endswith("file_name"):
        expected["file_name"] = kept_name(text)
    if place.endswith("metadata{}"):
        expected["metadata"] = {"key": text}
    assert {name: row[name] for name in expected} == expected
    assert (row["uploaded_by"], row["status"], row["file_size"]) == ("alice", "pending", ANNOUNCED["file_size"])
    assert KEY.fullmatch(row["file_path"])
    assert_signed_for(platform, ticket)


def assert_signed_for(platform: Platform, ticket: dict[str, Any]) -> None:
    url = urlsplit(ticket["upload_url"])
    assert url.path == f"/{platform.connection.bucket}/pending/{ticket['media_id']}"
    assert all(name.startswith("X-Amz-") for name, _ in parse_qsl(url.query))
    assert ticket["headers"] == {"Content-Type": "image/png"}


def kept_name(text: str) -> str:
    """What is left of a file name: NFC, the last part of a path, no white space around it."""
    return re.split(r"[/\\]", unicodedata.normalize("NFC", text))[-1].strip()


@pytest.mark.parametrize("name", [name for name in ATTACK_TEXTS if name not in REFUSED["body.file_name"]])
async def test_a_hostile_name_is_one_harmless_header_of_the_download(platform: Platform, name: str) -> None:
    media = await platform.user().upload(File(f"named {name}".encode(), ATTACK_TEXTS[name]))
    download = await platform.user().download(media["url"])
    [disposition] = download.headers.get_list("content-disposition")
    found = re.fullmatch(r"inline; filename\*=UTF-8''([A-Za-z0-9._~%-]+)", disposition)
    assert found is not None
    assert unquote(found[1]) == media["file_name"] == kept_name(ATTACK_TEXTS[name])
    assert download.headers["content-type"] == "image/png"
    assert "x-injected" not in download.headers


@pytest.mark.parametrize("name", ATTACK_TEXTS)
async def test_a_hostile_user_id_is_refused_or_stays_itself(platform: Platform, name: str) -> None:
    user = ATTACK_TEXTS[name]
    headers = {"Authorization": f"Bearer {make_token(user)}"}
    body = File(b"of a hostile user").announcement()
    answer = await platform.http.post("/api/media/upload/initiate", json=body, headers=headers)
    if answer.status_code == 401:
        assert name in NOT_TEXT | CONTROL | {"number"}
        return
    row = await platform.row(answer.json()["media_id"])
    assert row["uploaded_by"] == user
    assert KEY.fullmatch(row["file_path"])
    assert_signed_for(platform, answer.json())
    mine = (await platform.http.get("/api/media", headers=headers)).json()["items"]
    assert [item["media_id"] for item in mine] == [answer.json()["media_id"]]


async def test_users_that_look_alike_are_apart(platform: Platform) -> None:
    """Composed and decomposed, cases, blanks, a plain name and the hash that stands for another's."""
    users = ["\u00e9", "e\u0301", "\u0435", "e", "E", "e ", " e", "e\u200b", "e/e", "e%2Fe"]
    rows = []
    for user in users:
        media = await platform.user(user).upload(File(b"the same bytes"))
        rows.append(await platform.row(media["media_id"]))
    assert len({row["media_id"] for row in rows}) == len({row["file_path"].split("/")[3] for row in rows}) == len(users)
