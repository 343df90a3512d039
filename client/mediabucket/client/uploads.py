"""The life of an upload: hash, initiate, PUT, confirm.

Nothing is remembered between runs: the file's checksum is what an upload is resumed by. An upload that the store or the
service has let go of is announced again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from mediabucket.client.errors import MediaBucketError, UploadLost, UrlExpired
from mediabucket.client.files import Source, Upload
from mediabucket.client.models import Existing, Media, MultipartTicket, Ticket
from mediabucket.client.problems import UploadExpired, UploadMissing
from mediabucket.client.progress import Meter, OnProgress, Progress
from mediabucket.client.puts import send_parts, send_whole
from mediabucket.client.requests import Settings, call, read, settled
from mediabucket.client.steps import ApiCall, Digest, Flow, Parallel, Pause

INITIATE: Final = "/api/media/upload/initiate"
# How often a file is announced before what is wrong is told.
_ROUNDS: Final = 4
_ANNOUNCE_AGAIN: Final = (UrlExpired, UploadLost, UploadMissing, UploadExpired)


@dataclass(frozen=True)
class Outcome:
    """What became of one file of many: either `media` or `error` is there.

    `existed`: the service had these bytes of this user already, and nothing was sent.
    """

    upload: Upload
    media: Media | None = None
    error: MediaBucketError | OSError | ValueError | None = None
    existed: bool = False


@dataclass(frozen=True)
class Uploaded:
    media: Media
    existed: bool


def upload_file(settings: Settings, upload: Upload, on_progress: OnProgress | None) -> Flow[Uploaded]:
    """Raises MediaBucketError, OSError, ValueError."""
    with Source(upload.file) as source:
        meter = Meter(source.size, on_progress)
        meter.enter("hashing")
        checksum: str = yield Digest(source.piece(), meter.reached)
        uploaded = yield from _carried_out(settings, _announcement(upload, source, checksum), source, meter)
        meter.enter("done", source.size)
        return uploaded


def upload_files(
    settings: Settings,
    uploads: Iterable[Upload],
    *,
    parallel: int,
    on_progress: Callable[[int, Progress], None] | None,
    on_outcome: Callable[[int, Outcome], None] | None,
) -> Flow[list[Outcome]]:
    """The outcome of each file, in their order. Raises nothing of a file's own."""
    flows = [
        _outcome(settings, upload, number, on_progress=on_progress, on_outcome=on_outcome)
        for number, upload in enumerate(uploads)
    ]
    outcomes: list[Outcome] = yield Parallel(flows, parallel)
    return outcomes


def _outcome(
    settings: Settings,
    upload: Upload,
    number: int,
    *,
    on_progress: Callable[[int, Progress], None] | None,
    on_outcome: Callable[[int, Outcome], None] | None,
) -> Flow[Outcome]:
    listener = None if on_progress is None else lambda progress: on_progress(number, progress)
    try:
        uploaded = yield from upload_file(settings, upload, listener)
        outcome = Outcome(upload, uploaded.media, existed=uploaded.existed)
    except (MediaBucketError, OSError, ValueError) as error:
        outcome = Outcome(upload, error=error)
    if on_outcome is not None:
        on_outcome(number, outcome)
    return outcome


def _announcement(upload: Upload, source: Source, checksum: str) -> ApiCall:
    body = {
        "file_name": upload.name,
        "file_size": source.size,
        "mime_type": upload.type,
        "checksum": checksum,
        "metadata": dict(upload.metadata),
        "multipart": True,
    }
    return ApiCall("POST", INITIATE, body)


def _carried_out(settings: Settings, announcement: ApiCall, source: Source, meter: Meter) -> Flow[Uploaded]:
    for tried in range(1, _ROUNDS + 1):
        try:
            return (yield from _round(settings, announcement, source, meter))
        except _ANNOUNCE_AGAIN as error:
            if tried == _ROUNDS:
                raise
            asked_for: float | None = getattr(error, "retry_after_seconds", None)
            # A URL that has merely run out is replaced at once.
            if tried > 1 or asked_for is not None:
                yield Pause(settings.retry.wait(tried, 0.0, asked_for) or 0.0)
    raise AssertionError("the last round returns or raises")


def _round(settings: Settings, announcement: ApiCall, source: Source, meter: Meter) -> Flow[Uploaded]:
    meter.enter("uploading")
    answer = yield from settled(settings, announcement)
    received_at = settings.now()
    ticket = read(answer, Existing | MultipartTicket | Ticket)
    if isinstance(ticket, Existing):
        found = yield from call(settings, ApiCall("GET", f"/api/media/{ticket.media_id}"))
        return Uploaded(read(found, Media), existed=True)
    if isinstance(ticket, MultipartTicket):
        yield from send_parts(settings, ticket, received_at, source, meter)
    else:
        yield from send_whole(settings, ticket, received_at, source, meter)
    meter.enter("confirming", source.size)
    confirmed = yield from settled(settings, ApiCall("POST", f"/api/media/{ticket.media_id}/confirm"))
    return Uploaded(read(confirmed, Media), existed=False)
