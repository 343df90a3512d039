"""`make bench`: rates of the hot path, each beside a peer measured in the same run.

Absolute rates depend on the machine; the ratios are what to compare. One uvicorn worker, 32 connections; the load
generator, PostgreSQL and the service share the machine's cores.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from botocore.config import Config
from botocore.session import Session
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mediabucket_cli.development_platform import DevelopmentPlatform
from mediabucket_s3.presign import Presigner

CONNECTIONS = 32
SECONDS = 5.0
PRESIGNS = 2000
RESULTS = Path(".bench/bench.json")
MANIFEST = Path("examples/chat-media.yaml")


@dataclass(frozen=True)
class Row:
    """One measured case; `ratio_to` names the peer, `ratio` is value / peer's value."""

    case: str
    unit: str
    value: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    ratio: float | None = None
    ratio_to: str | None = None


@dataclass(frozen=True)
class Call:
    """A request that may be sent again and again."""

    method: str
    path: str
    body: Callable[[], dict[str, object]] | None = None


def main() -> None:
    with platform() as running:
        rows = presign_rows(running) + asyncio.run(http_rows(running))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n")
    show(rows)


@contextmanager
def platform() -> Iterator[DevelopmentPlatform]:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        DevelopmentPlatform(MANIFEST, Path(folder), port=0, durable=False) as running,
    ):
        yield running


def presign_rows(running: DevelopmentPlatform) -> list[Row]:
    """Ours against botocore's own pure-Python presigner, which boto3 uses where awscrt is not installed."""
    connection = running.connection
    presigner = Presigner(connection.store, connection.bucket)
    client = Session().create_client(
        "s3",
        region_name=connection.store.region,
        endpoint_url=connection.store.public_endpoint,
        aws_access_key_id=connection.store.access_key_id,
        aws_secret_access_key=connection.store.secret_access_key.get_secret_value(),
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )

    def ours(key: str) -> None:
        presigner.put(key, content_type="image/png", content_length=1000, expires_in=300)

    def theirs(key: str) -> None:
        parameters = {"Bucket": connection.bucket, "Key": key, "ContentType": "image/png", "ContentLength": 1000}
        client.generate_presigned_url("put_object", Params=parameters, ExpiresIn=300)

    peer = rate(theirs)
    return [
        Row("presign, botocore", "URLs/s", peer),
        Row("presign", "URLs/s", value := rate(ours), ratio=value / peer, ratio_to="presign, botocore"),
    ]


def rate(presign: Callable[[str], None]) -> float:
    """Calls a second, over keys that differ."""
    started = time.perf_counter()
    for number in range(PRESIGNS):
        presign(f"pending/{number}")
    return PRESIGNS / (time.perf_counter() - started)


async def http_rows(running: DevelopmentPlatform) -> list[Row]:
    """The calls of the hot path against an empty route of the same application: the framework's ceiling."""
    known = announcement()
    initiate = "/api/media/upload/initiate"
    calls = {
        "empty route": Call("GET", "/healthz"),
        "initiate": Call("POST", initiate, announcement),
        "initiate, pending already": Call("POST", initiate, lambda: known),
        "list": Call("GET", "/api/media?limit=10"),
    }
    rows: list[Row] = []
    for case, call in track(calls.items(), description="measuring", console=Console(stderr=True), transient=True):
        latencies = await load(running, call)
        peer = rows[0] if rows else None
        value = len(latencies) / SECONDS
        rows.append(
            Row(
                case,
                "requests/s",
                value,
                p50_ms=percentile(latencies, 0.50),
                p99_ms=percentile(latencies, 0.99),
                ratio=value / peer.value if peer else None,
                ratio_to=peer.case if peer else None,
            )
        )
    return rows


def announcement() -> dict[str, object]:
    """A file that nobody has uploaded."""
    return {
        "file_name": "picture.png",
        "file_size": 1000,
        "mime_type": "image/png",
        "checksum": secrets.token_hex(32),
    }


async def load(running: DevelopmentPlatform, call: Call) -> list[float]:
    """Latencies in seconds of every request that CONNECTIONS clients get answered in SECONDS."""
    address = httpx.URL(running.api_url)
    head = (
        f"{call.method} {call.path} HTTP/1.1\r\nHost: {address.netloc.decode()}\r\n"
        f"Authorization: Bearer {running.token('bench')}\r\nContent-Type: application/json\r\n"
    )
    deadline = time.perf_counter() + SECONDS
    clients = (client(address, head, call, deadline) for _ in range(CONNECTIONS))
    return [latency for latencies in await asyncio.gather(*clients) for latency in latencies]


async def client(address: httpx.URL, head: str, call: Call, deadline: float) -> list[float]:
    """A bare HTTP/1.1 client: a real one would need more of the CPU than the service."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    latencies = []
    while (started := time.perf_counter()) < deadline:
        body = json.dumps(call.body()).encode() if call.body else b""
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await answered(reader)
        latencies.append(time.perf_counter() - started)
    writer.close()
    await writer.wait_closed()
    return latencies


async def answered(reader: asyncio.StreamReader) -> None:
    """Read one answer; anything but 200 ends the benchmark."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    body = await reader.readexactly(int(fields[b"content-length"]))
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(f"the service answered {head.splitlines()[0].decode()}: {body.decode()}")


def percentile(latencies: list[float], share: float) -> float:
    return sorted(latencies)[int(share * (len(latencies) - 1))] * 1000


def show(rows: list[Row]) -> None:
    table = Table("case", "rate", "", "p50 ms", "p99 ms", "ratio", "to", box=None, pad_edge=False)
    for column in (1, 3, 4, 5):
        table.columns[column].justify = "right"
    for row in rows:
        numbers = [f"{number:.2f}" if number is not None else "" for number in (row.p50_ms, row.p99_ms, row.ratio)]
        table.add_row(row.case, f"{row.value:,.0f}", row.unit, *numbers, row.ratio_to or "")
    Console().print(table)


if __name__ == "__main__":
    if os.environ.get("BOTO_DISABLE_CRT") is None:
        # botocore signs with awscrt once it is installed; only a new process can be told not to.
        environment = os.environ | {"BOTO_DISABLE_CRT": "true"}
        sys.exit(subprocess.run([sys.executable, __file__], env=environment, check=False).returncode)
    main()
