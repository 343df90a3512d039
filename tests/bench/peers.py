"""Everything a benchmark runs against, on loopback: the service itself, and its peers as processes of their own."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

from generators import BenchmarkFailed

from mediabucket_api.connection import SPEC_KEY, BucketConnection
from mediabucket_api.spec import UploadLimits
from mediabucket_cli.development_platform import DevelopmentPlatform
from mediabucket_cli.embedded.ports import LOOPBACK, bound_socket, free_ports
from mediabucket_cli.embedded.processes import Child
from mediabucket_cli.token import make_token
from mediabucket_s3.admin import BucketAdmin
from mediabucket_service.migrations import upgrade

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".bench"
MANIFEST: Final = ROOT / "examples" / "chat-media.yaml"
_HERE: Final = Path(__file__).parent
_COMPANION_FILES: Final = ("package.json", "package-lock.json", ".npmrc", "server.mjs")
_START_SECONDS: Final = 60.0
_BACKLOG: Final = 1024
# What would lead a peer to another store or another key than ours.
_FOREIGN: Final = ("AWS_", "BUCKET_", "COSI_", "MEDIABUCKET_")

_DATABASES: Final = ("naive", "ceiling", "inserts", "limited")
# Never reached: what is measured is the counting.
_LIMITS: Final = UploadLimits(pending_per_user=100_000, bytes_per_user=2**53)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP."""

    url: str
    process_id: int


@dataclass(frozen=True)
class Arena:
    """The service and its peers, all running. `inserts` is the URL of a database with the service's empty schema."""

    platform: DevelopmentPlatform
    folder: Path
    service: Server
    naive: Server
    ceiling: Server
    companion: Server | None
    limited: Server | None
    naive_database: str
    ceiling_database: str
    inserts_database: str
    limited_database: str

    def token(self, user: str) -> str:
        """Good for the service and for its peers, for a week."""
        return make_token(self.platform.jwt_secret, user, self.platform.resource.spec.service.auth)


@contextmanager
def arena(
    folder: Path, *, durable: bool, companion: bool, limited: bool, tell: Tell, calls: Path | None = None
) -> Iterator[Arena]:
    """Start everything, and stop it again; the process of the empty route under cProfile, which writes to `calls`.
    `limited`: with a second service, whose manifest limits what users may hold.

    Raises BenchmarkFailed and what DevelopmentPlatform raises.
    """
    installed = companion_installed(tell) if companion else None
    with ExitStack() as stack:
        tell("starting store, database and service")
        platform = stack.enter_context(DevelopmentPlatform(MANIFEST, folder / "platform", port=0, durable=durable))
        databases = {name: platform.postgres.create_database(name) for name in _DATABASES}
        for name in ("ceiling", "inserts", "limited"):
            upgrade(databases[name])
        tell("starting the peers")
        start = _Starter(stack, platform, folder)
        yield Arena(
            platform=platform,
            folder=folder,
            service=Server(platform.api_url, platform.service.process_id),
            naive=start.application(
                "naive:app",
                bucket="bench-naive",
                # boto3 signs with awscrt once that is installed, as here for the tests; few installations have it.
                settings={"NAIVE_DATABASE_URL": _sqlalchemy(databases["naive"]), "BOTO_DISABLE_CRT": "true"},
            ),
            ceiling=start.application(
                "ceiling:create",
                "--factory",
                bucket="bench-ceiling",
                settings={"MEDIABUCKET_DATABASE_URL": databases["ceiling"]},
                calls=calls,
            ),
            companion=start.companion(installed) if installed else None,
            limited=start.limited(databases["limited"]) if limited else None,
            naive_database=databases["naive"],
            ceiling_database=databases["ceiling"],
            inserts_database=databases["inserts"],
            limited_database=databases["limited"],
        )


@dataclass(frozen=True)
class _Starter:
    """Starts peers on the platform's store; the stack stops them."""

    stack: ExitStack
    platform: DevelopmentPlatform
    folder: Path

    def limited(self, database: str) -> Server:
        """The service itself, with limits in its manifest."""
        uploads = self.platform.connection.spec.uploads.model_copy(update={"limits": _LIMITS})
        spec = self.platform.connection.spec.model_copy(update={"uploads": uploads})
        return self.application(
            "mediabucket_service.main:app",
            bucket="bench-limited",
            settings={
                "MEDIABUCKET_DATABASE_URL": database,
                SPEC_KEY: spec.model_dump_json(by_alias=True, exclude_none=True),
            },
        )

    def application(
        self, target: str, *options: str, bucket: str, settings: Mapping[str, str], calls: Path | None = None
    ) -> Server:
        """One uvicorn worker, as the service has it."""
        profiler = ["-m", "cProfile", "-o", str(calls)] if calls else []
        listener = self.stack.enter_context(bound_socket())
        listener.listen(_BACKLOG)
        descriptor = listener.fileno()
        command = [
            *(sys.executable, *profiler, "-m", "uvicorn", target, *options),
            *("--app-dir", str(_HERE), "--fd", str(descriptor)),
            *("--no-access-log", "--no-proxy-headers", "--timeout-graceful-shutdown", "5"),
        ]
        environment = {**self._environment(bucket), **settings}
        child = self._child(target.partition(":")[0], command, environment, ROOT, keep_open=[descriptor])
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        return _ready(child, url, "/readyz")

    def companion(self, installed: Path) -> Server:
        port = free_ports(["companion"])["companion"]
        settings = {
            "NODE_ENV": "production",
            "COMPANION_DATADIR": str(self.folder),
            "COMPANION_SECRET": self.platform.jwt_secret,
        }
        command = [str(shutil.which("node")), "server.mjs", str(port)]
        child = self._child("companion", command, self._environment("bench-companion") | settings, installed)
        return _ready(child, f"http://{LOOPBACK}:{port}", "/s3/params?filename=a.png&type=image/png")

    def _child(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        keep_open: Sequence[int] = (),
    ) -> Child:
        child = Child.start(
            name,
            command,
            log=self.folder / f"{name}.log",
            environment=environment,
            directory=directory,
            keep_open=keep_open,
        )
        self.stack.callback(child.stop)
        return child

    def _environment(self, bucket: str) -> dict[str, str]:
        """What the service is told, for another bucket: its clean-up would take a peer's files for lost ones."""
        admin = BucketAdmin.connect(self.platform.connection.store, bucket)
        admin.create(self.platform.connection.store.region, {})
        connection = self.platform.connection.model_copy(update={"bucket": bucket})
        return clean_environment() | told(connection) | {"MEDIABUCKET_JWT_SECRET": self.platform.jwt_secret}


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def told(connection: BucketConnection) -> dict[str, str]:
    """A connection as environment variables."""
    return connection.to_config_map() | connection.to_secret()


def companion_installed(tell: Tell) -> Path | None:
    """A folder with Uppy Companion as the lockfile pins it, installed if need be; None, told loudly, without npm."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        tell("[bold red]SKIPPED: Uppy Companion is not measured, since npm or node is not on the PATH[/]")
        return None
    folder = CACHE / "companion"
    folder.mkdir(parents=True, exist_ok=True)
    sources = [_HERE / "companion" / name for name in _COMPANION_FILES]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return folder
    tell("installing Uppy Companion from npm (once; half a minute)")
    for source in sources:
        shutil.copy(source, folder / source.name)
    done = subprocess.run([npm, "ci"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tell("[bold red]SKIPPED: Uppy Companion is not measured, since npm could not install it:[/]")
        tell(done.stderr.strip()[-500:])
        return None
    stamp.write_text(digest)
    return folder


def _ready(child: Child, url: str, path: str) -> Server:
    """Wait until the path answers 200. Raises BenchmarkFailed."""
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(url + path):
        if not child.running or time.monotonic() > deadline:
            raise BenchmarkFailed(str(child.failure("does not answer")))
        time.sleep(0.1)
    return Server(url, child.process.pid)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (HTTPError, OSError):
        return False


def _sqlalchemy(url: str) -> str:
    return "postgresql+psycopg://" + url.partition("://")[2]
