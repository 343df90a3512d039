"""A web server for the pages of a chat app's front end."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FRONT_END = Path(__file__).parents[1] / "e2e" / "front_end.mjs"
README = Path(__file__).parents[2] / "README.md"


@dataclass(frozen=True)
class FrontEnd:
    """A web server whose pages have two origins: it is reached by name and by number."""

    port: int

    @property
    def allowed_origin(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def foreign_origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def readme_module() -> str:
    """The README's example as a module: `upload(API, TOKEN, file)` is its code, unchanged, and answers the media id."""
    example, *_ = re.findall(r"^```js(?: runnable)?\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    return f"export async function upload(API, TOKEN, file) {{\n{example}\nreturn media_id;\n}}\n"


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        modules = {"/front_end.mjs": FRONT_END.read_text, "/readme.mjs": readme_module}
        text = modules[self.path]() if self.path in modules else "<!doctype html><title>A chat</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if self.path in modules else "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Not into the output of the tests."""


@contextmanager
def serving_pages() -> Iterator[FrontEnd]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield FrontEnd(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
