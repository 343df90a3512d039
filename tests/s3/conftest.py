"""What the tests of the S3 adapter share: a bucket on a real store, and a server that answers whatever a test wants."""

import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.objects import BucketObjects


@pytest.fixture
def connection(seaweedfs: SeaweedFS) -> StoreConnection:
    return seaweedfs.connection


@pytest.fixture
def admin(connection: StoreConnection, bucket_name: str) -> BucketAdmin:
    """Administration of a bucket that does not exist yet."""
    return BucketAdmin.connect(connection, bucket_name)


@pytest.fixture
def bucket(admin: BucketAdmin, connection: StoreConnection) -> BucketAdmin:
    """Administration of a new, empty bucket."""
    admin.create(connection.region, {})
    return admin


@pytest.fixture
async def objects(bucket: BucketAdmin, connection: StoreConnection) -> AsyncIterator[BucketObjects]:
    async with BucketObjects.connect(connection, bucket.bucket) as objects:
        yield objects


@dataclass(frozen=True)
class Answer:
    """`raw` replaces the whole response: b"" closes the connection without one."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/xml"
    raw: bytes | None = None


@dataclass
class CannedStore:
    """Answers every request alike, but those whose line starts as one in `answers`; remembers what it was asked."""

    answer: Answer | None
    tls: ssl.SSLContext | None = None
    requests: list[str] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    _released: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def connection(self) -> StoreConnection:
        scheme = "http" if self.tls is None else "https"
        endpoint = f"{scheme}://localhost:{self._server.server_port}"
        return StoreConnection(
            endpoint=endpoint,
            public_endpoint=endpoint,
            access_key_id="AKIDEXAMPLE",
            secret_access_key=SecretStr("very-secret-key"),
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline()
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                store.requests.append(f"{self.command} {self.path}")
                self.close_connection = True
                store._respond(self)

            def log_message(self, *_: Any) -> None:
                """The tests' output is no place for an access log."""

        return Handler

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        line = f"{handler.command} {handler.path}"
        answer = next((answer for start, answer in self.answers.items() if line.startswith(start)), self.answer)
        if answer is None:
            self._released.wait(10)
        elif answer.raw is not None:
            handler.wfile.write(answer.raw)
        else:
            handler.send_response(answer.status)
            handler.send_header("Content-Type", answer.content_type)
            handler.send_header("Content-Length", str(len(answer.body)))
            # Said, or a client that keeps connections may use this one while it is being closed.
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(b"" if handler.command == "HEAD" else answer.body)


@pytest.fixture
def canned_store() -> Iterator[Callable[..., CannedStore]]:
    """Start a server: canned_store(answer, tls=None), where the answer None never comes."""
    started: list[CannedStore] = []

    def start(answer: Answer | None, tls: ssl.SSLContext | None = None) -> CannedStore:
        store = CannedStore(answer, tls)
        store.start()
        started.append(store)
        return store

    yield start
    for store in started:
        store.stop()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer
