"""A chat app's front end: what it may do, it does over HTTP, and every surprise is a sentence."""

from typing import Any

import httpx

from mediabucket_cli.demo_story.files import DemoFile


class CheckFailed(Exception):
    """The platform did not keep a promise; the message says which."""


def check(holds: bool, sentence: str) -> None:
    """Raise CheckFailed with what was expected unless it holds."""
    if not holds:
        raise CheckFailed(sentence)


class DemoUser:
    """One user of the API."""

    def __init__(self, http: httpx.Client, api_url: str, token: str) -> None:
        self._http = http
        self._api_url = api_url
        self._headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self._http.request(method, f"{self._api_url}{path}", json=body, headers=self._headers)

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A call that must succeed."""
        answer = self.call(method, path, body)
        check(answer.status_code == 200, f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found

    def refused(self, status: int, problem: str, method: str, path: str, body: Any = None) -> str:
        """A call that must be refused in just this way; answers the sentence."""
        answer = self.call(method, path, body)
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        expected = f"urn:mediabucket:problem:{problem}"
        check(
            answer.status_code == status and told.get("type") == expected,
            f"{method} {path} should be {status} {problem}, but was {answer.status_code}: {answer.text[:300]}",
        )
        return str(told["detail"])

    def initiate(self, file: DemoFile, **changes: Any) -> dict[str, Any]:
        return self.ask("POST", "/api/media/upload/initiate", announcement(file) | changes)

    def put(self, upload_url: str, file: DemoFile, content: bytes | None = None) -> httpx.Response:
        """The PUT of a plain front end: Content-Type and nothing else."""
        body = file.content if content is None else content
        return self._http.put(upload_url, content=body, headers={"Content-Type": file.mime_type})

    def begin(self, file: DemoFile) -> str:
        """Initiate and PUT; answers the media_id."""
        ticket = self.initiate(file)
        stored = self.put(ticket["upload_url"], file)
        check(stored.status_code == 200, f"the store answered the PUT with {stored.status_code}: {stored.text[:300]}")
        return str(ticket["media_id"])

    def confirm(self, media_id: str) -> dict[str, Any]:
        return self.ask("POST", f"/api/media/{media_id}/confirm")

    def download(self, url: str) -> bytes:
        return self._http.get(url).content


def announcement(file: DemoFile) -> dict[str, Any]:
    """The body of initiate."""
    return {
        "file_name": file.name,
        "file_size": len(file.content),
        "mime_type": file.mime_type,
        "checksum": file.sha256,
    }
