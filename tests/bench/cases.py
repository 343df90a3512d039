"""The cases: which requests each contestant gets, and which rows prove that it did the work."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final, LiteralString
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from uuid import UUID

import psycopg
from ceiling import EMPTY_PATH
from generators import MARK, BenchmarkFailed, Measurement, Plan, request, send
from inserts import NAME, inserts
from peers import Arena, Server
from presigning import presigners
from rounds import Contestant, Rows
from seeding import Uploaded, announcement, uploaded

WRITERS: Final = 64
READERS: Final = 4
PAGE: Final = 50
CONFIRMS: Final = 192
_NAIVE: Final = "naive"
_INITIATE: Final = "/api/media/upload/initiate"
_LIST: Final = f"/api/media?limit={PAGE}"
_NO_MEDIA: Final = UUID(int=0)

# Counting all of a large table would take longer than the round.
_MADE_SINCE: Final = "SELECT count(*) FROM media_files WHERE media_id >= %(since)s"


@dataclass
class Cases:
    """Builds the contestants of each case; the first of each is the service. `confirms` files for each round."""

    arena: Arena
    confirms: int = CONFIRMS
    _started: float = field(default_factory=time.time)

    @property
    def all(self) -> Mapping[str, Callable[[], Sequence[Contestant]]]:
        """How to build the contestants of each case, by the name that --cases takes."""
        return {
            "initiate": self.initiate,
            "limited": self.limited,
            "duplicate": self.duplicate,
            "confirm": self.confirm,
            "message": self.message,
            "list": self.list_media,
            "presign": lambda: presigners(self.arena.platform.connection),
        }

    def initiate(self) -> list[Contestant]:
        """A file that nobody has announced, each time."""
        arena = self.arena
        naive = Rows(partial(self._naive_rows, "SELECT count(*) FROM media"), 1)
        inserted = Rows(partial(_count, arena.inserts_database, "SELECT count(*) FROM media_files"), 1)
        return [
            http("initiate", arena.service, self.new_files, Rows(self._made, 1)),
            http(f"initiate, {_NAIVE}", arena.naive, self.new_files, naive),
            *self._companion(),
            self._empty(),
            Contestant(NAME, partial(inserts, arena.inserts_database), unit="inserts/s", rows=inserted),
        ]

    def limited(self) -> list[Contestant]:
        """As initiate, with a manifest that limits what each user may hold: counted under a lock of the user."""
        assert self.arena.limited is not None, "the arena was started without it"
        rows = Rows(partial(_count, self.arena.limited_database, "SELECT count(*) FROM media_files"), 1)
        return [
            http("initiate, limited", self.arena.limited, self.new_files, rows),
            http("initiate", self.arena.service, self.new_files, Rows(self._made, 1)),
        ]

    def duplicate(self) -> list[Contestant]:
        """A file that the same user has uploaded before."""

        def plan(files: Sequence[Uploaded]) -> Plan:
            bodies = [(one.token, announcement(one.checksum)) for one in files]
            return Plan([request("POST", _INITIATE, token, body) for token, body in bodies], '"exists":true')

        naive = Rows(partial(self._naive_rows, "SELECT count(*) FROM media"), 0)
        return [
            http("duplicate", self.arena.service, plan(self._library), Rows(self._made, 0)),
            http(f"duplicate, {_NAIVE}", self.arena.naive, plan(self._naive_library), naive),
            self._empty(),
        ]

    def confirm(self) -> list[Contestant]:
        """Files that were PUT a moment ago, each confirmed once."""
        done: LiteralString = "SELECT count(*) FROM media_files WHERE status = 'completed'"
        naive_done: LiteralString = "SELECT count(*) FROM media WHERE status = 'completed'"
        rows = Rows(partial(_count, self.arena.platform.database_url, done), 1)
        return [
            self._confirming("confirm", self.arena.service, rows),
            self._confirming(f"confirm, {_NAIVE}", self.arena.naive, Rows(partial(self._naive_rows, naive_done), 1)),
        ]

    def message(self) -> list[Contestant]:
        """A message with one completed media, each time with another client_message_id."""

        def plan(files: Sequence[Uploaded]) -> Plan:
            body = {"conversation_id": "lunch", "content": "Look at this", "client_message_id": MARK}
            bodies = [(one.token, body | {"media_ids": [one.media_id]}) for one in files]
            requests = [request("POST", "/api/messages/send", token, body) for token, body in bodies]
            return Plan(requests, '"message_id"')

        rows = Rows(partial(_count, self.arena.platform.database_url, "SELECT count(*) FROM messages"), 1)
        naive = Rows(partial(self._naive_rows, "SELECT count(*) FROM chat"), 1)
        return [
            http("message", self.arena.service, plan(self._library), rows),
            http(f"message, {_NAIVE}", self.arena.naive, plan(self._naive_library), naive),
        ]

    def list_media(self) -> list[Contestant]:
        """The newest PAGE media of a user who has as many, each with a signed URL."""

        def plan(files: Sequence[Uploaded]) -> Plan:
            tokens = sorted({one.token for one in files})
            requests = [request("GET", _LIST, token) for token in tokens]
            return Plan(requests, "X-Amz-Signature", slow=True)

        for server, files in ((self.arena.service, self._library), (self.arena.naive, self._naive_library)):
            _check_page(server, files[0].token)
        return [
            http("list", self.arena.service, plan(self._library)),
            http(f"list, {_NAIVE}", self.arena.naive, plan(self._naive_library)),
            self._empty(),
        ]

    def _confirming(self, name: str, server: Server, rows: Rows) -> Contestant:
        """Each round has files of its own, which are uploaded before it begins."""
        waiting: list[Uploaded] = []

        def prepare() -> None:
            users = [f"confirmer-{number % WRITERS}" for number in range(self.confirms)]
            waiting[:] = uploaded(server.url, [(user, self.arena.token(user)) for user in users], confirmed=False)

        def measure(_: int) -> Measurement:
            calls = [request("POST", f"/api/media/{one.media_id}/confirm", one.token) for one in waiting]
            return send(server.url, Plan(calls, '"status":"completed"', once=True), 0, server.process_id)

        return Contestant(name, measure, unit="confirms/s", rows=rows, prepare=prepare)

    def _empty(self) -> Contestant:
        plan = Plan([request("GET", EMPTY_PATH, "")], "{}")
        return http("empty route", self.arena.ceiling, plan)

    def _companion(self) -> list[Contestant]:
        if self.arena.companion is None:
            return []
        path = "/s3/params?filename=picture.png&type=image/png"
        return [http("Companion, no database", self.arena.companion, Plan([request("GET", path, "")], '"fields"'))]

    @cached_property
    def new_files(self) -> Plan:
        """Announcements of files that nobody has announced."""
        bodies = [request("POST", _INITIATE, token, announcement(MARK)) for token in self._writers]
        return Plan(bodies, '"exists":false')

    @cached_property
    def _writers(self) -> list[str]:
        return [self.arena.token(f"writer-{number}") for number in range(WRITERS)]

    @cached_property
    def _library(self) -> list[Uploaded]:
        return self._uploaded_library(self.arena.service)

    @cached_property
    def _naive_library(self) -> list[Uploaded]:
        return self._uploaded_library(self.arena.naive)

    def _uploaded_library(self, server: Server) -> list[Uploaded]:
        """PAGE confirmed files of each of the READERS."""
        readers = [(user, self.arena.token(user)) for user in (f"reader-{number}" for number in range(READERS))]
        return uploaded(server.url, readers * PAGE, confirmed=True)

    def _made(self) -> int:
        """Rows of the service whose UUIDv7 (RFC 9562: milliseconds first) is younger than these cases."""
        return _count(self.arena.platform.database_url, _MADE_SINCE, UUID(int=int(self._started * 1000) << 80))

    def _naive_rows(self, query: LiteralString) -> int:
        return _count(self.arena.naive_database, query)


def http(name: str, server: Server, plan: Plan, rows: Rows | None = None) -> Contestant:
    """A contestant that answers HTTP."""
    return Contestant(name, lambda seconds: send(server.url, plan, seconds, server.process_id), rows=rows)


def _check_page(server: Server, token: str) -> None:
    """Raises BenchmarkFailed unless a list holds PAGE media, each with a signed URL."""
    call = Request(server.url + _LIST, headers={"Authorization": f"Bearer {token}"})
    with urlopen(call, timeout=60) as answer:
        items = json.load(answer)["items"]
    signed = sum("X-Amz-Signature" in (item["url"] or "") for item in items)
    if signed != PAGE:
        raise BenchmarkFailed(f"{server.url} lists {signed} media with a URL instead of {PAGE}")


def _count(database_url: str, query: LiteralString, since: UUID = _NO_MEDIA) -> int:
    """The one number that a query answers with. Raises BenchmarkFailed when the database does not answer."""
    try:
        with psycopg.connect(database_url) as connection:
            row = connection.execute(query, {"since": since}).fetchone()
    except psycopg.OperationalError as error:
        raise BenchmarkFailed(f"rows cannot be counted in {urlsplit(database_url).path[1:]}: {error}") from error
    return int(row[0]) if row else 0
