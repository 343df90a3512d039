"""Load from outside: wrk where it is on the PATH, else load_generator.py. Both check every answer."""

import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

CONNECTIONS: Final = 32
OWN: Final = "load_generator.py"
MARK: Final = "@" * 64
_HERE: Final = Path(__file__).parent
_SPARE_SECONDS: Final = 120


class BenchmarkFailed(Exception):
    """A wrong answer, or work that cannot be proved: there is no number to show."""


class NoAnswer(BenchmarkFailed):
    """Nothing came back within the round."""


@dataclass(frozen=True)
class Measurement:
    """One round. `generator_share`: of one processor core; `server_cpu_us`: microseconds of processor for a request."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    generator_share: float | None = None
    server_cpu_us: float | None = None

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Plan:
    """Raw requests to send in turn, and what must be in the body of every answer.

    `once`: never send one again. `slow`: answers take so long that those under way at the end of a round count; wrk
    throws them away.
    """

    requests: Sequence[bytes]
    proof: str
    once: bool = False
    slow: bool = False


def request(method: str, path: str, token: str, body: Mapping[str, object] | None = None) -> bytes:
    """A raw HTTP/1.1 request; MARK in the body becomes unique when it is sent."""
    content = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    elif method != "GET":
        head += "Content-Length: 0\r\n"
    return head.encode() + b"\r\n" + content


def send(url: str, plan: Plan, seconds: int, server: int | None = None) -> Measurement:
    """Load on a server; `server` is its process id. Raises BenchmarkFailed on any wrong answer."""
    with tempfile.NamedTemporaryFile(suffix=".requests") as file:
        file.write(b"\0".join(plan.requests))
        file.flush()
        command = _command(url, plan, file.name, seconds)
        used, served = _children_seconds(), _process_seconds(server)
        # Whatever is configured for this process must not slow the generator down.
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + _SPARE_SECONDS)
        used, served = _children_seconds() - used, _process_seconds(server) - served
    if done.returncode != 0 or not done.stdout.strip():
        raise BenchmarkFailed(f"the load generator failed on {url}: {done.stderr.strip() or done.stdout.strip()}")
    return _measurement(url, json.loads(done.stdout.splitlines()[-1]), used, served if server else None)


def name() -> str:
    """The generator that is used for everything that may be sent again."""
    return "wrk" if shutil.which("wrk") else OWN


def _command(url: str, plan: Plan, file: str, seconds: int) -> list[str]:
    wrk = shutil.which("wrk")
    if wrk is None or plan.once or plan.slow:
        address = urlsplit(url)
        script = [sys.executable, "-I", "-S", str(_HERE / OWN)]
        wanted = "0" if plan.once else str(seconds)
        return [*script, str(address.hostname), str(address.port), file, plan.proof, str(CONNECTIONS), wanted]
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(_HERE / "wrk.lua")]
    return [wrk, *options, url, "--", file, plan.proof, str(secrets.randbits(31))]


def _measurement(url: str, told: dict[str, Any], used: float, served: float | None) -> Measurement:
    if not told["requests"] and not told["wrong"]:
        raise NoAnswer(f"{url} answered nothing at all")
    if told["wrong"]:
        raise BenchmarkFailed(f"{url} gave {told['wrong']} wrong of {told['requests']} answers: {told['example']}")
    return Measurement(
        requests=told["requests"],
        seconds=told["seconds"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        generator_share=used / told["seconds"],
        server_cpu_us=served / told["requests"] * 1e6 if served is not None else None,
    )


def _children_seconds() -> float:
    """Processor time of the children of this process that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _process_seconds(process_id: int | None) -> float:
    """Processor time of a running process; 0 where the system does not tell."""
    stat = Path(f"/proc/{process_id}/stat")
    if process_id is None or not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
