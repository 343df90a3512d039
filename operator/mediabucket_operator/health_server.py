"""`/healthz` and `/metrics`, from a thread of their own: a stalled event loop must not keep them from saying so."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Answer = tuple[int, str, bytes]


class HealthServer:
    """Serves from `start` to `stop`. `problems` says what is wrong; nothing: all is well."""

    def __init__(self, host: str, port: int, problems: Callable[[], list[str]]) -> None:
        self._problems = problems
        self._server = ThreadingHTTPServer((host, port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @classmethod
    def start(cls, host: str, port: int, problems: Callable[[], list[str]]) -> Self:
        """Raises OSError when the port is taken; 0 is any free one."""
        server = cls(host, port, problems)
        server._thread.start()
        return server

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> Answer:
        if path == "/healthz":
            problems = self._problems()
            text = "\n".join(problems) or "ok"
            return (503 if problems else 200), "text/plain; charset=utf-8", f"{text}\n".encode()
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        return 404, "text/plain; charset=utf-8", b"there are /healthz and /metrics\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content_type, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Probes every few seconds are no news."""

        return Handler
