"""What the database alone can do: single-row inserts into the service's table, by pgbench or else by psycopg."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg
from generators import CONNECTIONS, BenchmarkFailed, Measurement
from load_generator import percentile

_INSERT: Final = """INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size,
                         mime_type, checksum, status, expires_at)
VALUES (uuidv7(), 'bench', 'writer', 'picture.png', 'uploads/2026/11/writer/picture.png', 'image', 4096, 'image/png',
        sha256(gen_random_uuid()::text::bytea), 'pending', now() + interval '1 hour')"""
_PIPELINE: Final = 100
# Debian keeps the programs of each version apart.
_DEBIAN: Final = Path("/usr/lib/postgresql")


def pgbench() -> Path | None:
    """The newest pgbench of this machine."""
    found = sorted(_DEBIAN.glob("*/bin/pgbench"), key=lambda program: int(program.parts[-3]))
    anywhere = shutil.which("pgbench")
    return found[-1] if found else Path(anywhere) if anywhere else None


def inserter(database_url: str) -> tuple[str, Callable[[int], Measurement]]:
    """The name of the peer, and how to measure it for some seconds."""
    program = pgbench()
    if program is None:
        return "psycopg, pipelined inserts", lambda seconds: _pipelined(database_url, seconds)
    return "pgbench, one insert", lambda seconds: _pgbench(program, database_url, seconds)


def _pgbench(program: Path, database_url: str, seconds: int) -> Measurement:
    """CONNECTIONS clients, prepared, a transaction each. Raises BenchmarkFailed."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(_INSERT + ";\n")
        clients = ["-c", str(CONNECTIONS), "-j", "1", "-T", str(seconds), "-f", str(script)]
        command = [str(program), "-n", "-M", "prepared", *clients, "-l", "--log-prefix", f"{folder}/log", database_url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or rate is None:
            raise BenchmarkFailed(f"pgbench failed: {done.stderr.strip()}")
        # Each line: client, transaction, microseconds, script, and when it ended.
        lines = [line for file in Path(folder).glob("log.*") for line in file.read_text().splitlines()]
        latencies = [int(line.split()[2]) / 1000 for line in lines]
        return Measurement(
            requests=len(latencies),
            seconds=len(latencies) / float(rate[1]),
            p50_ms=percentile(latencies, 0.50),
            p99_ms=percentile(latencies, 0.99),
        )


def _pipelined(database_url: str, seconds: int) -> Measurement:
    """One connection; latencies are those of a pipeline of _PIPELINE inserts."""
    latencies = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        started = previous = time.perf_counter()
        while previous - started < seconds:
            with connection.pipeline():
                for _ in range(_PIPELINE):
                    connection.execute(_INSERT.encode(), prepare=True)
            now = time.perf_counter()
            latencies.append((now - previous) * 1000)
            previous = now
    return Measurement(
        requests=len(latencies) * _PIPELINE,
        seconds=previous - started,
        p50_ms=percentile(latencies, 0.50),
        p99_ms=percentile(latencies, 0.99),
    )
