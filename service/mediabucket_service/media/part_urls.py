"""Tickets, fresh URLs and progress of files that are uploaded in parts."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from mediabucket_api.spec import Integrity, Uploads
from mediabucket_s3.errors import ObjectMissing
from mediabucket_s3.presign import Presigner
from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.media.announced import Announced
from mediabucket_service.media.confirm import settled
from mediabucket_service.media.keys import pending_key
from mediabucket_service.media.models import MediaFile, MediaStatus
from mediabucket_service.media.multipart import MAX_PARTS_TOLD, MultipartUploads, upload_lost
from mediabucket_service.media.multipart_repository import MultipartRepository
from mediabucket_service.media.part_plan import PartPlan
from mediabucket_service.media.part_schemas import PartProgress, PartUrls, UploadProgress, WantedPart
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.media.schemas import MultipartTicket, PartUrl
from mediabucket_service.problems import MalformedRequest, MediaNotFound, NoPartsExpected

# 30 µs each: no other request waits longer than two milliseconds for them.
_SIGNED_IN_A_ROW: Final = 64


class PartUploads:
    """Gives the URLs of parts to those whose file it is."""

    def __init__(
        self,
        uploads: Uploads,
        multipart: MultipartUploads,
        repository: MultipartRepository,
        media: MediaRepository,
        presigner: Presigner,
        *,
        store_takes_parts: bool = True,
        now: Clock = utc_now,
    ) -> None:
        """`store_takes_parts` False: a probe found that it does not, and every file is PUT in one piece."""
        self._multipart = multipart
        self._repository = repository
        self._media = media
        self._presigner = presigner
        self._now = now
        self._signed = uploads.integrity == Integrity.SIGNED
        self._min_bytes = uploads.multipart.min_bytes
        self._ttl = uploads.url_ttl_seconds
        self._store_takes_parts = store_takes_parts

    def offered_for(self, file_size: int) -> bool:
        """Whether a file of this many bytes is offered in parts."""
        return self._store_takes_parts and file_size >= self._min_bytes

    async def ticket(self, file: Announced) -> MultipartTicket:
        """URLs for all parts of a pending file; without URLs where each part's SHA-256 has to be signed.

        Raises ConfirmInProgress when the file is settled meanwhile, S3Error when the store fails.
        """
        upload_id, plan = await self._multipart.upload_of(file)
        now = self._now()
        if self._signed:
            parts = [PartUrl(part_number=number, size=plan.size(number), upload_url=None) for number in plan.numbers]
        else:
            wanted = [WantedPart(part_number=number) for number in plan.numbers]
            parts = await self._part_urls(file.media_id, upload_id, plan, wanted, now)
        return MultipartTicket(
            media_id=file.media_id,
            part_size=plan.part_size,
            parts=parts,
            expires_in=self._ttl,
            expires_at=self._end_of(now),
        )

    async def urls(self, user_id: str, media_id: UUID, wanted: Sequence[WantedPart]) -> PartUrls:
        """Fresh URLs for some parts of a pending file, which lives on for it.

        Raises MalformedRequest, and what `progress` raises.
        """
        file, upload_id, plan = await self._in_parts(user_id, media_id)
        check_wanted(wanted, plan, signed=self._signed)
        await self._repository.keep_alive(media_id)
        now = self._now()
        parts = await self._part_urls(media_id, upload_id, plan, wanted, now)
        return PartUrls(
            media_id=file.media_id,
            part_size=plan.part_size,
            parts=parts,
            expires_in=self._ttl,
            expires_at=self._end_of(now),
        )

    async def progress(self, user_id: str, media_id: UUID) -> UploadProgress:
        """Which parts of a pending file have arrived.

        Raises MediaNotFound, NoPartsExpected, UploadMissing when the store has lost the upload, what `settled` raises,
        and S3Error when the store fails.
        """
        file, _, plan = await self._in_parts(user_id, media_id)
        try:
            sizes = {number: part.size for number, part in (await self._multipart.arrived(file, plan)).items()}
        except ObjectMissing as error:
            if not await self._multipart.in_one_piece(file):
                raise upload_lost() from error
            sizes = {number: plan.size(number) for number in plan.numbers}
        return UploadProgress(
            media_id=media_id,
            part_size=plan.part_size,
            parts=[
                PartProgress(part_number=number, size=plan.size(number), arrived=sizes.get(number) == plan.size(number))
                for number in plan.numbers
            ],
            expires_at=file.expires_at,
        )

    async def _in_parts(self, user_id: str, media_id: UUID) -> tuple[MediaFile, str, PartPlan]:
        file = await self._media.find(media_id, user_id)
        if file is None:
            raise MediaNotFound(f"you have no media {media_id}")
        if file.status != MediaStatus.PENDING:
            settled(file)
            raise NoPartsExpected("this upload is confirmed already: nothing is left to upload")
        if file.upload_id is None or file.part_size is None:
            raise NoPartsExpected(
                "this file is uploaded in one piece: PUT it to upload_url, or initiate it with multipart true"
            )
        return file, file.upload_id, PartPlan(file.file_size, file.part_size)

    async def _part_urls(
        self, media_id: UUID, upload_id: str, plan: PartPlan, wanted: Sequence[WantedPart], now: datetime
    ) -> list[PartUrl]:
        urls: list[PartUrl] = []
        for part in wanted:
            if len(urls) % _SIGNED_IN_A_ROW == _SIGNED_IN_A_ROW - 1:
                await asyncio.sleep(0)
            size = plan.size(part.part_number)
            presigned = self._presigner.put_part(
                pending_key(media_id),
                upload_id=upload_id,
                part_number=part.part_number,
                content_length=size,
                # AWS refuses a checksum unless the upload was begun for it.
                checksum_sha256=part.checksum if self._signed else None,
                expires_in=self._ttl,
                now=now,
            )
            urls.append(
                PartUrl(part_number=part.part_number, size=size, upload_url=presigned.url, headers=presigned.headers)
            )
        return urls

    def _end_of(self, now: datetime) -> datetime:
        return now.replace(microsecond=0) + timedelta(seconds=self._ttl)


def check_wanted(wanted: Sequence[WantedPart], plan: PartPlan, *, signed: bool) -> None:
    """Raises MalformedRequest for numbers that are not in the plan or named twice, and for a missing checksum."""
    numbers = [part.part_number for part in wanted]
    strangers = sorted({number for number in numbers if number not in plan.numbers})
    if strangers:
        raise MalformedRequest(f"this file has parts 1 to {plan.count}, and no part {_some(strangers)}")
    repeated = sorted(number for number, times in Counter(numbers).items() if times > 1)
    if repeated:
        raise MalformedRequest(f"name each part once, not part {_some(repeated)} again")
    unsigned = [part.part_number for part in wanted if part.checksum is None]
    if signed and unsigned:
        raise MalformedRequest(
            "uploads of this bucket are signed with the SHA-256 of each part: ask with"
            f' {{"parts": [{{"part_number": {unsigned[0]}, "checksum": "..."}}]}};'
            f" it is missing for part {_some(unsigned)}"
        )


def _some(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:MAX_PARTS_TOLD]))
    return named + (", ..." if len(numbers) > MAX_PARTS_TOLD else "")
