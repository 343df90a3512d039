"""A script of what befalls requests that pass a ReverseProxy, and a record of them."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from mediabucket_cli.sandbox.faults import cut, refused
from mediabucket_cli.sandbox.proxy import broken

_PART = re.compile(r"[?&]partNumber=(\d+)")


@dataclass(frozen=True)
class Refuse:
    """Answered by the proxy, in the words of S3."""

    status: int
    code: str = "SomeCode"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CutAfter:
    """The connection breaks when so many bytes of the body have passed."""

    body_bytes: int = 0


@dataclass
class LoseAnswer:
    """The store gets all of the request; the connection breaks instead of an answer. `statuses` are what was lost."""

    endpoint: str
    statuses: list[int] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        async with httpx.AsyncClient() as http:
            answer = await http.request(
                request.method,
                self.endpoint + request.raw_path,
                content=await request.read(),
                headers=dict(request.headers),
            )
        self.statuses.append(answer.status_code)
        return broken(request)


Fault = Refuse | CutAfter | LoseAnswer | None


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def part(self) -> int | None:
        found = _PART.search(self.path)
        return int(found[1]) if found else None

    def is_of(self, method: str, ending: str) -> bool:
        return self.method == method and self.path.partition("?")[0].endswith(ending)


@dataclass
class Script:
    """`faults` are taken in turn by requests of the method, None lets one pass; afterwards `always`."""

    method: str = "PUT"
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault = None
    requests: list[Asked] = field(default_factory=list)
    answers: list[tuple[Asked, int]] = field(default_factory=list)

    def asked(self, method: str, ending: str = "") -> list[Asked]:
        """The requests of a method whose path, without its query, ends so."""
        return [asked for asked in self.requests if asked.is_of(method, ending)]

    def statuses(self, method: str, ending: str = "") -> list[int]:
        """What such requests were answered, in the order of the answers; 502 for none at all."""
        return [status for asked, status in self.answers if asked.is_of(method, ending)]

    def parts(self) -> list[int]:
        """The numbers of the parts that were sent."""
        return sorted(part for asked in self.requests if (part := asked.part) is not None)

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def scripted(request: web.Request, handler: Handler) -> web.StreamResponse:
            asked = Asked(request.method, request.raw_path, dict(request.headers))
            self.requests.append(asked)
            answer = await self._answer(request, handler)
            self.answers.append((asked, answer.status))
            return answer

        return scripted

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = self._next() if request.method == self.method else None
        match fault:
            case Refuse(status, code, headers):
                return await refused(request, status, code, "as the test says", headers)
            case CutAfter(body_bytes):
                return await cut(request, body_bytes)
            case LoseAnswer():
                return await fault(request)
        return await handler(request)

    def _next(self) -> Fault:
        return self.faults.popleft() if self.faults else self.always
