"""Sends the requests of a file, where wrk is absent or each request may be sent only once.

load_generator.py HOST PORT FILE PROOF CONNECTIONS SECONDS: the same file, checks and last line as wrk.lua; 0 seconds
send each request once. One thread around a selector and nothing but the standard library: a real HTTP client would need
more of the processor than the service.
"""

import json
import re
import secrets
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

MARK = b"@" * 64
SILENCE_SECONDS = 30.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_RECEIVE_BYTES = 1 << 18


@dataclass(eq=False)
class Client:
    """One connection with at most one request under way."""

    connection: socket.socket
    sent_at: float = 0.0
    received: bytes = b""

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.connection.sendall(request)

    def answered(self) -> bool:
        """Read what is there; whether the answer is complete. Raises ConnectionError when the server hangs up."""
        data = self.connection.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionError(f"the server hung up after {self.received!r}")
        self.received += data
        return is_complete(self.received)


@dataclass
class Tally:
    """What came back, latencies in seconds."""

    latencies: list[float] = field(default_factory=list)
    wrong: int = 0
    example: str = ""

    def note(self, client: Client, proof: bytes) -> None:
        self.latencies.append(time.perf_counter() - client.sent_at)
        if not is_right(client.received, proof):
            self.wrong += 1
            self.example = client.received[:400].decode(errors="replace")

    def summary(self, seconds: float) -> dict[str, Any]:
        return {
            "requests": len(self.latencies),
            "seconds": seconds,
            "p50_ms": percentile(self.latencies, 0.50) * 1000,
            "p99_ms": percentile(self.latencies, 0.99) * 1000,
            "wrong": self.wrong,
            "example": self.example,
        }


def is_complete(received: bytes) -> bool:
    """Whether these are the head and all of the body. Raises ValueError for an answer without a Content-Length."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH.search(received, 0, end)
    if length is None:
        raise ValueError(f"an answer without a Content-Length: {received[:end]!r}")
    return len(received) >= end + 4 + int(length[1])


def is_right(received: bytes, proof: bytes) -> bool:
    """Status 2xx, and the proof in the body."""
    return received.startswith(b"HTTP/1.1 2") and received.find(proof, received.find(b"\r\n\r\n") + 4) >= 0


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed; 0 of none."""
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0


def endless(requests: list[bytes]) -> Iterator[bytes]:
    """The requests again and again, each mark replaced by digits that never come twice."""
    pieces = [request.partition(MARK) for request in requests]
    for head, mark, tail in cycle(pieces):
        yield head + secrets.token_hex(32).encode() + tail if mark else head


def send_all(
    address: tuple[str, int], requests: Iterator[bytes], proof: bytes, connections: int, seconds: float
) -> Tally:
    """Keep `connections` busy until the requests are used up or `seconds` are over. Raises OSError, ValueError."""
    tally, selector = Tally(), selectors.DefaultSelector()
    busy = 0
    for request in islice(requests, connections):
        client = Client(socket.create_connection(address))
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client.connection, selectors.EVENT_READ, client)
        client.send(request)
        busy += 1
    deadline = time.perf_counter() + seconds
    while busy:
        ready = selector.select(SILENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer within {SILENCE_SECONDS:.0f} s")
        for key, _ in ready:
            client = key.data
            if not client.answered():
                continue
            tally.note(client, proof)
            following = next(requests, None) if time.perf_counter() < deadline else None
            if following is None:
                selector.unregister(client.connection)
                client.connection.close()
                busy -= 1
            else:
                client.send(following)
    return tally


def main(host: str, port: str, file: str, proof: str, connections: str, seconds: str) -> None:
    requests = Path(file).read_bytes().split(b"\0")
    once = float(seconds) == 0
    started = time.perf_counter()
    tally = send_all(
        (host, int(port)),
        iter(requests) if once else endless(requests),
        proof.encode(),
        int(connections),
        float("inf") if once else float(seconds),
    )
    sys.stdout.write(json.dumps(tally.summary(time.perf_counter() - started)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
