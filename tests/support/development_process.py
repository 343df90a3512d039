"""`mediabucket dev` as a person runs it: a process of its own with a manifest and a data directory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

PROGRAM = Path(sys.executable).with_name("mediabucket")
EXAMPLE = Path(__file__).parents[2] / "examples" / "chat-media.yaml"
SHA256_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
PATIENCE_SECONDS = 60.0


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


class Dev:
    """A directory with a manifest, and the process that serves it."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.manifest = directory / "manifest.yaml"
        self.manifest.write_text(EXAMPLE.read_text())
        self.ready_file = directory / "ready.json"
        self._output = directory / "output.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, environment: dict[str, str] | None = None) -> None:
        command: list[str | Path] = [
            PROGRAM,
            "dev",
            "-f",
            self.manifest,
            "--data",
            self.data,
            "--ready-file",
            self.ready_file,
            *options,
        ]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | (environment or {})
            )

    def wait_until_ready(self) -> None:
        eventually(lambda: self.ready_file.exists() or self.process.poll() is not None, "the ready file")
        assert self.ready_file.exists(), self.output

    def send(self, number: signal.Signals) -> int:
        """The exit status that a signal leads to."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGKILL)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def ready(self) -> dict[str, Any]:
        ready: dict[str, Any] = json.loads(self.ready_file.read_text())
        return ready

    def initiate(self, token: str | None = None, **changes: Any) -> httpx.Response:
        body = {"file_name": "a.png", "file_size": 5, "mime_type": "image/png", "checksum": SHA256_OF_HELLO}
        return self.call("POST", "/api/media/upload/initiate", token, json=body | changes)

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        ready = self.ready
        headers = {"Authorization": f"Bearer {token or ready['token']}"}
        url = ready["api_url"] + path
        try:
            return httpx.request(method, url, headers=headers, timeout=30, **options)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            # Taken by a service that was about to be replaced: a client tries again, as after any lost connection.
            return httpx.request(method, url, headers=headers, timeout=30, **options)

    def processes(self) -> dict[int, str]:
        """Every process that works on the data directory, by what its command line or its environment says."""
        mark = str(self.data).encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if mark in command or mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found
