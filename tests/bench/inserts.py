"""What the database alone can do: single-row inserts into the service's table, by the pgbench beside the server."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from generators import CONNECTIONS, BenchmarkFailed, Measurement
from load_generator import percentile

from mediabucket_cli.embedded.postgres import postgres_program

_INSERT: Final = """INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size,
                         mime_type, checksum, status, expires_at)
VALUES (uuidv7(), 'bench', 'writer', 'picture.png', 'uploads/2026/11/writer/picture.png', 'image', 4096, 'image/png',
        sha256(gen_random_uuid()::text::bytea), 'pending', now() + interval '1 hour')"""
NAME: Final = "pgbench, one insert"
# By number and not by time: its clock for that starts before it has connected, which on a busy machine takes seconds.
_INSERTS_EACH_SECOND: Final = 150


def inserts(database_url: str, seconds: int) -> Measurement:
    """CONNECTIONS clients, prepared, a transaction each, for about so many seconds. Raises BenchmarkFailed."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(_INSERT + ";\n")
        clients = ["-c", str(CONNECTIONS), "-j", "1", "-t", str(seconds * _INSERTS_EACH_SECOND), "-f", str(script)]
        logged = ["-l", "--log-prefix", f"{folder}/log"]
        command = [str(postgres_program("pgbench")), "-n", "-M", "prepared", *clients, *logged, database_url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or rate is None:
            raise BenchmarkFailed(f"pgbench failed: {done.stderr.strip() or done.stdout.strip()}")
        # Each line: client, transaction, microseconds, script, and when it ended.
        lines = [line for file in Path(folder).glob("log.*") for line in file.read_text().splitlines()]
        latencies = [int(line.split()[2]) / 1000 for line in lines]
        return Measurement(
            requests=len(latencies),
            seconds=len(latencies) / float(rate[1]),
            p50_ms=percentile(latencies, 0.50),
            p99_ms=percentile(latencies, 0.99),
        )
