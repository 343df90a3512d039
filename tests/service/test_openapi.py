"""Requests made up from the served OpenAPI document (schemathesis), on a real store and a real database.

`MEDIABUCKET_TEST_SCHEMATHESIS_SECONDS` says for how long, 120 without it; 1200 by hand finds more.
"""

import asyncio
import json
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from served_api import served
from service_platform import MakePlatform, Platform
from upload_client import File, make_token

pytestmark = pytest.mark.takes_minutes(2)

logger = logging.getLogger(__name__)

SECONDS = int(os.environ.get("MEDIABUCKET_TEST_SCHEMATHESIS_SECONDS", "120"))
# For loading the document and for the request that is under way when the time is up.
GRACE_SECONDS = 60
PROGRAM = Path(sys.executable).with_name("schemathesis")

# Requests that fit the schema may still be refused: for the state of a media, for the manifest's rules, and for the
# few rules that a schema cannot say.
CHECKS = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 404, 409, 410, 422]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]

[[operations]]
include-path = [
  "/api/media/upload/initiate", "/api/media/upload/initiate/batch", "/api/messages/send", "/api/messages",
  "/api/users/{sub}/media", "/api/media/{media_id}/parts"
]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 410, 422]

[[operations]]
include-path = "/api/events/s3"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401]
"""
# The document says no more of a notification than that it is an object: a good one is not made up.
SELDOM_ANSWERED_WELL = {("POST", "/api/events/s3")}
EVENTS_SECRET = "a secret that the store knows as well"


async def known_ids(platform: Platform) -> dict[str, str]:
    """A media in every state, and one of somebody else: what is made up would all be unknown."""
    alice, bob = platform.user("alice"), platform.user("bob")
    completed, in_use, deleted = [await alice.upload(File(name)) for name in (b"completed", b"in use", b"deleted")]
    assert (await alice.send(media_ids=[in_use["media_id"]])).status_code == 200
    assert (await alice.delete(deleted["media_id"])).status_code == 204
    refused, arrived, pending = [
        (await alice.initiate(File(name))).json() for name in (b"refused", b"arrived", b"pending")
    ]
    await alice.put(refused, b"REFUSED")
    assert (await alice.confirm(refused["media_id"])).status_code == 422
    await alice.put(arrived, b"arrived")
    in_parts = (await alice.initiate(File(b"in parts"), file_size=80 * 1024**2, multipart=True)).json()
    assert in_parts["parts"]
    media = {
        "completed": completed,
        "in use": in_use,
        "deleted": deleted,
        "refused": refused,
        "arrived": arrived,
        "pending": pending,
        "in parts": in_parts,
        "bob's": await bob.upload(File(b"bob's")),
    }
    return {state: found["media_id"] for state, found in media.items()}


def configuration(media: dict[str, str]) -> str:
    """Feeds ids of real media and a real conversation into half of the requests that take one."""
    tables: dict[str, list[Any]] = {
        "numbers": [1, 2, 5],
        "media": list(media.values()),
        "conversations": ["general"],
        "types": ["image/png", "video/mp4"],
        "checksums": [File(name).sha256 for name in (b"completed", b"deleted", b"pending")],
        "secrets": [EVENTS_SECRET],
        "users": ["carol", "dan/../alice", "\u00e9"],
        "names": ["picture.png", "../../etc/passwd", "a\u202egnp.exe", "C:\\film.mp4"],
    }
    bound = {
        "path.media_id": "media",
        "path.sub": "users",
        "body.part_numbers[*]": "numbers",
        "body.parts[*].part_number": "numbers",
        "header.x-events-secret": "secrets",
        "query.cursor": "media",
        "body.media_ids[*]": "media",
        "query.conversation_id": "conversations",
        "body.conversation_id": "conversations",
        "body.mime_type": "types",
        "body.checksum": "checksums",
        "body.file_name": "names",
        "body.files[*].mime_type": "types",
        "body.files[*].checksum": "checksums",
        "body.files[*].file_name": "names",
    }
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in tables.items()]
    lines.append("[parameters]")
    lines += [f'"{field}" = {{ dictionary = "{name}", probability = 0.5 }}' for field, name in bound.items()]
    return "\n".join([*lines, CHECKS])


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its `default` answers, which would permit every status."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default", None)
    return document


def with_parts_named(document: dict[str, Any], media: dict[str, str]) -> dict[str, Any]:
    """An example for each call that is about parts, which is tried first: chance seldom finds a media in parts.

    Once a made-up request has deleted the one that there is, it never does.
    """
    for operation in document["paths"]["/api/media/{media_id}/parts"].values():
        [named] = [parameter for parameter in operation["parameters"] if parameter["name"] == "media_id"]
        named["example"] = media["in parts"]
        if "requestBody" in operation:
            operation["requestBody"]["content"]["application/json"]["example"] = {"part_numbers": [1]}
    return document


async def attacked(directory: Path, url: str, platform: Platform) -> tuple[int | None, str]:
    """Run schemathesis with all checks; its exit status and what it printed."""
    media = await known_ids(platform)
    config = directory / "schemathesis.toml"
    config.write_text(configuration(media))
    document = directory / "openapi.json"
    served_document = (await platform.http.get("/openapi.json")).json()
    document.write_text(json.dumps(with_parts_named(strict(served_document), media)))
    # Deleting an upload that was never published leaves its record, which says how it ended: no use after free.
    command: list[Any] = [
        PROGRAM, f"--config-file={config}", "run", document, f"--url={url}", "--checks=all",
        "--exclude-checks=use_after_free", "--mode=all", "--no-color", "--continue-on-failure",
        "--phases=examples,coverage,fuzzing,stateful", f"--max-time={SECONDS}", "--request-timeout=30",
        f"--header=Authorization:Bearer {make_token('alice', scope='media:admin')}",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS + GRACE_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode(errors="replace")


async def answered_well(platform: Platform) -> set[tuple[str, str]]:
    """The methods and routes that answered 2xx or 3xx, as the service itself counted them."""
    counted = (await platform.http.get("/metrics")).text
    found = re.findall(r'^http_requests_total{method="(\w+)",route="(\S+)",status="[23]\d\d"}', counted, re.MULTILINE)
    return {(method, route.replace(":path}", "}")) for method, route in found}


async def test_no_made_up_request_is_answered_with_anything_undocumented(
    make_platform: MakePlatform, tmp_path: Path
) -> None:
    secret = {"events_secret": SecretStr(EVENTS_SECRET)}
    async with make_platform(settings_changes=secret) as platform, served(platform) as (host, port):
        status, output = await attacked(tmp_path, f"http://{host}:{port}", platform)
        document = (await platform.http.get("/openapi.json")).json()
        answered = await answered_well(platform)
    logger.info("%s", output)
    assert status == 0, output
    documented = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert documented - answered <= SELDOM_ANSWERED_WELL, "nothing but refusals was seen of these"


async def test_the_document_says_what_a_message_must_hold(platform: Platform) -> None:
    """Otherwise clients that were generated from it send empty ones."""
    document = (await platform.http.get("/openapi.json")).json()
    alternatives = document["components"]["schemas"]["SendMessage"]["anyOf"]
    assert [alternative["required"] for alternative in alternatives] == [["content"], ["media_ids"]]


async def test_a_user_with_a_line_break_is_no_address(platform: Platform) -> None:
    """As the document says: 404, and nothing is erased."""
    headers = {"Authorization": f"Bearer {make_token('root', scope='media:admin')}"}
    answer = await platform.http.delete("/api/users/alice%0A/media", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:mediabucket:problem:not-found")
    operation = (await platform.http.get("/openapi.json")).json()["paths"]["/api/users/{sub}/media"]["delete"]
    assert "404" in operation["responses"]
