"""The service, life after life: `python -m mortal_service`. Each dies (SIGKILL) right before, or after, a call.

MORTAL_LIVES is a JSON list of the calls, as `[["MediaRepository.lease", 3], ["MediaService.confirm!", 1]]`: the third
lease of the first life is not made, and the first confirm of the second life is done, but never answered. The parent
holds the socket: whoever connects between two lives waits. How each died is appended to MORTAL_LOG, a line each. The
life after the last is a long one.
"""

import argparse
import functools
import itertools
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mediabucket_cli.embedded.guard import PR_SET_PDEATHSIG, prctl
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.flows import Flows
from mediabucket_service.main import app, settings
from mediabucket_service.media.erasure import Erasures
from mediabucket_service.media.erasure_repository import ErasureRepository
from mediabucket_service.media.initiate import Initiation
from mediabucket_service.media.initiate_repository import InitiateRepository
from mediabucket_service.media.multipart_repository import MultipartRepository
from mediabucket_service.media.removal_repository import RemovalRepository
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.media.service import MediaService
from mediabucket_service.messages.repository_postgresql import PostgresMessageRepository
from mediabucket_service.shutdown import DrainingServer

OWNERS: dict[str, type] = {
    owner.__name__: owner
    for owner in (
        BucketObjects, ErasureRepository, Erasures, Flows, InitiateRepository, Initiation, MediaRepository,
        MediaService, MultipartRepository, PostgresMessageRepository, RemovalRepository,
    )
}  # fmt: skip
AFTER = "!"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before(original: Callable[..., Any], number: int) -> Callable[..., Any]:
    calls = itertools.count(1)

    @functools.wraps(original)
    def mortal(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            die()
        return original(*arguments, **options)

    return mortal


def die_after(original: Callable[..., Awaitable[Any]], number: int) -> Callable[..., Any]:
    calls = itertools.count(1)

    @functools.wraps(original)
    async def mortal(*arguments: Any, **options: Any) -> Any:
        answer = await original(*arguments, **options)
        if next(calls) == number:
            die()
        return answer

    return mortal


def live(descriptor: int, death: tuple[str, int] | None) -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if death is not None:
        call, number = death
        owner_name, _, name = call.removesuffix(AFTER).partition(".")
        owner = OWNERS[owner_name]
        mortal = die_after if call.endswith(AFTER) else die_before
        setattr(owner, name, mortal(getattr(owner, name), number))
    DrainingServer(app, settings, host="", port=0, descriptor=descriptor).run_until_told()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    descriptor = parser.parse_args().fd
    lives = [(call, number) for call, number in json.loads(os.environ["MORTAL_LIVES"])]
    log = Path(os.environ["MORTAL_LOG"])
    for death in (*lives, None):
        child = os.fork()
        if child == 0:
            live(os.dup(descriptor), death)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise SystemExit(f"the life that was to end at {death} ended with {status}")
        with log.open("a") as lines:
            lines.write(f"{death}\n")


if __name__ == "__main__":
    main()
