"""The JavaScript client in Node: programs that drive it, and what they need from npm."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faulty_store import FaultyStore
from service_platform import Platform
from upload_client import File, make_token

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "service" / "mediabucket_service" / "web" / "client"
TESTS = ROOT / "tests" / "client"
# The first with File as a global.
OLDEST_NODE = 20
PATIENCE_SECONDS = 90.0
_NPM_FILES = ("package.json", "package-lock.json", ".npmrc")


class Unavailable(Exception):
    """What the tests of the client need is not on this machine, in a sentence that says what to do."""


def node_program() -> str:
    """The path of Node. Raises Unavailable."""
    program = shutil.which("node")
    if program is not None:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.strip("v").partition(".")[0]) >= OLDEST_NODE:
            return program
    raise Unavailable(
        f"CLIENT NOT TESTED: there is no Node {OLDEST_NODE} or newer; `apt-get install nodejs` may bring one"
    )


def npm_folder() -> Path:
    """A folder with the packages that the lockfile pins, installed if need be. Raises Unavailable."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("CLIENT NOT TESTED WITH UPPY AND TYPESCRIPT: there is no npm on the PATH")
    folder = ROOT / ".bench" / "client"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(npm, folder)
    return folder


def _install(npm: str, folder: Path) -> None:
    sources = [TESTS / name for name in _NPM_FILES]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    for source in sources:
        shutil.copy(source, folder / source.name)
    done = subprocess.run([npm, "ci"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"CLIENT NOT TESTED WITH UPPY AND TYPESCRIPT: npm failed: {done.stderr.strip()[-500:]}")
    stamp.write_text(digest)


@asynccontextmanager
async def started(node: str, program: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running Node; killed at the end unless it has ended by then."""
    # Blobs of files on disk are experimental in Node 20, and say so.
    command = (node, "--no-warnings", str(program), *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=dict(os.environ))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answer_of(process: asyncio.subprocess.Process) -> Any:
    """The JSON that a program prints; whatever it prints on standard error is a failure."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        output, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b""), complaints.decode()
    return json.loads(output)


async def run_node(node: str, program: Path, *arguments: str) -> Any:
    """What a program says."""
    async with started(node, program, *arguments) as process:
        return await answer_of(process)


@dataclass(frozen=True)
class ClientWorld:
    """A served application, a store that fails on command in front of the real one, and Node to run the client in."""

    platform: Platform
    store: FaultyStore
    base_url: str
    node: str
    folder: Path

    def saved(self, file: File) -> dict[str, str]:
        """A file on disk as the driver wants it."""
        path = self.folder / file.sha256[:16]
        path.write_bytes(file.content)
        return {"path": str(path), "type": file.mime_type, "name": file.name}

    def asked(self, action: str, user: str, told: dict[str, Any]) -> str:
        """The argument of the driver."""
        library = (LIBRARY / "mediabucket.js").as_uri()
        base = {"action": action, "library": library, "baseUrl": self.base_url, "token": make_token(user)}
        return json.dumps(base | told)

    def driver(
        self, action: str, user: str = "alice", **told: Any
    ) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        """A client at work, in a process of its own."""
        return started(self.node, TESTS / "driver.mjs", self.asked(action, user, told))

    async def run(self, action: str, user: str = "alice", **told: Any) -> Any:
        """What the client has to say in the end."""
        async with self.driver(action, user, **told) as process:
            return await answer_of(process)

    async def upload(self, file: File, user: str = "alice", **told: Any) -> Any:
        """Uploads a file: {media, progress, calls} or {error, calls}."""
        return await self.run("upload", user, file=self.saved(file), **told)

    async def bytes_of(self, media: dict[str, Any], user: str = "alice") -> bytes:
        """What a reader of the media gets."""
        # URLs of its own: they may live for a second only, and less when they were signed at its end.
        for _ in range(5):
            read = await self.platform.user(user).get(media["media_id"])
            answer = await self.platform.store.get(read.json()["url"])
            if answer.status_code != 403:
                break
        assert answer.status_code == 200, answer.text
        return answer.content


MakeWorld = Callable[..., AbstractAsyncContextManager[ClientWorld]]
