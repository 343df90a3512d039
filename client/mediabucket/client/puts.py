"""Bytes on their way to the store: one PUT, or many parts of a large file at the same time."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import UUID

from mediabucket.client.errors import UploadLost, UrlExpired
from mediabucket.client.files import Piece, Source
from mediabucket.client.models import Arrived, MultipartTicket, PartArrived, PartUrls, Ticket
from mediabucket.client.problems import NoPartsExpected
from mediabucket.client.progress import Meter
from mediabucket.client.requests import Settings, call, read, store_refusal, with_retries
from mediabucket.client.steps import Answer, ApiCall, Digest, Flow, Parallel, StorePut

# Of a part whose URLs all turn out to be dead.
_URLS_OF_A_PART: Final = 4


@dataclass(frozen=True)
class Target:
    """Where to PUT, until `deadline` on the settings' clock."""

    url: str
    headers: Mapping[str, str]
    deadline: float


def put(settings: Settings, target: Target, piece: Piece, meter: Meter, part: int = 0) -> Flow[None]:
    """Returns once the store holds the piece. Raises UrlExpired, UploadLost, StoreRefused, ConnectionFailed,
    FileChanged, OSError.
    """

    def attempt() -> Flow[Answer]:
        if settings.now() >= target.deadline:
            raise UrlExpired(HTTPStatus.FORBIDDEN, "Expired", "the URL expired before the store took the bytes")
        answer: Answer = yield StorePut(target.url, target.headers, piece, lambda sent: meter.reached(sent, part))
        return answer

    check_stored((yield from with_retries(settings.retry, attempt)))


def check_stored(answer: Answer) -> None:
    """Whether the store holds the bytes. Raises UrlExpired, UploadLost, StoreRefused when it does not."""
    # 412: If-None-Match is signed, and the bytes are there already: the answer to an earlier PUT was lost.
    if answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status == HTTPStatus.PRECONDITION_FAILED:
        return
    if answer.status == HTTPStatus.FORBIDDEN:
        raise store_refusal(answer, UrlExpired)
    # The store aborted or completed the multipart upload.
    if answer.status == HTTPStatus.NOT_FOUND:
        raise store_refusal(answer, UploadLost)
    raise store_refusal(answer)


def send_whole(settings: Settings, ticket: Ticket, received_at: float, source: Source, meter: Meter) -> Flow[None]:
    """`received_at`: when the ticket came, on the settings' clock. Raises what `put` raises."""
    target = Target(ticket.upload_url, ticket.headers, received_at + ticket.expires_in)
    yield from put(settings, target, source.piece(), meter)


def send_parts(
    settings: Settings, ticket: MultipartTicket, received_at: float, source: Source, meter: Meter
) -> Flow[None]:
    """Send what the store lacks. Raises what `put` and the API's calls about parts raise."""
    parts = yield from _parts_arrived(settings, ticket.media_id)
    for part in parts:
        if part.arrived:
            meter.reached(part.size, part.part_number)
    targets = _targets(ticket, received_at)
    missing = [part for part in parts if not part.arrived]
    flows = [_send_part(settings, ticket, part, targets.get(part.part_number), source, meter) for part in missing]
    yield Parallel(flows, settings.parallel_parts)


def parts_path(media_id: UUID) -> str:
    return f"/api/media/{media_id}/parts"


def _parts_arrived(settings: Settings, media_id: UUID) -> Flow[tuple[PartArrived, ...]]:
    """None at all when somebody else has finished the upload meanwhile."""
    try:
        answer = yield from call(settings, ApiCall("GET", parts_path(media_id)))
    except NoPartsExpected:
        return ()
    arrived: Arrived = read(answer, Arrived)
    return arrived.parts


def _send_part(
    settings: Settings, ticket: MultipartTicket, part: PartArrived, target: Target | None, source: Source, meter: Meter
) -> Flow[None]:
    number = part.part_number
    piece = source.piece((number - 1) * ticket.part_size, part.size)
    is_signed = target is None
    for tried in range(1, _URLS_OF_A_PART + 1):
        if target is None:
            target = yield from _fresh_target(settings, ticket.media_id, number, piece if is_signed else None)
        try:
            return (yield from put(settings, target, piece, meter, number))
        except UrlExpired:
            if tried == _URLS_OF_A_PART:
                raise
            target = None


def _fresh_target(settings: Settings, media_id: UUID, number: int, piece_to_sign: Piece | None) -> Flow[Target]:
    """With `integrity: Signed` each URL is for the SHA-256 of its part."""
    wanted: dict[str, object] = {"part_number": number}
    if piece_to_sign is not None:
        wanted["checksum"] = yield Digest(piece_to_sign, lambda _: None)
    answer = yield from call(settings, ApiCall("POST", parts_path(media_id), {"parts": [wanted]}))
    urls: PartUrls = read(answer, PartUrls)
    return _targets(urls, settings.now())[number]


def _targets(urls: PartUrls, received_at: float) -> dict[int, Target]:
    deadline = received_at + urls.expires_in
    return {
        part.part_number: Target(part.upload_url, part.headers, deadline)
        for part in urls.parts
        if part.upload_url is not None
    }
