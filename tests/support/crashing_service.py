"""The service, but it dies (SIGKILL) right before the CRASH_AT-th step of its first confirm.

With CRASH_AT one more than there are steps it dies after the last, before the client gets its answer. The steps that
were reached are appended to CRASH_LOG, a line each.
"""

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from mediabucket_s3 import copies
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.main import app as application
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.media.service import MediaService

STEPS: dict[Any, tuple[str, ...]] = {
    MediaRepository: ("lease", "complete", "complete_as_duplicate", "fail", "release_lease"),
    BucketObjects: ("list_parts", "complete_multipart_upload", "head", "copy", "stream", "delete"),
    copies: ("_copy_part", "_complete", "_abort", "_etag_of_whole"),
}
CRASH_AT = int(os.environ["CRASH_AT"])
CRASH_LOG = Path(os.environ["CRASH_LOG"])

steps = 0
confirming = False


def reach(name: str) -> None:
    """Count a step, and die before it if its turn has come."""
    global steps
    if not confirming:
        return
    steps += 1
    with CRASH_LOG.open("a") as log:
        log.write(f"{name}\n")
    if steps == CRASH_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def dying(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(original)
    def step(*arguments: Any, **options: Any) -> Any:
        reach(name)
        return original(*arguments, **options)

    setattr(owner, name, step)


for owner, names in STEPS.items():
    for name in names:
        dying(owner, name)

confirm = MediaService.confirm


async def watched_confirm(self: MediaService, user_id: str, media_id: UUID) -> MediaFile:
    global confirming
    confirming = True
    try:
        answer = await confirm(self, user_id, media_id)
    finally:
        reach("answer")
    return answer


setattr(MediaService, confirm.__name__, watched_confirm)

app = application
