"""The steps of the demo. Each checks what it says it checks, or raises CheckFailed."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import httpx

from mediabucket_api.constants import PENDING_PREFIX, UPLOADS_PREFIX
from mediabucket_cli.demo_story.client import CheckFailed, DemoUser, announcement, check
from mediabucket_cli.demo_story.files import DemoFile, png

# How long an abandoned upload lives once the demo has shortened it, in seconds.
SHORT_LIFE = 2
PATIENCE = 20.0


class DemoPlatform(Protocol):
    """What the story needs besides HTTP: the hands of the platform team."""

    @property
    def api_url(self) -> str: ...

    def token(self, user: str) -> str: ...

    def keys(self, prefix: str) -> list[str]:
        """The keys in the bucket."""
        ...

    def plan(self) -> list[str]:
        """The differences between manifest and store, one line each."""
        ...

    def apply(self) -> None:
        """Make the store what the manifest says."""
        ...

    def break_cors(self) -> None:
        """Change the bucket's CORS rules by hand."""
        ...

    def change_uploads(self, **uploads: Any) -> None:
        """Edit `spec.uploads` of the manifest and wait until the service follows it."""
        ...

    def audit(self) -> list[str]:
        """What rows and objects disagree about, one line each."""
        ...


@dataclass(frozen=True)
class Outcome:
    """One line of the closing table."""

    step: str
    checked: str
    seconds: float
    passed: bool


@dataclass(frozen=True)
class Step:
    title: str
    run: Callable[[], str]


class Story:
    """Alice uploads, Mallory tries what she should not, and the platform team looks after the bucket."""

    def __init__(self, platform: DemoPlatform, http: httpx.Client, files: Sequence[DemoFile]) -> None:
        self._platform = platform
        self._files = files
        self._alice = DemoUser(http, platform.api_url, platform.token("alice"))
        self._mallory = DemoUser(http, platform.api_url, platform.token("mallory"))
        self._media: dict[str, dict[str, Any]] = {}
        self._upload_urls: dict[str, str] = {}

    def steps(self) -> list[Step]:
        """All steps, in the order in which they build on each other."""
        return [
            Step("provision", self._provisioned),
            *(Step(f"upload {file.name}", partial(self._upload, file)) for file in self._files),
            Step("same file again", self._same_file_again),
            Step("wrong type", lambda: self._refuse_announcement("type-not-allowed", mime_type="text/html")),
            Step("too large", lambda: self._refuse_announcement("file-too-large", file_size=104_857_601)),
            Step("bad checksum text", lambda: self._refuse_announcement("malformed-request", checksum="12345")),
            Step("other bytes", self._other_bytes),
            Step("somebody else's media", self._media_of_others),
            Step("old URL", self._old_url),
            Step("two confirms at once", self._parallel_confirms),
            Step("message", self._message),
            Step("abandoned upload", self._abandoned),
            Step("CORS changed by hand", self._drift),
            Step("audit", self._audit),
        ]

    def _provisioned(self) -> str:
        differences = self._platform.plan()
        check(not differences, f"the bucket should be what the manifest says, but: {'; '.join(differences)}")
        return "bucket, policy, CORS and lifecycle are what the manifest says"

    def _upload(self, file: DemoFile) -> str:
        ticket = self._alice.initiate(file)
        check(not ticket["exists"], f"{file.name} has the same bytes as a file before it")
        stored = self._alice.put(ticket["upload_url"], file)
        check(stored.status_code == 200, f"the store answered the PUT with {stored.status_code}: {stored.text[:300]}")
        media = self._alice.confirm(ticket["media_id"])
        check(self._alice.download(media["url"]) == file.content, "the download differs from the file")
        self._media[file.name] = media
        self._upload_urls[file.name] = ticket["upload_url"]
        return f"{len(file.content):,} bytes: PUT with Content-Type only, confirmed, downloaded, equal"

    def _same_file_again(self) -> str:
        file = self._files[0]
        answer = self._alice.initiate(file)
        same = answer["exists"] is True and answer["media_id"] == self._media[file.name]["media_id"]
        check(same, f"initiate should answer exists with the same media_id, but answered {answer}")
        return "exists: true, the same media_id, nothing to upload"

    def _refuse_announcement(self, problem: str, **changes: Any) -> str:
        body = announcement(self._files[0]) | changes
        return f"400: {self._alice.refused(400, problem, 'POST', '/api/media/upload/initiate', body)}"

    def _other_bytes(self) -> str:
        file = _throwaway("lie.png")
        ticket = self._alice.initiate(file)
        self._alice.put(ticket["upload_url"], file, content=b"X" * len(file.content))
        self._alice.refused(422, "upload-mismatch", "POST", f"/api/media/{ticket['media_id']}/confirm")
        published = [key for key in self._platform.keys(UPLOADS_PREFIX) if ticket["media_id"] in key]
        check(not published, f"nothing should be published, but there is {published}")
        return "422: bytes that do not match the checksum; nothing published"

    def _media_of_others(self) -> str:
        media_id = self._media[self._files[0].name]["media_id"]
        for method, path in (("GET", ""), ("GET", "/content"), ("POST", "/confirm"), ("DELETE", "")):
            self._mallory.refused(404, "media-not-found", method, f"/api/media/{media_id}{path}")
        body = {"conversation_id": "demo", "content": "mine now", "media_ids": [media_id]}
        self._mallory.refused(404, "media-not-found", "POST", "/api/messages/send", body)
        return "404 for reading, confirming, deleting and sending it"

    def _old_url(self) -> str:
        file = self._files[0]
        self._alice.put(self._upload_urls[file.name], file, content=b"X" * len(file.content))
        media = self._alice.confirm(self._media[file.name]["media_id"])
        check(self._alice.download(media["url"]) == file.content, "the old upload URL changed a published file")
        return "a PUT to the used URL changes nothing that is served"

    def _parallel_confirms(self) -> str:
        media_id = self._alice.begin(_throwaway("race.png"))
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(self._alice.confirm, [media_id, media_id]))
        steady = [{name: value for name, value in answer.items() if not name.startswith("url")} for answer in answers]
        check(steady[0] == steady[1], f"two confirms should give one answer, but gave {steady}")
        objects = [key for key in self._platform.keys("") if media_id in key]
        check(len(objects) == 1, f"there should be one object, but there are {objects}")
        return "one object, the same answer"

    def _message(self) -> str:
        file = _throwaway("sent.png")
        media_id = self._alice.begin(file)
        body = {"conversation_id": "demo", "content": "look!", "media_ids": [media_id], "message_type": "image"}
        sent = self._alice.ask("POST", "/api/messages/send", body)
        check(sent["media"][0]["status"] == "completed", f"the message should confirm its media, but is {sent}")
        page = self._alice.ask("GET", "/api/messages?conversation_id=demo")
        shown = page["items"][0]["media"][0]
        check(self._alice.download(shown["url"]) == file.content, "the message's media differs from the file")
        self._alice.refused(409, "media-in-use", "DELETE", f"/api/media/{media_id}")
        return "confirms the pending upload, shows it, keeps it from being deleted"

    def _abandoned(self) -> str:
        self._platform.change_uploads(urlTTLSeconds=SHORT_LIFE, staleAfterSeconds=SHORT_LIFE)
        media_id = self._alice.begin(_throwaway("abandoned.png"))
        _eventually(
            lambda: self._alice.ask("GET", f"/api/media/{media_id}")["status"] == "expired",
            "the abandoned upload should expire",
        )
        _eventually(
            lambda: f"{PENDING_PREFIX}{media_id}" not in self._platform.keys(PENDING_PREFIX),
            "the bytes of the abandoned upload should be removed",
        )
        self._alice.refused(410, "upload-expired", "POST", f"/api/media/{media_id}/confirm")
        return f"manifest edited to {SHORT_LIFE} s: row expired, bytes removed, confirm answers 410"

    def _drift(self) -> str:
        self._platform.break_cors()
        differences = self._platform.plan()
        check(any("cors" in line.lower() for line in differences), f"plan should show CORS, but shows {differences}")
        self._platform.apply()
        check(not self._platform.plan(), "apply should heal the CORS rules")
        return "plan shows it, apply heals it"

    def _audit(self) -> str:
        _eventually(lambda: not self._platform.audit(), "audit should find nothing left over", self._platform.audit)
        return f"{len(self._platform.keys(UPLOADS_PREFIX))} objects, each with its row; nothing left over"


def run_step(step: Step) -> Outcome:
    """Run one step; a failed check or call becomes the line that says so."""
    started = time.perf_counter()
    try:
        checked, passed = step.run(), True
    except CheckFailed as error:
        checked, passed = str(error), False
    except Exception as error:
        # The table must come, whatever a step ran into: this line of it says what.
        checked, passed = f"{type(error).__name__}: {error}", False
    return Outcome(step.title, checked, time.perf_counter() - started, passed)


def _throwaway(name: str) -> DemoFile:
    return DemoFile(name, "image/png", png(16, 16) + os.urandom(2000))


def _eventually(holds: Callable[[], bool], sentence: str, explain: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        check(time.monotonic() < deadline, f"{sentence} within {PATIENCE:.0f} seconds {explain()}".rstrip())
        time.sleep(0.2)
