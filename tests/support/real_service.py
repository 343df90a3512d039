"""The service as a process of its own, `python -m mediabucket_service`, and its log."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from service_platform import Platform
from upload_client import JWT_SECRET, UploadClient

START_SECONDS = 30
END_SECONDS = 20


@dataclass(frozen=True)
class RealService:
    """A process that serves; `url` is where."""

    process: subprocess.Popen[bytes]
    url: str
    output: Path

    def user(self, http: httpx.AsyncClient, name: str = "alice") -> UploadClient:
        """A user who calls this process; `http` talks to it and to the store."""
        return UploadClient(http, http, name)

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=30, **options)

    def text(self) -> str:
        return self.output.read_text()

    def lines(self, logger: str = "") -> list[dict[str, Any]]:
        """The log, parsed; only lines of this logger when it is given."""
        lines = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in lines if line["logger"].startswith(logger)]

    def access(self) -> list[dict[str, Any]]:
        return self.lines("mediabucket_service.access")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            try:
                if httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)


@contextmanager
def real_service(
    platform: Platform,
    directory: Path,
    *,
    changes: dict[str, str] | None = None,
    store_port: int | None = None,
    program: Sequence[str] = ("mediabucket_service",),
) -> Iterator[RealService]:
    """Serve the platform's bucket in a process of its own; killed at the end unless it has ended by then.

    `changes` are environment variables; `store_port` is where it finds the store instead, presigned URLs unchanged;
    `program` is the module that serves, and its arguments.
    """
    data = platform.connection.to_config_map()
    spec_file = directory / "mediabucket.json"
    spec_file.write_text(data.pop("mediabucket.json"))
    if store_port is not None:
        data["BUCKET_ENDPOINT"] = f"http://127.0.0.1:{store_port}"
    environment = os.environ | data | platform.connection.to_secret() | {
        "MEDIABUCKET_FILE": str(spec_file),
        "MEDIABUCKET_DATABASE_URL": platform.settings.database_url.get_secret_value(),
        "MEDIABUCKET_JWT_SECRET": JWT_SECRET,
        "MEDIABUCKET_DRAIN_SECONDS": "0",
        **(changes or {}),
    }  # fmt: skip
    output = directory / "service.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, output.open("wb") as log:
        # For the connections that it accepts: see mediabucket_cli.embedded.ports.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        process = subprocess.Popen(
            [sys.executable, "-m", *program, "--fd", str(listener.fileno())],
            env=environment,
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
        port = listener.getsockname()[1]
    service = RealService(process, f"http://127.0.0.1:{port}", output)
    try:
        service.wait_until_ready()
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
